"""One release at work gives bands alone, and the same ones whatever else it embeds."""

import copy
import gc
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.door.calibrating import Target
from client.door.serving import Serving
from client.door.thresholds import Band
from client.vault.identity import TemplateId
from common.errors import ModelError, NotReadyError, ReleaseError, UnknownPersonError
from common.matching.directions import BLOCK
from common.metrics.verification import unit_rows
from common.models.tail import Tail
from tests.small_releases import (
    DIM,
    NOW,
    OUT,
    PEOPLE,
    TARGET,
    TRUNK,
    Floats,
    deciding,
    feature,
    peopled,
    releases,
    tail_of,
)
from tests.small_vault import person


def drawn(seed: int, count: int, dim: int = DIM) -> Floats:
    return np.random.default_rng(seed).standard_normal((count, dim)).astype(np.float32)


def ids(first: int, count: int) -> list[TemplateId]:
    return [TemplateId(n.to_bytes(16, "big")) for n in range(first, first + count)]


def test_an_embedding_is_the_tails_at_length_one() -> None:
    features, tail = drawn(1, 100), tail_of(3)
    rows = Serving(TRUNK, tail).embed(features)
    assert rows.shape == (100, OUT) and rows.dtype == np.float32
    assert np.abs(rows - unit_rows(tail.embed(features))).max() < 1e-6


@pytest.mark.parametrize(("dim", "out"), [(DIM, OUT), (512, 128), (2048, 512)])
def test_a_row_is_the_same_to_the_bit_wherever_it_is_embedded(dim: int, out: int) -> None:
    rng = np.random.default_rng(dim)
    weight = rng.standard_normal((out, dim)).astype(np.float32)
    serving = Serving(TRUNK, Tail(weight, np.zeros(out, np.float32)))
    features = drawn(2, 3 * BLOCK + 5, dim)
    together = serving.embed(features)
    alone = np.concatenate([serving.embed(row[None]) for row in features])
    assert together.tobytes() == alone.tobytes()
    order = rng.permutation(len(features))
    assert serving.embed(features[order]).tobytes() == together[order].tobytes()


@given(st.lists(st.integers(1, 3 * BLOCK), min_size=1, max_size=4), st.integers(0, 9))
def test_a_gallery_is_the_same_in_whatever_portions_it_was_filled(
    portions: list[int], seed: int
) -> None:
    features, serving = drawn(seed, sum(portions)), Serving(TRUNK, tail_of(4))
    whole = serving.embed(features)
    edges = np.cumsum(portions)[:-1]
    parts = [serving.embed(part) for part in np.split(features, edges)]
    assert np.concatenate(parts).tobytes() == whole.tobytes()


def test_features_of_another_length_or_not_finite_are_refused() -> None:
    serving = Serving(TRUNK, tail_of(1))
    for wrong in (drawn(1, 2, DIM + 1), drawn(1, 2)[0]):
        with pytest.raises(ModelError, match="features must be"):
            serving.embed(wrong)
    broken = drawn(1, 2)
    broken[1, 3] = np.nan
    with pytest.raises(ModelError):
        serving.embed(broken)


def test_nothing_is_decided_without_a_calibration() -> None:
    serving = Serving(TRUNK, tail_of(1))
    serving.extend([person(1)], ids(1, 1), drawn(1, 1))
    for ask in (
        lambda: serving.verify(drawn(1, 1)[0], person(1)),
        lambda: serving.search(drawn(1, 1)[0]),
        lambda: serving.resembles(drawn(1, 1)[0]),
    ):
        with pytest.raises(NotReadyError):
            ask()


def test_people_are_told_from_strangers_and_the_best_template_counts(quick_path: Path) -> None:
    with peopled(quick_path) as vault:
        serving = deciding(quick_path, vault).active
        own = [serving.verify(feature(n, 5), person(n)) for n in PEOPLE]
        other = [serving.verify(feature(n, 5), person((n + 1) % 20)) for n in PEOPLE]
        assert own.count(Band.MATCH) > 15 and other.count(Band.MATCH) <= 3
        assert all(
            serving.verify(feature(n, v), person(n)) == Band.MATCH for n in (1, 2) for v in (0, 1)
        )
        assert serving.search(feature(3, 0), 1) == [(person(3), Band.MATCH)]
        assert serving.resembles(feature(3, 0)) and not serving.resembles(-feature(3, 0))
        assert serving.search(-feature(3, 0)) == []
        only = serving.filter([person(4)])
        assert all(found != person(3) for found, _ in serving.search(feature(3, 0), 5, only))
        assert all(band != Band.NO for _, band in serving.search(feature(5, 8), 5))
        with pytest.raises(UnknownPersonError):
            serving.verify(feature(3), person(77))
        assert serving.drop(person(3)) == 2
        assert all(found != person(3) for found, _ in serving.search(feature(3, 0)))


def test_where_searches_are_not_calibrated_only_claims_and_duplicates_are_judged(
    quick_path: Path,
) -> None:
    with peopled(quick_path) as vault:
        made = releases(quick_path, vault)
        made.stage(tail_of(1), TRUNK)
        made.calibrate(Target(fmr=0.05, fpir=None), NOW)
        assert made.active.verify(feature(3, 0), person(3)) == Band.MATCH
        assert made.active.resembles(feature(3, 0))
        for probe in (feature(3), np.zeros(DIM, np.float32)):
            with pytest.raises(NotReadyError, match="searching"):
                made.active.search(probe)


def test_a_feature_of_which_nothing_is_left_is_nobodys(quick_path: Path) -> None:
    with peopled(quick_path) as vault:
        made = releases(quick_path, vault)
        made.stage(Tail(tail_of(1).weight, np.zeros(OUT, np.float32)), TRUNK)
        made.calibrate(TARGET, NOW)
        nothing = np.zeros(DIM, np.float32)
        assert made.active.verify(nothing, person(3)) == Band.NO
        assert made.active.search(nothing) == [] and not made.active.resembles(nothing)
        with pytest.raises(UnknownPersonError):
            made.active.verify(nothing, person(77))
        with pytest.raises(ReleaseError, match="nothing"):
            made.active.extend([person(50)], ids(1, 1), nothing[None])


def test_thresholds_of_another_release_or_trunk_are_refused(quick_path: Path) -> None:
    with peopled(quick_path) as vault:
        calibration = deciding(quick_path, vault).active.calibration
    for trunk, tail in (("9f" * 32, tail_of(1)), (TRUNK, tail_of(2))):
        with pytest.raises(ReleaseError):
            Serving(trunk, tail, calibration)


def test_rows_are_zeroed_once_nobody_holds_the_release() -> None:
    serving = Serving(TRUNK, tail_of(1))
    serving.extend([person(1)], ids(1, 1), drawn(1, 1))
    rows = serving.gallery._matrix._arrays["rows"]
    assert rows.any()
    del serving
    gc.collect()
    assert not rows.any()


def test_it_neither_travels_nor_shows_anything() -> None:
    serving = Serving(TRUNK, tail_of(1))
    assert repr(serving) == f"Serving({serving.release[:12]})"
    for away in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError, match="stays"):
            away(serving)
