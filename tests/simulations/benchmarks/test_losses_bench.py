"""Losses beside one another, at toy sizes: what is trained, who judges, and what is kept."""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from common.errors import RunError
from common.faces.augment import AUGMENTATIONS
from common.faces.faceset import FaceSet
from common.faces.store import save_pack
from common.metrics.pairs import PairList
from server.pretraining.options import MARGINS
from simulations.benchmarks import losses
from simulations.benchmarks.losses import SETTINGS, Judges
from tests.small_pooling import squares

SMALL = ("--steps", "2", "--batch", "8", "--width", "0.1")


@pytest.fixture(scope="module")
def packs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packs")
    save_pack(folder / "train.npz", squares(6, 4, 0))
    save_pack(folder / "unseen.npz", squares(12, 4, 1))
    return folder


def told(packs: Path, out: Path, *more: str) -> list[str]:
    people = ("--train", str(packs / "train.npz"), "--unseen", str(packs / "unseen.npz"))
    return ["--out", str(out), *SMALL, *people, *more]


def run(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> dict[str, Any]:
    losses.main(arguments)
    found: dict[str, Any] = json.loads(
        capsys.readouterr().out.splitlines()[-1], parse_constant=_no_number
    )
    return found


def _no_number(name: str) -> None:
    raise AssertionError(f"{name} is no JSON")


def test_settings_differ_in_loss_and_pictures_and_in_nothing_else() -> None:
    same = argparse.Namespace(steps=2, batch=8, width=0.1, seed=0)
    made = [losses.options_of(name, same) for name in SETTINGS]
    assert len(SETTINGS) == 4 * len(MARGINS) == len({(o.loss, o.augment, o.camera) for o in made})
    assert {o.hardness for o in made if o.loss == "cosface"} == {MARGINS["cosface"][0]}
    assert {len(o.augment) for o in made} == {2, len(AUGMENTATIONS)}
    alike = {(o.steps, o.batch, o.width, o.seed, o.learning_rate, o.scale) for o in made}
    assert len(alike) == 1


def test_a_setting_is_trained_once_and_judged_on_people_as_they_are_and_through_the_camera(
    packs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = told(packs, tmp_path, "--only", "arcface/plain", "--only", "triplet/both")
    first = run(capsys, arguments)
    assert (first["bench"], first["steps"], first["far"]) == ("losses", 2, 0.01)
    settings = first["settings"]
    assert list(settings) == ["arcface/plain", "triplet/both"]
    for figures in settings.values():
        assert list(figures) == ["invented", "through_camera"]
        for one in figures.values():
            assert one["ci95"][0] <= one["tar"] <= one["ci95"][1]
    assert settings["arcface/plain"] != settings["triplet/both"]
    trunks = [(tmp_path / name / "trunk.safetensors").stat().st_mtime_ns for name in settings]
    assert run(capsys, arguments) == first
    again = [(tmp_path / name / "trunk.safetensors").stat().st_mtime_ns for name in settings]
    assert again == trunks


@pytest.mark.parametrize("other", [("--steps", "3"), ("--seed", "1")])
def test_figures_of_another_training_are_not_passed_off(
    packs: Path, tmp_path: Path, other: tuple[str, str]
) -> None:
    arguments = told(packs, tmp_path, "--only", "softmax/plain")
    losses.main(arguments)
    with pytest.raises(RunError, match="another training"):
        losses.main([*arguments, *other])


def test_what_was_trained_is_judged_by_others_without_being_trained_again(
    packs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = told(packs, tmp_path, "--only", "softmax/plain")
    first = run(capsys, arguments)
    trunk = tmp_path / "softmax" / "plain" / "trunk.safetensors"
    written = trunk.stat().st_mtime_ns
    again = run(capsys, [*arguments, "--public", str(packs / "unseen.npz")])
    assert trunk.stat().st_mtime_ns == written
    before, after = (found["settings"]["softmax/plain"] for found in (first, again))
    assert after["invented"] == before["invented"] == after["public"]
    assert "public" not in before


def test_sets_too_small_for_the_rate_say_so_and_not_a_number() -> None:
    few = squares(2, 2, 3)
    judges = Judges({"invented": (few.crops(range(4)), few.person)}, None)
    figures = losses.judged(lambda crops: np.eye(len(crops), dtype=np.float32), judges)
    assert figures == {"invented": {"tar": None, "ci95": None}}


def test_pairs_of_lfw_are_judged_as_its_protocol_says() -> None:
    faces = squares(40, 2, 4)
    judges = Judges({}, (faces, _pairs(faces)))
    person = {crop.tobytes(): who for crop, who in zip(_crops(faces), faces.person, strict=True)}

    def knowing(crops: np.ndarray) -> np.ndarray:
        return np.eye(40, dtype=np.float32)[[person[crop.tobytes()] for crop in crops]]

    found = losses.judged(knowing, judges)["lfw"]
    assert (found["accuracy"], found["pairs"]) == (1.0, 80)
    assert found["tar"] is None  # forty pairs of two people are too few for one in a hundred
    assert losses._of_folds(_pairs(faces), "1").fold.tolist() == [1] * 40


def test_pairs_without_faces_are_refused(packs: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        losses.main(told(packs, tmp_path, "--pairs", str(packs / "train.npz")))
    with pytest.raises(SystemExit):
        losses.main(told(packs, tmp_path, "--only", "arcface/upside-down"))


def _crops(faces: FaceSet) -> np.ndarray:
    return faces.crops(range(len(faces)))


def _pairs(faces: FaceSet) -> PairList:
    """Both pictures of each person, and each person's first beside the next one's, in two folds."""
    first = np.arange(0, len(faces), 2)
    left, right = np.tile(first, 2), np.concatenate([first + 1, np.roll(first, -1)])
    same = np.repeat([True, False], len(first))
    return PairList(left=left, right=right, same=same, fold=np.tile([1, 2], len(first)))
