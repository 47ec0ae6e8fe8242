"""Thresholds come from the site's own people and public ones, whichever are stricter."""

import dataclasses

import numpy as np
import pytest
from numpy.typing import NDArray

from client.door.calibrating import Material, Target, calibrate
from client.door.thresholds import Band, Calibration
from common.errors import InsufficientCalibrationError
from common.metrics.calibration import threshold_for
from common.metrics.impostors import among
from common.metrics.verification import unit_rows
from common.models.tail import Tail

DIM, OUT = 24, 16
SEEDS = range(0, 40, 10)
TARGET = Target(fmr=0.02, fpir=0.1)

Floats = NDArray[np.float32]


@pytest.mark.parametrize("seed", SEEDS)
def test_rates_hold_among_the_people_compared(seed: int) -> None:
    own, tail = people(seed, 40), tail_of(seed)
    found = calibrate(material(own, people(seed + 1, 80)), tail, TARGET, now=5.0)
    assert found.verify.bound <= found.verify.rate == 0.02
    assert found.verify.own_bound <= 0.02
    assert found.search is not None
    assert found.search.bound <= found.search.rate == 0.1
    for levels in (found.verify, found.search):
        assert levels.near <= levels.match
    assert (found.release, found.trunk, found.gallery, found.made) == (tail.hash, "t", 40, 5.0)


