"""A door may compare by another distance, or pool; no threshold ever decides for another."""

import contextlib
import dataclasses
import itertools
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from client.door.building import PublicPeople
from client.door.decoys import Decoys
from client.door.measures import COSINE, Likeness, Measure, measure_of
from client.door.releases import ReleasePlace, Releases
from client.door.serving import Serving
from client.door.shelf import BASIS, STATE
from client.door.thresholds import Band, Calibration
from client.vault.identity import TemplateId
from client.vault.store import Vault
from common.errors import ConfigError, DeploymentError, NotReadyError, ReleaseError
from common.matching.distances import NAMES
from common.matching.learnt import Learnt
from common.matching.pooling import Pooling, pooled
from common.metrics.verification import unit_rows
from common.models.tail import Tail
from tests.dying_disk import DyingDisk
from tests.small_pooling import at_work, stirred
from tests.small_releases import (
    DIM,
    NOW,
    PEOPLE,
    TARGET,
    TRUNK,
    deciding,
    decisions,
    enrol,
    exactly,
    feature,
    peopled,
    public,
    releases,
    tail_of,
    template,
)
from tests.small_vault import consent, person, place

WEIGHTS = at_work(stirred("attention", 1, DIM, 0.1), TRUNK)
POOLINGS: list[tuple[Pooling, tuple[Learnt, ...]]] = [
    ("best", ()),
    ("quality", ()),
    ("learnt", (WEIGHTS,)),
]
LIKENESSES = [
    Likeness(distance=distance, pooling=pooling, weights=weights)
    for distance, (pooling, weights) in itertools.product(NAMES, POOLINGS)
]
OTHERS = [one for one in LIKENESSES if one != COSINE]
HAMMING, WHITENED = Likeness(distance="hamming"), Likeness(distance="whitened")


def named(likeness: Likeness) -> str:
    return f"{likeness.distance} {likeness.pooling}"


def serving(likeness: Likeness) -> Serving:
    tail = tail_of(1)
    measure = measure_of(likeness, tail.embed(public().of(TRUNK).astype(np.float32)))
    return Serving(TRUNK, tail, measure=measure)


def ids(count: int) -> list[TemplateId]:
    return [TemplateId(n.to_bytes(16, "big")) for n in range(count)]


@pytest.mark.parametrize("likeness", LIKENESSES, ids=named)
def test_people_are_told_from_strangers_by_every_measure(
    quick_path: Path, likeness: Likeness
) -> None:
    with peopled(quick_path) as vault:
        active = deciding(quick_path, vault, likeness).active
        own = [active.verify(feature(n, 5), person(n)) for n in PEOPLE]
        other = [active.verify(feature(n, 5), person((n + 1) % 20)) for n in PEOPLE]
        assert own.count(Band.MATCH) > 8 and other.count(Band.MATCH) <= 3
        assert active.search(feature(3, 0), 1) == [(person(3), Band.MATCH)]
        assert len(active.gallery) == (40 if likeness.pooling == "best" else 20)


@pytest.mark.parametrize("likeness", LIKENESSES, ids=named)
def test_another_process_decides_to_the_bit_alike(quick_path: Path, likeness: Likeness) -> None:
    with peopled(quick_path) as vault:
        made = deciding(quick_path, vault, likeness)
        before = decisions(made), exactly(made.active)
        again = releases(quick_path, vault, likeness=likeness)
        assert (decisions(again), exactly(again.active)) == before
        made.stage(tail_of(2), TRUNK)
        made.promote()
        again = releases(quick_path, vault, likeness=likeness)
        again.rollback()
        assert (decisions(again), exactly(again.active)) == before


@pytest.mark.parametrize("likeness", OTHERS, ids=named)
def test_a_site_that_changes_its_mind_is_calibrated_again_and_back(
    quick_path: Path, likeness: Likeness
) -> None:
    with peopled(quick_path) as vault:
        before = decisions(deciding(quick_path, vault))
        other = releases(quick_path, vault, likeness=likeness)
        found = other.active.calibration
        assert found is not None and found.verify.rate == TARGET.fmr
        assert found.measure.startswith(named(likeness))
        assert decisions(releases(quick_path, vault, likeness=likeness)) == decisions(other)
        assert decisions(releases(quick_path, vault)) == before


