import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from safetensors.numpy import load_file

from common.detection.detector import OwnDetector
from common.detection.weights import NAME
from common.errors import ConfigError, RunError
from common.synthetic.collages import Collages
from server.cli import main
from server.detecting import training
from server.detecting.material import PEOPLE, draw_batch, make_collages, mirrored
from server.detecting.options import DetectorOptions
from server.detecting.state import STATE, Check
from server.detecting.training import Lessons, train_detector

TOY = DetectorOptions(
    people=3, places=1, side=64, batch=2, steps=6, width=0.25, scenes=1, check_every=3
)


def untold(*_: object) -> None:
    """Nobody listens."""


@pytest.fixture(scope="module")
def cut_out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the people of ``TOY``, cut out once for all tests."""
    folder = tmp_path_factory.mktemp("people")
    make_collages(TOY, folder, untold)
    return folder


@pytest.fixture(scope="module")
def collages(cut_out: Path) -> Collages:
    return make_collages(TOY, cut_out, untold)


def begun(folder: Path, cut_out: Path) -> Path:
    folder.mkdir()
    (folder / PEOPLE).write_bytes((cut_out / PEOPLE).read_bytes())
    return folder


def test_people_are_kept_as_they_were_cut_out(cut_out: Path, tmp_path: Path) -> None:
    kept, fresh = (make_collages(TOY, where, untold) for where in (cut_out, tmp_path))
    for one, other in zip(kept.people, fresh.people, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(one.copies, other.copies, strict=True))
        assert np.array_equal(one.landmarks, other.landmarks)
        assert one.box == other.box


def test_a_training_cut_off_ends_as_one_that_was_not(cut_out: Path, tmp_path: Path) -> None:
    whole, parts = begun(tmp_path / "whole", cut_out), begun(tmp_path / "parts", cut_out)
    told: list[training.Progress] = []
    made = train_detector(whole, TOY, untold, told.append)
    assert made.ended
    assert [one.step for one in told] == [1, 2, 3, 4, 5, 6]
    assert [one.step for one in told if one.check] == [3, 6]
    first = train_detector(parts, TOY, untold, told.append, minutes=0)
    assert not first.ended
    assert first.step == 1
    again = train_detector(parts, TOY, untold, told.append)
    assert again.manifest == made.manifest
    one, other = (load_file(folder / "detector.safetensors") for folder in (whole, parts))
    assert all(np.array_equal(one[name], other[name]) for name in one)
    assert not {STATE, PEOPLE} & {path.name for path in whole.iterdir()}
    OwnDetector(whole).find(np.zeros((40, 50, 3), np.uint8))


def test_what_is_there_is_not_trained_over(cut_out: Path, tmp_path: Path) -> None:
    folder = begun(tmp_path / "detector", cut_out)
    train_detector(folder, TOY, untold, untold, minutes=0)
    other = dataclasses.replace(TOY, seed=1)
    with pytest.raises(RunError, match="other options"):
        train_detector(folder, other, untold, untold)
    (folder / STATE).unlink()
    (folder / NAME).write_text("[detector]\n")
    with pytest.raises(RunError, match="already"):
        train_detector(folder, TOY, untold, untold)


def test_the_mirror_shows_the_same_faces_on_the_other_side(collages: Collages) -> None:
    batch = draw_batch(collages, 4, np.random.default_rng(3))
    seen = mirrored(batch, TOY.side, np.random.default_rng(0))
    back = mirrored(seen, TOY.side, np.random.default_rng(0))
    told = batch.face == 1
    assert told.any()
    assert np.array_equal(back.face, batch.face)
    assert np.allclose(back.box[told], batch.box[told], atol=1e-4)
    assert np.allclose(back.landmarks[told], batch.landmarks[told], atol=1e-4)
    assert not np.array_equal(seen.face, batch.face)
    left, right = seen.landmarks[seen.face == 1][:, 0], seen.landmarks[seen.face == 1][:, 2]
    assert (left < right).mean() > 0.9  # eyes as the viewer sees them


def test_in_the_mirror_truth_stays_on_its_pixel(collages: Collages) -> None:
    batch = draw_batch(collages, 1, np.random.default_rng(3))
    batch.pictures[:] = 0
    cell = np.flatnonzero(batch.face[0] == 1)[0]
    batch.landmarks[0, cell, :2] = batch.box[0, cell, :2] = 10, 20
    batch.pictures[0, 20, 10] = 255
    seen = mirrored(batch, TOY.side, np.random.default_rng(0))
    at = int(seen.pictures[0, 20, :, 0].argmax()), 20
    points = seen.landmarks[seen.face == 1].reshape(-1, 5, 2)
    boxes = seen.box[seen.face == 1][:, :2]
    assert (np.abs(points - at).sum(axis=2) < 1e-4).any()
    assert (np.abs(boxes - at).sum(axis=1) < 1e-4).any()


def test_people_of_another_seed_are_not_taken(cut_out: Path, tmp_path: Path) -> None:
    folder = begun(tmp_path / "detector", cut_out)
    other = dataclasses.replace(TOY, seed=1, people=1)
    one, fresh = (make_collages(other, where, untold).people[0] for where in (folder, tmp_path))
    assert np.array_equal(one.copies[0], fresh.copies[0])


@pytest.mark.parametrize("alarms", [0.1, 0.01])
def test_a_threshold_lets_no_more_false_alarms_through_than_it_says(
    alarms: float, cut_out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = begun(tmp_path / "detector", cut_out)
    scores = np.linspace(0.1, 0.9, 100)
    threshold = float(np.sort(scores)[::-1][int(100 * alarms)])
    check = Check(recall=1.0, threshold=threshold, certain=threshold, landmark_error=0.1)
    monkeypatch.setattr(training, "check_scenes", lambda *_: check)
    made = train_detector(folder, dataclasses.replace(TOY, steps=1), untold, untold).manifest
    assert made is not None
    assert (scores >= made.threshold).sum() == int(100 * alarms)


def test_a_step_meets_the_same_batch_whenever_it_is_taken(collages: Collages) -> None:
    going, fresh = Lessons(collages, TOY), Lessons(collages, TOY)
    for step in (1, 2, 3):
        wanted = going.batch(step)
    assert np.array_equal(fresh.batch(3).pictures, wanted.pictures)
    assert np.array_equal(Lessons(collages, TOY).batch(2).pictures, going.batch(2).pictures)


def test_a_share_of_collages_has_no_colour(collages: Collages) -> None:
    seen = draw_batch(collages, 60, np.random.default_rng(0)).pictures
    grey = [(one == one[..., :1]).all() for one in seen]
    assert 5 < sum(grey) < 30


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"side": 100}, {"learning_rate": 0.0}])
def test_options_that_cannot_be_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        DetectorOptions(**wrong)  # type: ignore[arg-type]


def test_the_command_says_how_far_it_came(
    cut_out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = begun(tmp_path / "detector", cut_out)
    monkeypatch.setattr(training, "make_scenes", lambda *_: [])
    asked = ["detector", "train", "--out", str(folder), "--people", "3", "--steps", "6"]
    asked += ["--batch", "1", "--width", "0.25", "--minutes", "1e-9"]
    done = CliRunner().invoke(main, asked)
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told == {"ended": False, "step": 1, "steps": 6}
    assert "goes on" in done.stderr
