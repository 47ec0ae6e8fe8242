import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from common.errors import ConfigError, DataSetError, RunError
from common.faces.faceset import FaceSet
from common.faces.store import save_pack
from server.cli import main
from server.pretraining import folds as room
from server.pretraining.folds import Validated, cross_validate
from server.pretraining.options import PretrainOptions, Report
from server.pretraining.standing import Keeper

TOLD = PretrainOptions(licence="test", width=0.25, steps=1, batch=8, held_out=0.3)


def test_each_trunk_is_judged_by_people_it_never_saw_and_only_missing_ones_are_trained(
    crowd: FaceSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[set[int]] = []
    judged: list[set[int]] = []
    watch(monkeypatch, trained, judged)
    first = validate(crowd, tmp_path)
    assert [p.name for p in sorted(tmp_path.iterdir())] == ["fold-1", "fold-2"]
    everybody = set(crowd.people.tolist())
    for learned, asked in zip(trained, judged, strict=True):
        assert not learned & asked
        assert learned | asked == everybody
    assert judged[0] | judged[1] == everybody and not judged[0] & judged[1]
    assert first.ci95[0] <= first.tar <= first.ci95[1]
    assert first.tar == pytest.approx(np.mean(first.by_fold))
    shutil.rmtree(tmp_path / "fold-2")
    trained.clear()
    assert validate(crowd, tmp_path) == first, "the same trunk again, judged by the same people"
    assert len(trained) == 1


def test_a_trunk_of_another_training_is_judged_by_nobody(crowd: FaceSet, tmp_path: Path) -> None:
    def keeping(options: PretrainOptions) -> Any:
        def begin(number: int) -> tuple[Report, Keeper]:
            place = tmp_path / "kept" / f"fold-{number}"
            return lambda _: None, Keeper.of(place, options, f"without {number}")

        return begin

    first = cross_validate(crowd, tmp_path / "out", TOLD, 2, keeping(TOLD))
    assert cross_validate(crowd, tmp_path / "out", TOLD, 2, keeping(TOLD)) == first
    longer = dataclasses.replace(TOLD, steps=2)
    with pytest.raises(RunError, match=r"another training \(steps\)"):
        cross_validate(crowd, tmp_path / "out", longer, 2, keeping(longer))
    shutil.rmtree(tmp_path / "kept")
    with pytest.raises(RunError, match="not the standing"):
        cross_validate(crowd, tmp_path / "out", TOLD, 2, keeping(TOLD))


def test_folds_that_nobody_can_judge_by_are_refused_before_any_training(
    crowd: FaceSet, tmp_path: Path
) -> None:
    with pytest.raises(DataSetError, match="fewer folds"):
        validate(crowd.of_people(range(8)), tmp_path)
    with pytest.raises(ConfigError, match="at least 2"):
        validate(crowd, tmp_path, 1)
    assert not list(tmp_path.iterdir())


def test_the_command_tells_the_mean_and_its_interval_and_keeps_each_fold(
    crowd: FaceSet, tmp_path: Path
) -> None:
    save_pack(tmp_path / "faces.npz", crowd)
    told = ["pretrain", "--faces", tmp_path / "faces.npz", "--licence", "x", "--folds", 2]
    told += ["--steps", 1, "--width", 0.25, "--held-out", 0.3, "--out", tmp_path / "out"]
    told += ["--checkpoint", tmp_path / "kept"]
    done = CliRunner().invoke(main, [str(part) for part in told])
    assert done.exit_code == 0, done.output
    answer = json.loads(done.stdout)
    assert answer["ci95"][0] <= answer["tar"] <= answer["ci95"][1]
    assert len(answer["tar_by_fold"]) == 2
    for place in ("out/fold-1/trunk.toml", "out/fold-2/trunk.toml"):
        assert (tmp_path / place).exists()
    assert sorted(p.name for p in (tmp_path / "kept").iterdir()) == ["fold-1", "fold-2"]
    again = CliRunner().invoke(main, [str(part) for part in told])
    assert again.exit_code == 1 and "holds something already" in again.stderr


def validate(faces: FaceSet, folder: Path, folds: int = 2) -> Validated:
    return cross_validate(faces, folder, TOLD, folds, begin)


def begin(_: int) -> tuple[Report, Keeper | None]:
    return lambda _: None, None


def watch(monkeypatch: pytest.MonkeyPatch, trained: list[set[int]], judged: list[set[int]]) -> None:
    """Notes who is trained on and who judges."""
    train, check = room.pretrain, room.CheckSet

    def pretrain(faces: FaceSet, *others: Any) -> Any:
        trained.append(set(faces.people.tolist()))
        return train(faces, *others)

    def check_set(faces: FaceSet, *others: Any) -> Any:
        if len(judged) < 2:
            judged.append(set(faces.people.tolist()))
        return check(faces, *others)

    monkeypatch.setattr(room, "pretrain", pretrain)
    monkeypatch.setattr(room, "CheckSet", check_set)
