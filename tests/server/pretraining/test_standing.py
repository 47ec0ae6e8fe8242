"""A training that was stopped goes on as if nobody had."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from common.errors import RunError
from common.faces.cameras import Camera, Operation
from common.faces.faceset import FaceSet
from server.pretraining.hardening import Adversary
from server.pretraining.options import PretrainOptions, Progress
from server.pretraining.standing import FILE, Keeper
from server.pretraining.trunk import train

CAMERA = Camera(name="dark", operations=(Operation(kind="gamma", low=1, high=2),))


class Killed(Exception):  # noqa: N818 (nothing went wrong)
    """Stands for a power cut."""


def options(**changes: Any) -> PretrainOptions:
    told = {"licence": "test", "width": 0.25, "steps": 5, "batch": 8, "check_every": 2}
    return PretrainOptions(**(told | {"held_out": 0.5, "camera": CAMERA} | changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"adversary": Adversary(steps=1)},
        {"loss": "adaface", "sampling": "root", "augment": ("crop", "colour")},
        {"loss": "triplet"},
    ],
)
def test_a_killed_training_ends_with_the_weights_of_one_that_never_stopped(
    crowd: FaceSet, tmp_path: Path, changes: dict[str, Any]
) -> None:
    told = options(**changes)
    whole = weights(crowd, told)
    keeper = Keeper.of(tmp_path, told, crowd.digest)
    for killed_after in (1, 3):  # before anything was kept, and a step after the first standing
        with pytest.raises(Killed):
            weights(crowd, told, keeper, killed_after)
    seen: list[int] = []
    resumed = weights(crowd, told, keeper, seen=seen)
    assert seen == [3, 4, 5]
    assert all(torch.equal(resumed[name], value) for name, value in whole.items())


def test_a_training_that_is_over_is_not_begun_again(crowd: FaceSet, tmp_path: Path) -> None:
    told = options(steps=3)
    keeper = Keeper.of(tmp_path, told, crowd.digest)
    first = weights(crowd, told, keeper)
    seen: list[int] = []
    again = weights(crowd, told, keeper, seen=seen)
    assert not seen
    assert all(torch.equal(again[name], value) for name, value in first.items())


@pytest.mark.parametrize("changes", [{"learning_rate": 0.2}, {"seed": 1}, {"camera": None}])
def test_the_standing_of_another_training_is_refused(
    crowd: FaceSet, tmp_path: Path, changes: dict[str, Any]
) -> None:
    told = options(steps=1)
    weights(crowd, told, Keeper.of(tmp_path, told, crowd.digest))
    other = options(steps=1, **changes)
    with pytest.raises(RunError, match=f"of another training .*{next(iter(changes))}"):
        weights(crowd, other, Keeper.of(tmp_path, other, crowd.digest))
    with pytest.raises(RunError, match=r"of another training .*pictures"):
        weights(crowd, told, Keeper.of(tmp_path, told, "other pictures"))


def test_a_file_that_is_no_standing_is_refused_and_a_full_disk_is_told(
    crowd: FaceSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = options(steps=2, check_every=1)
    keeper = Keeper.of(tmp_path, told, crowd.digest)
    weights(crowd, told, keeper)
    kept = (tmp_path / FILE).read_bytes()
    (tmp_path / "whole").write_bytes(kept)
    for broken in (b"", kept[:100], b"\xff" * 64, kept[:-9]):
        (tmp_path / FILE).write_bytes(broken)
        with pytest.raises(RunError, match="not the standing"):
            weights(crowd, told, keeper)
    with safe_open(tmp_path / "whole", framework="pt") as file:
        save_file({"left": torch.zeros(1)}, tmp_path / FILE, file.metadata())
    with pytest.raises(RunError, match="is damaged"):
        weights(crowd, told, keeper)
    (tmp_path / FILE).unlink()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("server.pretraining.standing.write_whole", full)
    with pytest.raises(RunError, match="No space left"):
        weights(crowd, told, keeper)


def weights(
    crowd: FaceSet,
    told: PretrainOptions,
    keeper: Keeper | None = None,
    killed_after: int | None = None,
    seen: list[int] | None = None,
) -> dict[str, Tensor]:
    """What training ends with; ``seen`` gets the steps that were made."""

    def report(progress: Progress) -> None:
        if seen is not None:
            seen.append(progress.step)
        if progress.step == killed_after:
            raise Killed

    trained = train(crowd, told, np.random.default_rng(told.seed), report, keeper)
    return dict(trained.model.state_dict())
