"""Where a network is trained, and in which numbers: a GPU in bf16 when present, else fp32."""

from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import Tensor

from common.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Place:
    """A device and the numbers its products are computed in; parameters stay in float32."""

    device: torch.device
    bf16: bool

    @property
    def name(self) -> str:
        """What a report may call it."""
        gpu = self.device.type == "cuda"
        return torch.cuda.get_device_name(self.device) if gpu else "cpu"

    def autocast(self) -> AbstractContextManager[None]:
        """Products inside are computed in bf16 where that is asked for; no loss scaling is needed.

        bf16 has the exponent of float32, so small gradients do not vanish.
        """
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16)

    def bring(self, tensor: Tensor) -> Tensor:
        """``tensor`` here. To a GPU it goes through pinned memory, beside what is computed."""
        if self.device.type == "cpu":
            return tensor
        return tensor.pin_memory().to(self.device, non_blocking=True)

    def wait(self) -> None:
        """Until all that was asked of the device is done; before a clock is read."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def choose(device: str = "auto", precision: str = "auto") -> Place:
    """The place that is meant. Raises ``ConfigError`` where a GPU is asked for and none is here."""
    present = torch.cuda.is_available()
    if device == "cuda" and not present:
        raise ConfigError("no CUDA device is here; say --device auto or cpu")
    gpu = present and device != "cpu"
    able = gpu and torch.cuda.is_bf16_supported()
    bf16 = precision == "bf16" or (precision == "auto" and able)
    return Place(torch.device("cuda" if gpu else "cpu"), bf16)
