"""A training of a detector on the disk, so that it can be cut off at any time and go on."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from common.detection.weights import NAME, DetectorManifest
from common.errors import ModelError, RunError

STATE = "training.safetensors"
Settings = Any  # a dataclass of plain values: what a training was told
_MOMENTS = ("step", "exp_avg", "exp_avg_sq")  # of AdamW


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """How held-out scenes fare. ``recall`` is at one false alarm in ten pictures."""

    recall: float
    threshold: float  # with one false alarm in ten pictures
    certain: float  # with one in a hundred pictures
    landmark_error: float  # median, over the distance of the eyes


@dataclass(slots=True)
class State:
    """Where a training is, and the best it has seen; ``waited`` checks were no better."""

    step: int = 0
    waited: int = 0
    check: Check | None = None
    manifest: DetectorManifest | None = None


def store(
    folder: Path,
    options: Settings,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    state: State,
) -> None:
    """Replaces what ``folder`` holds of this training, whole or not at all."""
    import safetensors.torch

    from common.models.safetensors_import import write_whole

    arrays = {f"model.{k}": v.detach().contiguous() for k, v in model.state_dict().items()}
    for number, moments in optimizer.state_dict()["state"].items():
        for name in _MOMENTS:
            arrays[f"optimizer.{number}.{name}"] = moments[name].detach().contiguous()
    told = {
        "options": dataclasses.asdict(options),
        "step": state.step,
        "waited": state.waited,
        "check": dataclasses.asdict(state.check) if state.check else None,
        "manifest": dataclasses.asdict(state.manifest) if state.manifest else None,
    }
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / STATE, safetensors.torch.save(arrays, {"training": json.dumps(told)}))


def restore(
    folder: Path, options: Settings, model: nn.Module, optimizer: torch.optim.Optimizer
) -> State:
    """Puts ``model`` and ``optimizer`` where they were; a new ``State`` if nothing was begun.

    Raises ``RunError`` if what is there was trained with other options or is finished.
    """
    path = folder / STATE
    if not path.is_file():
        if (folder / NAME).exists():
            raise RunError(f"{folder} holds a detector already; choose another folder with --out")
        return State()
    told, arrays = _read(path)
    if told["options"] != json.loads(json.dumps(dataclasses.asdict(options))):
        raise RunError(f"{folder} holds a training with other options; choose another --out")
    own = {k.removeprefix("model."): v for k, v in arrays.items() if k.startswith("model.")}
    model.load_state_dict(own)
    if told["step"]:
        optimizer.load_state_dict(_moments(optimizer, arrays))
    check, manifest = told["check"], told["manifest"]
    return State(
        step=told["step"],
        waited=told["waited"],
        check=Check(**check) if check else None,
        manifest=DetectorManifest(**manifest) if manifest else None,
    )


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            told = json.loads(file.metadata()["training"])
            return told, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{path}: not a training that was cut off; remove it") from error


def _moments(
    optimizer: torch.optim.Optimizer, arrays: dict[str, Tensor]
) -> dict[str, dict[object, object]]:
    whole = optimizer.state_dict()
    numbers = [number for group in whole["param_groups"] for number in group["params"]]
    whole["state"] = {
        number: {name: arrays[f"optimizer.{number}.{name}"] for name in _MOMENTS}
        for number in numbers
        if f"optimizer.{number}.step" in arrays
    }
    return whole