@pytest.mark.parametrize("likeness", OTHERS, ids=named)
def test_where_people_are_too_few_nothing_is_decided_by_thresholds_of_another_measure(
    quick_path: Path, likeness: Likeness
) -> None:
    with peopled(quick_path) as vault:
        made = deciding(quick_path, vault)
        gone = [person(n) for n in range(1, 20)]
        vault.erase(gone, NOW)
        made.erased(gone)
        before = exactly(made.active)
        for _ in range(2):
            other = releases(quick_path, vault, likeness=likeness)
            assert not other.status().calibrated
            with pytest.raises(NotReadyError):
                other.galleries.verify({TRUNK: feature(0)}, person(0))
        assert exactly(releases(quick_path, vault).active) == before


@pytest.mark.parametrize("likeness", OTHERS, ids=named)
def test_a_release_comes_back_by_the_measure_it_decided_by_or_not_at_all(
    quick_path: Path, likeness: Likeness
) -> None:
    with peopled(quick_path) as vault:
        made = deciding(quick_path, vault)
        before = decisions(made)
        made.stage(tail_of(2), TRUNK)
        made.promote()
        other = releases(quick_path, vault, likeness=likeness)
        now = decisions(other)
        with pytest.raises(ReleaseError, match="another distance or pooling"):
            other.rollback()
        assert decisions(other) == now
        again = releases(quick_path, vault)
        again.rollback()
        assert decisions(again) == before


@pytest.mark.parametrize("likeness", OTHERS, ids=named)
def test_thresholds_of_another_measure_are_refused(quick_path: Path, likeness: Likeness) -> None:
    with peopled(quick_path) as vault:
        calibration = deciding(quick_path, vault).active.calibration
    with pytest.raises(ReleaseError, match="another distance or pooling"):
        serving(likeness).decide_by(calibration)


def test_by_default_files_are_as_they_always_were(quick_path: Path) -> None:
    with peopled(quick_path) as vault:
        made = deciding(quick_path, vault)
        assert made.active.calibration is not None
        told = json.loads(made.active.calibration.to_bytes())
        assert "measure" not in told
        assert "basis" not in (quick_path / "releases" / STATE).read_text("ascii")
        assert Calibration.from_bytes(json.dumps(told).encode(), "c") == made.active.calibration
        other = dataclasses.replace(made.active.calibration, measure="hamming best")
        assert Calibration.from_bytes(other.to_bytes(), "c") == other


def test_a_basis_knows_public_people_alone(quick_path: Path) -> None:
    found = []
    for name, people in (("a", range(20)), ("b", range(40, 75))):
        folder = quick_path / name
        folder.mkdir()
        with Vault.create(place(folder / "v")) as vault:
            enrol(vault, people)
            deciding(folder, vault, WHITENED)
        found += [{p.name: p.read_bytes() for p in (folder / "releases").glob(f"*{BASIS}")}]
    assert len(found[0]) == 1 and found[0] == found[1]


def test_a_release_keeps_its_basis_whoever_is_public_later(quick_path: Path) -> None:
    with peopled(quick_path) as vault:
        before = decisions(deciding(quick_path, vault, WHITENED))
        at = ReleasePlace(folder=quick_path / "releases", likeness=WHITENED, clock=lambda: NOW)
        assert decisions(Releases(at, vault, public(30))) == before


def test_without_public_people_there_is_no_whitened_distance(quick_path: Path) -> None:
    nobody = PublicPeople(
        features={TRUNK: np.zeros((0, DIM), np.float32)}, person=np.zeros(0, np.int64)
    )
    with peopled(quick_path) as vault:
        deciding(quick_path, vault)
        at = ReleasePlace(folder=quick_path / "releases", likeness=WHITENED, clock=lambda: NOW)
        with pytest.raises(ReleaseError, match="public"):
            Releases(at, vault, nobody)


@pytest.mark.parametrize("name", ["missing", "altered"])
def test_a_basis_that_is_not_the_one_that_was_kept_is_refused(quick_path: Path, name: str) -> None:
    with peopled(quick_path) as vault:
        deciding(quick_path, vault, WHITENED)
        (path,) = (quick_path / "releases").glob(f"*{BASIS}")
        raw = path.read_bytes()
        path.unlink()
        if name == "altered":
            path.write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]))
        with pytest.raises(ReleaseError, match="basis"):
            releases(quick_path, vault, likeness=WHITENED)