@pytest.mark.parametrize("squeeze", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("seed", SEEDS)
def test_public_people_unlike_the_sites_never_lower_what_its_own_show(
    seed: int, squeeze: float
) -> None:
    # The site's people resemble one another; public people are spread around them, or are
    # all of one look that resembles nobody here.
    tail = tail_of(seed)
    own, public = people(seed, 40, alike=1.5), people(seed + 1, 200)
    other = people(seed + 2, 1, alike=3)[0][:1]
    public = (public[0] * squeeze - other * (1 - squeeze) * 20, public[1])
    alone = calibrate(material(own, nobody()), tail, TARGET, now=0)
    mixed = calibrate(material(own, public), tail, TARGET, now=0)
    assert mixed.verify.match >= alone.verify.match
    shown = among(tail.embed(own[0]), own[1], most=0.2)
    assert mixed.verify.match >= threshold_for(shown, 0.02).value
    assert mixed.verify.own_bound <= 0.02


@pytest.mark.parametrize("seed", SEEDS)
def test_own_people_too_few_for_a_rate_still_forbid_taking_one_for_the_other(seed: int) -> None:
    own, tail = people(seed, 12, alike=2), tail_of(seed)
    far = people(seed + 1, 400)
    found = calibrate(material(own, far), tail, Target(fmr=1e-3, fpir=1e-2), now=0)
    assert found.verify.bound <= 1e-3 < found.verify.own_bound
    unit = unit_rows(tail.embed(own[0]))
    other = own[1][:, None] != own[1][None]
    highest = (unit @ unit.T)[other].max()
    assert found.search is not None
    assert found.decide(float(highest)) != Band.MATCH
    assert found.decide_search(float(highest)) != Band.MATCH
    assert found.search.own_bound > 1e-2


def test_public_people_who_are_harder_raise_the_threshold() -> None:
    own, tail = people(1, 40), tail_of(1)
    twins = (own[0] + people(2, 40, spread=0.1)[0] * 0.1, own[1])
    alone = calibrate(material(own, nobody()), tail, TARGET, now=0)
    mixed = calibrate(material(own, twins), tail, TARGET, now=0)
    assert mixed.verify.match > alone.verify.match


def test_a_new_release_calibrates_itself_from_the_same_features() -> None:
    found = material(people(1, 40), people(2, 100))
    first, second = (calibrate(found, tail_of(seed), TARGET, now=0) for seed in (1, 2))
    assert first.release != second.release
    assert first.verify.match != second.verify.match
    assert first.faces == second.faces
    again = calibrate(found, tail_of(1), TARGET, now=0)
    assert again == first  # after a rollback, to the bit


def test_half_precision_features_and_other_numbers_of_people_change_no_bit() -> None:
    own, public = people(1, 40), people(2, 60)
    half = (own[0].astype(np.float16), own[1])
    whole = (half[0].astype(np.float32), own[1] * 7 + 3)
    made = [calibrate(material(o, public), tail_of(1), TARGET, now=0) for o in (half, whole)]
    assert made[0] == made[1]


@pytest.mark.parametrize("change", ["own", "public", "person", "trunk"])
def test_other_faces_have_another_digest(change: str) -> None:
    found = material(people(1, 5), people(2, 6))
    features, person = people(3, 5)
    others = {
        "own": {"own": features},
        "public": {"public": found.public + 1e-3},
        "person": {"own_person": np.zeros_like(person)},
        "trunk": {"trunk": "u"},
    }
    assert dataclasses.replace(found, **others[change]).digest() != found.digest()


def test_too_few_people_of_either_kind_are_refused() -> None:
    tail = tail_of(1)
    with pytest.raises(InsufficientCalibrationError) as refused:
        calibrate(material(people(1, 10), people(2, 20)), tail, Target(fmr=1e-3), now=0)
    # 45 pairs of 10 people, of 2,996 that 78 have; of 10 people and 20 strangers 200.
    assert refused.value.comparisons == 2996 - 45
    assert refused.value.people in (68, 69, 70, 71, 72)
    with pytest.raises(InsufficientCalibrationError):
        calibrate(material(people(1, 40), nobody()), tail, Target(fmr=0.02, fpir=0.01), now=0)
    for few in (0, 1):
        with pytest.raises(InsufficientCalibrationError):
            calibrate(material(people(1, few), people(2, 20)), tail, TARGET, now=0)


def test_without_a_rate_for_searches_none_is_calibrated() -> None:
    found = calibrate(material(people(1, 40), nobody()), tail_of(1), Target(fmr=0.02, fpir=None), 0)
    assert found.search is None


@pytest.mark.parametrize("rate", [0, -1, 0.3, float("nan")])
def test_rates_out_of_reach_are_mistakes(rate: float) -> None:
    with pytest.raises(ValueError, match="rate"):
        Target(fmr=rate)
    with pytest.raises(ValueError, match="rate"):
        Target(fpir=rate)


def test_realised_rates_of_others_are_within_what_was_stated() -> None:
    # One site, twenty times another forty people: strangers of the same sort, never seen.
    tail, public = tail_of(1), people(10**5, 100)
    inside = [kept(seed, tail, public) for seed in range(20)]
    assert np.mean(inside) >= 0.9


@pytest.mark.parametrize("seed", SEEDS)
def test_people_with_more_templates_are_not_claimed_more_easily(seed: int) -> None:
    # A claim is decided by the best of eight: where one picture was compared with one picture,
    # several times as many impostors would be accepted as were asked for.
    tail, rng = tail_of(seed), np.random.default_rng(seed)
    whole, person = people(seed, 40), np.repeat(np.arange(40), 8)
    own = whole[0][::2][person] + rng.standard_normal((320, DIM)).astype(np.float32) / 2
    found = calibrate(material((own, person), nobody()), tail, Target(fmr=0.02, fpir=None), now=0)
    others = unit_rows(tail.embed(people(seed + 10**6, 400)[0]))
    scores = (others @ unit_rows(tail.embed(own)).T).reshape(-1, 40, 8)
    claims = float(np.mean(scores.max(axis=2) >= np.float32(found.verify.match)))
    assert claims <= 0.02
    pairs = threshold_for(among(tail.embed(own), person, most=0.1), 0.02).value
    assert np.mean(scores.max(axis=2) >= np.float32(pairs)) > claims


def kept(seed: int, tail: Tail, public: tuple[Floats, NDArray[np.int64]]) -> bool:
    own = people(seed, 40)
    found = calibrate(material(own, public), tail, Target(fmr=0.02, fpir=None), now=0)
    return realised(found, tail, own[0], people(seed + 10**6, 400)[0]) <= found.verify.bound


def realised(found: Calibration, tail: Tail, own: Floats, others: Floats) -> float:
    scores = unit_rows(tail.embed(others)) @ unit_rows(tail.embed(own)).T
    return float(np.mean(scores >= np.float32(found.verify.match)))


def material(
    own: tuple[Floats, NDArray[np.int64]], public: tuple[Floats, NDArray[np.int64]]
) -> Material:
    return Material(
        trunk="t", own=own[0], own_person=own[1], public=public[0], public_person=public[1]
    )


def nobody() -> tuple[Floats, NDArray[np.int64]]:
    return np.empty((0, DIM), np.float32), np.empty(0, np.int64)


def people(
    seed: int, count: int, *, alike: float = 0.0, spread: float = 1.0
) -> tuple[Floats, NDArray[np.int64]]:
    """Two features each; ``alike`` is how far all of them lie from the middle, in one direction."""
    rng = np.random.default_rng(seed)
    person = np.repeat(np.arange(count), 2)
    mean = rng.standard_normal(DIM) * alike
    means = rng.standard_normal((count, DIM)) * spread + mean
    rows = means[person] + rng.standard_normal((2 * count, DIM)) / 2
    return rows.astype(np.float32), person


def tail_of(seed: int) -> Tail:
    rng = np.random.default_rng(seed)
    weight = rng.standard_normal((OUT, DIM)).astype(np.float32)
    return Tail(weight, np.zeros(OUT, np.float32))
