"""The attacks on templates find what they say, and no more than what they were told."""

import json
from pathlib import Path

import numpy as np
import pytest

from client.door.thresholds import Levels
from common.metrics.impostors import Faces
from simulations.benchmarks import recovery
from simulations.benchmarks.recovery_attacks import Curve, Prior, Rows, by_bands, by_pictures

DIM = 24
MARKS = (1, 10, 100, 1000, 10_000)


def unit(rng: np.random.Generator, *shape: int) -> Rows:
    rows = rng.standard_normal(shape)
    rows /= np.linalg.norm(rows, axis=-1, keepdims=True)
    return rows


@pytest.mark.parametrize("threshold", [0.05, 0.3, 0.55])
@pytest.mark.parametrize("seed", range(3))
def test_bands_at_chosen_points_tell_a_template_to_its_last_bits(
    threshold: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    template, other = unit(rng, DIM), unit(rng, DIM)
    other -= (other @ template) * template
    start = 0.6 * template + 0.8 * other / np.linalg.norm(other)
    curve = Curve(template, MARKS)
    prior = Prior(spread=np.eye(DIM) / DIM, likeness=0.5)
    found = by_bands(lambda point: bool(point @ template >= threshold), start, prior, curve)
    assert found[0] == pytest.approx(0.6, abs=1e-6) and found[-1] > 0.999999
    assert curve.calls < 40 * DIM, "bits are not asked for twice"
    assert (np.diff(found) > -0.05).all()


def test_answers_that_have_nothing_to_do_with_a_template_do_not_tell_it() -> None:
    rng = np.random.default_rng(1)
    template, start = unit(rng, DIM), unit(rng, DIM)
    decoy = unit(rng, DIM)
    decoy -= (decoy @ template) * template
    start -= (start @ template) * template
    start += 2 * decoy
    start /= np.linalg.norm(start)
    curve = Curve(template, MARKS)
    prior = Prior(spread=np.eye(DIM) / DIM, likeness=0.5)
    found = by_bands(
        lambda point: bool(point @ decoy >= 0.2 * np.linalg.norm(decoy)), start, prior, curve
    )
    assert abs(found).max() < 0.2


def test_pictures_that_are_all_refused_tell_nothing() -> None:
    pictures = unit(np.random.default_rng(2), 50, DIM)
    curve = Curve(pictures[0], MARKS)
    assert not by_pictures(lambda _: False, pictures, curve).any()


def test_the_curves_are_those_of_scores_bands_and_budgets(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    arguments = ["--people", "3", "--dim", str(DIM), "--calls", "2000", "--out", str(tmp_path)]
    recovery.main(arguments)
    report = json.loads(capsys.readouterr().out)
    assert report == json.loads((tmp_path / "recovery.json").read_text())
    assert (tmp_path / "recovery.png").read_bytes().startswith(b"\x89PNG")
    marks, curves = report["calls"], report["cosine"]
    assert set(curves) == set(recovery.ARMS) and marks[-1] == 1995
    assert all(len(curve) == len(marks) for curve in curves.values())
    assert report["calls_to_99"]["scores"] <= DIM + 2
    assert curves["scores"][-1] == pytest.approx(1, abs=1e-4)
    assert curves["known"][-1] > 0.999 and curves["known"][0] == pytest.approx(0.66, abs=1e-3)
    hourly = report["budget"]["hourly"]
    last = max(i for i, mark in enumerate(marks) if mark <= hourly)
    assert curves["hour"][: last + 1] == curves["known"][: last + 1]
    assert set(curves["hour"][last:]) == {curves["hour"][last]}, "nothing is learnt after it"


def test_people_of_a_pack_lend_one_picture_and_the_threshold() -> None:
    rng = np.random.default_rng(3)
    own = Faces(unit(rng, 60, DIM).astype(np.float32), np.repeat(np.arange(30), 2))
    public = Faces(unit(rng, 3000, DIM).astype(np.float32), np.arange(3000))
    material = recovery.of_faces(own, public, 5)
    assert material.templates.shape == material.mates.shape == (5, DIM)
    assert isinstance(material.levels, Levels) and material.levels.near < material.levels.match


def test_faces_go_with_a_trunk_and_public_people() -> None:
    with pytest.raises(SystemExit):
        recovery.main(["--faces", "pack.npz"])
