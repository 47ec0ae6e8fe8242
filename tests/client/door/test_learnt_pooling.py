"""A door pools by weights that were learnt: the same everywhere, and for each trunk its own."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from client.cli import main
from client.door.measures import COSINE, Likeness, Measure, Pictures
from client.door.rules import DoorRules
from client.door.serving import Serving
from client.door.thresholds import Band
from client.vault.identity import TemplateId
from common.config import build
from common.errors import ConfigError, ModelError, NotReadyError, ReleaseError
from common.matching.learnt import Kind, Learnt
from common.matching.pooling import pooled_by
from common.metrics.verification import unit_rows
from common.models.trunk import load_trunk
from tests.small_move import LOOSE, MANY, Move, hashes, new_tail
from tests.small_pooling import at_work, stirred, written
from tests.small_reception import ANYTHING
from tests.small_releases import (
    DIM,
    PEOPLE,
    deciding,
    decisions,
    exactly,
    feature,
    peopled,
    releases,
    seen,
    tail_of,
)
from tests.small_vault import NOW, OTHER, TRUNK, person


def weights(trunk: str = TRUNK, seed: int = 0, kind: Kind = "attention") -> Learnt:
    return at_work(stirred(kind, seed, DIM), trunk)


def learnt(*several: Learnt) -> Likeness:
    return Likeness(pooling="learnt", weights=several)


QUALITY, ONE = Likeness(pooling="quality"), learnt(weights())


def ids(count: int) -> list[TemplateId]:
    return [TemplateId(n.to_bytes(16, "big")) for n in range(count)]


@given(st.permutations(range(12)), st.integers(0, 99), st.sampled_from(["attention", "recurrent"]))
@settings(max_examples=30)
def test_a_row_is_the_mean_by_learnt_weights_in_whatever_order_templates_come(
    order: list[int], seed: int, kind: Kind
) -> None:
    rng, chosen = np.random.default_rng(seed), weights(seed=seed, kind=kind)
    features = rng.standard_normal((12, DIM)).astype(np.float16)
    persons, quality = [person(n % 3) for n in range(12)], rng.random(12)
    made, again = (Serving(TRUNK, tail_of(1), measure=Measure(learnt(chosen))) for _ in range(2))
    made.extend(persons, ids(12), features, quality)
    again.extend(
        [persons[n] for n in order],
        [ids(12)[n] for n in order],
        features[order],
        quality[order],
    )
    assert exactly(made) == exactly(again) and len(made.gallery) == 3
    for number in range(3):
        rows = unit_rows(tail_of(1).embed(features[number::3].astype(np.float32)))
        expected = pooled_by(rows, chosen.shares(features[number::3], quality[number::3]))
        assert abs(made.gallery.best(expected, person(number)) - 1) < 1e-3


def test_a_person_with_one_picture_is_as_they_were() -> None:
    rng = np.random.default_rng(0)
    features = rng.standard_normal((5, DIM)).astype(np.float32)
    embeddings = unit_rows(tail_of(1).embed(features))
    shown = Pictures(features=features, embeddings=embeddings, quality=rng.random(5))
    together = Measure(ONE).together(shown, [[n] for n in range(5)])
    assert np.allclose(together, embeddings, atol=1e-6)


def test_a_measure_is_called_by_its_weights_and_has_those_of_one_trunk() -> None:
    assert Measure(ONE).name == f"cosine learnt {weights().name}"
    for wrong in (
        learnt(),
        learnt(weights(), weights(OTHER)),
        Likeness(weights=(weights(),)),
        Likeness(pooling="quality", weights=(weights(),)),
    ):
        with pytest.raises(ConfigError, match="weights of a trunk"):
            Measure(wrong)


def test_a_trunk_without_weights_is_pooled_by_quality() -> None:
    both = learnt(weights(), weights(OTHER, 1))
    assert both.at(OTHER).weights == (both.weights[1],)
    assert ONE.at(TRUNK) == ONE and ONE.at(OTHER) == QUALITY
    assert COSINE.at(TRUNK) is not None and COSINE.at(TRUNK) == COSINE


@pytest.mark.parametrize("before", [COSINE, QUALITY, learnt(weights(seed=5))])
def test_thresholds_of_another_pooling_do_not_decide_until_others_are_found(
    quick_path: Path, before: Likeness
) -> None:
    with peopled(quick_path) as vault:
        made = deciding(quick_path, vault, before)
        old = made.active.calibration
        with pytest.raises(ReleaseError, match="another distance or pooling"):
            Serving(TRUNK, tail_of(1), measure=Measure(ONE)).decide_by(old)
        shutil.copytree(quick_path / "releases", quick_path / "kept")
        now = releases(quick_path, vault, likeness=ONE).active.calibration
        assert old is not None and now is not None
        assert (old.measure, now.measure) == (Measure(before).name, Measure(ONE).name)
        shutil.rmtree(quick_path / "releases")
        shutil.copytree(quick_path / "kept", quick_path / "releases")
        vault.erase([person(n) for n in PEOPLE[1:]], NOW)
        few = releases(quick_path, vault, likeness=ONE)
        assert not few.status().calibrated
        with pytest.raises(NotReadyError):
            few.galleries.verify(seen(0), person(0))


def test_a_new_tail_is_pooled_by_the_same_weights_and_the_old_comes_back_to_the_bit(
    quick_path: Path,
) -> None:
    with peopled(quick_path) as vault:
        made = deciding(quick_path, vault, ONE)
        before = decisions(made), exactly(made.active)
        made.stage(tail_of(2), TRUNK)
        assert made.staged is not None
        assert made.staged.measure.name == made.active.measure.name
        made.observe(seen(3), person(3))
        assert made.status().probes == 1
        made.promote()
        assert made.active.calibration is not None
        assert made.active.calibration.measure == Measure(ONE).name
        second = exactly(made.active)
        for _ in range(2):
            made = releases(quick_path, vault, likeness=ONE)
            assert exactly(made.active) == second
        made.rollback()
        assert (decisions(made), exactly(made.active)) == before
        made = releases(quick_path, vault, likeness=ONE)
        assert (decisions(made), exactly(made.active)) == before


def test_no_release_comes_back_by_other_weights(quick_path: Path) -> None:
    with peopled(quick_path) as vault:
        made = deciding(quick_path, vault, ONE)
        before = decisions(made)
        made.stage(tail_of(2), TRUNK)
        made.promote()
        for other in (learnt(weights(seed=1)), QUALITY):
            with pytest.raises(ReleaseError, match="another distance or pooling"):
                releases(quick_path, vault, likeness=other).rollback()
        again = releases(quick_path, vault, likeness=ONE)
        again.rollback()
        assert decisions(again) == before


def test_each_of_two_trunks_is_pooled_by_its_own_weights_or_by_quality(quick_path: Path) -> None:
    both = learnt(weights(OTHER, 1), weights())
    with peopled(quick_path, TRUNK, OTHER) as vault:
        deciding(quick_path, vault, ONE)
        made = releases(quick_path, vault, likeness=both)
        before = decisions(made), exactly(made.active)
        made.stage(tail_of(2), OTHER)
        made.promote()
        assert made.beside is not None
        names = made.active.measure.name, made.beside.measure.name
        assert names == tuple(f"cosine learnt {one.name}" for one in both.weights)
        one = releases(quick_path, vault, likeness=learnt(weights(OTHER, 1)))
        assert one.beside is not None and one.beside.measure.name == "cosine quality"
        assert one.beside.calibration is not None and one.active.calibration is not None
        assert one.beside.calibration.measure == "cosine quality"
        with pytest.raises(ReleaseError, match="another distance or pooling"):
            one.rollback()
        made = releases(quick_path, vault, likeness=both)
        made.rollback()
        assert (decisions(made), exactly(made.active)) == before
        made.stage(tail_of(2), OTHER)
        made.promote()
        now = exactly(made.active)
        made.retire()
        assert exactly(made.active) == now
        assert exactly(releases(quick_path, vault, likeness=both).active) == now


def test_who_comes_again_is_pooled_anew(quick_path: Path) -> None:
    with peopled(quick_path) as vault:
        made = deciding(quick_path, vault, ONE)
        held = vault.held(person(3), TRUNK)
        made.enrolled(person(3))
        held = sorted(held, key=lambda one: one.template)
        features = np.stack([one.feature for one in held])
        quality = np.array([one.quality for one in held])
        rows = unit_rows(tail_of(1).embed(features.astype(np.float32)))
        expected = pooled_by(rows, weights().shares(features, quality))
        assert abs(made.active.gallery.best(expected, person(3)) - 1) < 1e-3
        assert made.active.verify(feature(3, 5), person(3)) in list(Band)


@pytest.mark.parametrize(
    "wrong",
    [
        {"pooling": "learnt"},
        {"pooling_weights": "x"},
        {"pooling": "quality", "pooling_weights": "x"},
        {"pooling": "learnt", "old_pooling_weights": "x", "old_trunk": "t"},
        {"pooling": "learnt", "pooling_weights": "x", "old_pooling_weights": "y"},
    ],
)
def test_weights_and_what_they_are_for_are_named_together(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="pooling_weights"):
        build(DoorRules, wrong, "site.toml [door]")


@pytest.fixture(scope="module")
def move(tmp_path_factory: pytest.TempPathFactory) -> Move:
    return Move(tmp_path_factory.mktemp("learnt"))


def lines(new: Path, old: Path | None = None) -> list[str]:
    told = ['pooling = "learnt"', f"pooling_weights = {json.dumps(str(new))}"]
    return told if old is None else [*told, f"old_pooling_weights = {json.dumps(str(old))}"]


def own(bands: list[Any]) -> list[Band]:
    return [row[number] for number, row in enumerate(bands[:MANY])]


def test_a_site_pools_as_was_learnt_and_moves_to_a_new_trunk_with_its_weights(move: Move) -> None:
    names, folder = hashes(move), move.home.folder
    dims = [load_trunk(one)[0].feature_dim for one in (move.old, move.new)]
    old, new = (
        written(folder / f"{name}.pooling.safetensors", trunk, dim)
        for name, trunk, dim in zip(("old", "new"), names, dims, strict=True)
    )
    move.trunks()
    with move.door() as door:
        people = [move.show(door, number) for number in range(MANY)]
        door.reception.calibrate(ANYTHING, LOOSE)
        assert own(move.bands(door, people)).count(Band.MATCH) > MANY // 2
    move.trunks(also=lines(Path(old.name)))  # beside site.toml
    with move.door() as door:
        held = door.reception._parts.releases.galleries
        assert len(held.lead().gallery) == MANY
        assert held.lead().measure.name.startswith("cosine learnt")
        first = move.bands(door, people)
        assert own(first).count(Band.MATCH) > MANY // 2
    told = CliRunner().invoke(main, ["evaluate", "--home", str(folder)])
    assert told.exit_code == 0, told.output
    assert json.loads(told.stdout)["releases"]["decides"]["calibrated"]
    move.trunks(new=True, old=True, also=lines(new, old))
    with move.door() as door:
        assert move.bands(door, people) == first, "by its own weights, as before"
        door.reception.stage(ANYTHING, new_tail(move), names[1])
        for number in range(MANY):
            move.show(door, number, people[number])
        door.reception.calibrate(ANYTHING, LOOSE)
        before = move.bands(door, people)
        door.reception.promote(ANYTHING)
        door.reception.rollback(ANYTHING)
        assert move.bands(door, people) == before


@pytest.mark.parametrize("which", ["site", "old", "dim"])
def test_weights_of_another_trunk_are_refused_at_the_start(move: Move, which: str) -> None:
    old, new = hashes(move)
    dim = load_trunk(move.old)[0].feature_dim
    right = written(move.home.folder / "right", new, dim)
    wrong = written(
        move.home.folder / "wrong", new if which != "site" else old, dim + (which == "dim")
    )
    said = lines(right, wrong) if which == "old" else lines(wrong)
    move.trunks(new=True, old=True, also=said)
    name = "old_pooling_weights" if which == "old" else "^pooling_weights"
    with pytest.raises(ConfigError, match=name), move.door():
        raise AssertionError("it opened")


@pytest.mark.parametrize("content", [None, b"", b"\xff" * 64, b"\x02\0\0\0\0\0\0\0{}"])
def test_a_file_that_holds_no_weights_opens_no_door(move: Move, content: bytes | None) -> None:
    path = move.home.folder / "broken"
    path.unlink(missing_ok=True)
    if content is not None:
        path.write_bytes(content)
    move.trunks(also=lines(path))
    with pytest.raises(ModelError, match="broken"), move.door():
        raise AssertionError("it opened")