@pytest.mark.parametrize("likeness", [HAMMING, WHITENED], ids=named)
def test_any_write_that_fails_while_a_site_changes_leaves_one_or_the_other(
    quick_path: Path, likeness: Likeness
) -> None:
    with peopled(quick_path) as vault:
        before = decisions(deciding(quick_path, vault))
        shutil.copytree(quick_path / "releases", quick_path / "kept")
        after = decisions(releases(quick_path, vault, likeness=likeness))
        fatal, whole = 0, False
        while not whole:
            fatal += 1
            shutil.rmtree(quick_path / "releases")
            shutil.copytree(quick_path / "kept", quick_path / "releases")
            disk = DyingDisk(fatal, for_good=True)
            with contextlib.suppress(DeploymentError):
                releases(quick_path, vault, disk, likeness)
            whole = disk.count < fatal
            wanted, expected = (COSINE, before) if fatal % 2 else (likeness, after)
            assert decisions(releases(quick_path, vault, likeness=wanted)) == expected
        assert fatal > 2


@given(st.permutations(range(12)), st.integers(0, 99))
@settings(max_examples=30)
def test_a_pooled_row_is_the_weighted_mean_in_whatever_order_templates_come(
    order: list[int], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    features = rng.standard_normal((12, DIM)).astype(np.float32)
    persons, quality = [person(n % 3) for n in range(12)], rng.random(12)
    made, again = (serving(Likeness(pooling="quality")) for _ in range(2))
    made.extend(persons, ids(12), features, quality)
    again.extend(
        [persons[n] for n in order],
        [ids(12)[n] for n in order],
        features[order],
        quality[order],
    )
    assert exactly(made) == exactly(again) and len(made.gallery) == 3
    for number in range(3):
        rows = unit_rows(tail_of(1).embed(features[number::3]))
        expected = pooled(rows, quality[number::3])
        assert abs(made.gallery.best(expected, person(number)) - 1) < 1e-3


def test_a_pooled_row_follows_templates_that_come_and_go(quick_path: Path) -> None:
    likeness = Likeness(pooling="quality")
    with peopled(quick_path) as vault:
        made = deciding(quick_path, vault, likeness)
        first = exactly(made.active)
        more = [dataclasses.replace(template(3, view), quality=0.9) for view in (4, 5, 6)]
        vault.refresh(person(3), more, most=8, now=NOW)
        made.enrolled(person(3))
        second = exactly(made.active)
        assert second != first and len(made.active.gallery) == 20
        assert exactly(releases(quick_path, vault, likeness=likeness).active) == second
        vault.erase([person(3)], NOW)
        made.erased([person(3)])
        assert person(3) not in made.active.gallery and len(made.active.gallery) == 19
        vault.enrol(person(50), [template(50, 1)], consent(), now=NOW, label="L")
        made.enrolled(person(50))
        assert len(made.active.gallery) == 20
        with pytest.raises(ValueError, match="all at once"):
            made.active.extend([person(50)], ids(1), feature(50)[None])


def test_nobody_is_divided_where_a_gallery_is_made_in_portions(
    quick_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    likeness = Likeness(pooling="quality")
    with peopled(quick_path) as vault:
        whole = exactly(deciding(quick_path, vault, likeness).active)
        for portion in (1, 3, 7):
            monkeypatch.setattr("client.door.building.PORTION", portion)
            made = releases(quick_path, vault, likeness=likeness)
            assert exactly(made.active) == whole


@pytest.mark.parametrize("likeness", OTHERS, ids=named)
def test_decoys_stand_in_by_the_same_measure(quick_path: Path, likeness: Likeness) -> None:
    with peopled(quick_path) as vault:
        made = deciding(quick_path, vault, likeness)
        decoys = Decoys(os.urandom)
        real, false = made.galleries, decoys.galleries(made.galleries)
        assert false.active is not None and real.active is not None
        assert false.active.measure is real.active.measure
        assert false.verify({TRUNK: feature(3)}, decoys.person(b"claimed")) in list(Band)


def test_a_person_of_whom_nothing_is_left_cannot_be_pooled() -> None:
    tail = Tail(tail_of(1).weight, np.zeros_like(tail_of(1).bias))
    made = Serving(TRUNK, tail, measure=Measure(Likeness(pooling="quality")))
    features = np.stack([feature(1), np.zeros(DIM, np.float32)])
    with pytest.raises(ReleaseError, match="nothing"):
        made.extend([person(1)] * 2, ids(2), features)
    assert len(made.gallery) == 0


def test_the_whitened_distance_takes_a_basis_and_no_other_does() -> None:
    with pytest.raises(ConfigError):
        Measure(WHITENED)
    assert repr(Measure(COSINE)) == "Measure(cosine best)"
