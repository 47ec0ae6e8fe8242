"""Where a distillation stands, in one file replaced whole: weights, moments of Adam, and the step.

What comes at a step depends on its number alone, so a training that was stopped and taken up again
ends with the bytes of one that never stopped.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load, save
from torch import Tensor, nn

from common.errors import RunError
from common.models.safetensors_import import write_whole

FILE = "distilling.safetensors"
_MOMENTS = ("exp_avg", "exp_avg_sq")


@dataclass(frozen=True, slots=True)
class Keeper:
    """Writes and reads the standing of one training in ``folder``; ``terms`` say which one."""

    folder: Path
    terms: Mapping[str, Any] = field(default_factory=dict)

    def write(self, step: int, pupil: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        """Replaces the file; ``RunError`` where the folder takes none."""
        arrays = {f"pupil/{k}": v.contiguous() for k, v in pupil.state_dict().items()}
        for name, parameter in pupil.named_parameters():
            state = optimizer.state.get(parameter, {})
            arrays |= {f"{m}/{name}": state[m].contiguous() for m in _MOMENTS if m in state}
        facts = {"step": step, "terms": _plain(self.terms)}
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_whole(self.folder / FILE, save(arrays, {"standing": json.dumps(facts)}))
        except OSError as error:
            raise RunError(f"{self.folder}: cannot be written ({error.strerror})") from None

    def read(self, pupil: nn.Module, optimizer: torch.optim.Optimizer) -> int:
        """Puts both where the file says and returns the steps done; 0 where there is no file.

        Raises ``RunError`` if the file is no such file, or of another training.
        """
        path = self.folder / FILE
        if not path.exists():
            return 0
        facts, arrays = _opened(path)
        wanted = _plain(self.terms)
        differ = [key for key in wanted if facts["terms"].get(key) != wanted[key]]
        if differ:
            raise RunError(
                f"{path} is of another training ({', '.join(differ)}); resume it with the options "
                "it began with, or name another folder"
            )
        pupil.load_state_dict(
            {k.removeprefix("pupil/"): v for k, v in arrays.items() if k.startswith("pupil/")}
        )
        for name, parameter in pupil.named_parameters():
            held = {m: arrays[f"{m}/{name}"] for m in _MOMENTS if f"{m}/{name}" in arrays}
            if held:
                kept = {m: torch.empty_like(parameter).copy_(v) for m, v in held.items()}
                kept["step"] = torch.tensor(float(facts["step"]))
                optimizer.state[parameter] = kept
        return int(facts["step"])


def _plain(terms: Mapping[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(json.dumps(dict(terms)))
    return plain


def _opened(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    try:
        with safe_open(path, "pt") as file:
            facts: dict[str, Any] = json.loads(file.metadata()["standing"])
        return facts, load(path.read_bytes())
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"{path} is not the standing of a training; name another folder") from error
