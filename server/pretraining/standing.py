"""Where a public training stands, in one file replaced whole: it goes on after any stop.

A training that was killed and resumed ends with the bytes of one that never stopped, on the same
kind of processor and number of threads. On a GPU the order of sums is not promised.

Leaks: everything. Weights and the digest of the pictures are those of public people.
"""

import copy
import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from common.errors import RunError
from common.models.file_header import metadata
from common.models.safetensors_import import write_whole
from server.pretraining.feeding import FeedState
from server.pretraining.options import PretrainOptions
from server.pretraining.step import Training

FILE = "training.safetensors"
_ANYWHERE = ("device", "licence")  # options that may differ where a training goes on
_LEFT, _CHANCE = "left", "chance"


@dataclass(slots=True)
class Standing:
    """Steps done, the best TAR so far, and checks since without a better one."""

    after: FeedState  # from where batches go on
    step: int = 0
    tar: float | None = None
    waited: int = 0
    best: dict[str, Tensor] = field(default_factory=dict)  # weights; none before one was judged

    def judge(self, tar: float | None, training: Training) -> None:
        """Takes notice of one check; the first network that can be judged at all is the best."""
        if tar is None:
            return
        self.waited += 1
        if self.tar is None or tar > self.tar:
            self.tar, self.waited = tar, 0
            self.best = copy.deepcopy(dict(training.model.state_dict()))


@dataclass(frozen=True, slots=True)
class Keeper:
    """Writes and reads the standing of one training in ``folder``; ``terms`` say which one."""

    folder: Path
    terms: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, folder: Path, options: PretrainOptions, digest: str) -> "Keeper":
        """For a training by ``options`` on the pictures that ``digest`` stands for."""
        told = {k: v for k, v in dataclasses.asdict(options).items() if k not in _ANYWHERE}
        return cls(folder, json.loads(json.dumps(told | {"pictures": digest})))

    def write(self, standing: Standing, training: Training) -> None:
        """Replaces the file; raises ``RunError`` where the folder takes none."""
        arrays = {_LEFT: torch.from_numpy(np.ascontiguousarray(standing.after.left))}
        arrays[_CHANCE] = training.chance.get_state()
        for part, held in _parts(standing, training).items():
            arrays |= {f"{part}/{name}": value.cpu().contiguous() for name, value in held.items()}
        facts = {key: getattr(standing, key) for key in ("step", "tar", "waited")}
        facts |= {"generator": standing.after.generator, "terms": dict(self.terms)}
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_whole(self.folder / FILE, save(arrays, {"standing": json.dumps(facts)}))
        except OSError as error:
            raise RunError(f"{self.folder}: cannot be written ({error.strerror})") from None

    def read(self, training: Training) -> Standing | None:
        """Puts ``training`` where the file says, or None where there is none.

        Raises ``RunError`` if the file is no such file, or of another training.
        """
        if not (self.folder / FILE).exists():
            return None
        facts, arrays = self.kept()
        try:
            return _placed(training, facts, arrays)
        except (KeyError, TypeError, RuntimeError) as error:
            raise RunError(
                f"{self.folder / FILE} is damaged; train from the start, elsewhere"
            ) from error

    def kept(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """What the file says of this training, and its arrays; ``RunError`` as for ``read``, and
        where there is no file."""
        path = self.folder / FILE
        facts, arrays = _opened(path)
        differ = [k for k, v in self.terms.items() if facts["terms"].get(k) != v]
        if differ:
            raise RunError(
                f"{path} is of another training ({', '.join(differ)}); resume it with the options "
                "it began with, or name another folder"
            )
        return facts, arrays


def _placed(training: Training, facts: dict[str, Any], arrays: dict[str, Tensor]) -> Standing:
    """Puts ``training`` where the file says, and says where that is."""
    training.chance.set_state(arrays[_CHANCE])
    training.model.load_state_dict(_part(arrays, "model"))
    training.criterion.load_state_dict(_part(arrays, "criterion"))
    named = _parameters(training)
    for name, value in _part(arrays, "momentum").items():
        kept = torch.empty_like(named[name]).copy_(value)
        training.optimizer.state[named[name]]["momentum_buffer"] = kept
    after = FeedState(facts["generator"], arrays[_LEFT].numpy())
    best = _part(arrays, "best")
    return Standing(after, facts["step"], facts["tar"], facts["waited"], best)


def _parts(standing: Standing, training: Training) -> dict[str, dict[str, Tensor]]:
    moved = {
        name: training.optimizer.state[parameter]["momentum_buffer"]
        for name, parameter in _parameters(training).items()
        if parameter in training.optimizer.state
    }
    return {
        "model": dict(training.model.state_dict()),
        "criterion": dict(training.criterion.state_dict()),
        "momentum": moved,
        "best": standing.best,
    }


def _parameters(training: Training) -> dict[str, torch.nn.Parameter]:
    return {
        **{f"model.{name}": p for name, p in training.model.named_parameters()},
        **{f"criterion.{name}": p for name, p in training.criterion.named_parameters()},
    }


def _part(arrays: dict[str, Tensor], part: str) -> dict[str, Tensor]:
    return {k.removeprefix(f"{part}/"): v for k, v in arrays.items() if k.startswith(f"{part}/")}


def _opened(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """What is in the file: what it says of the training, and its arrays."""
    try:
        data = path.read_bytes()
        return json.loads(metadata(data)["standing"]), load(data)
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"{path} is not the standing of a training; name another folder") from error
