"""A threshold keeps its rate on other people; too few people are refused, never stretched."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import InsufficientCalibrationError
from common.metrics.calibration import (
    above_all,
    accepted_at,
    least_rate,
    match_rate,
    threshold_for,
)
from common.metrics.impostors import Faces, GroupedScores, among, between
from common.metrics.intervals import person_weights

SEEDS = st.integers(0, 10**6)


def test_the_variance_is_that_of_redrawing_people_again_and_again() -> None:
    # Exactly the bootstrap that the closed form stands for, by 20,000 draws of it.
    impostors = compared(3, 60, 2)
    accepted = 400
    weights = person_weights(60, 20_000, 0)
    first, second = impostors.first[:accepted], impostors.second[:accepted]
    counted = (weights[:, first] * weights[:, second]).sum(axis=1)
    pairs = (weights.sum(axis=1) ** 2 - (weights**2).sum(axis=1)) / 2
    drawn = counted / (4 * pairs)
    rate = match_rate(impostors, accepted)
    assert rate.value == accepted / impostors.comparisons
    assert np.sqrt(rate.variance) == pytest.approx(drawn.std(), rel=0.05)


@given(seed=SEEDS, people=st.integers(30, 60), fmr=st.sampled_from([0.02, 0.05, 0.1]))
def test_the_bound_keeps_the_rate_and_the_estimate_lies_below(
    seed: int, people: int, fmr: float
) -> None:
    impostors = compared(seed, people, 2)
    strict, seen = threshold_for(impostors, fmr), threshold_for(impostors, fmr, "estimate")
    assert strict.estimate < strict.bound <= fmr < seen.bound
    assert seen.estimate <= fmr
    assert strict.value >= seen.value
    for found in (strict, seen):
        assert found.estimate == accepted_at(impostors, found.value) / found.comparisons
        assert (found.people, found.comparisons) == (people, impostors.comparisons)


@given(seed=SEEDS, fmr=st.sampled_from([0.02, 0.05]))
def test_equal_scores_are_refused_together(seed: int, fmr: float) -> None:
    impostors = compared(seed, 40, 1)
    steps = dataclasses.replace(impostors, score=np.round(impostors.score * 8) / np.float32(8))
    found = threshold_for(steps, fmr, "estimate")
    assert accepted_at(steps, found.value) <= fmr * steps.comparisons
    level = np.float32(found.value)
    assert not ((steps.score < level) & (steps.score > np.nextafter(level, -2))).any()
    assert np.nextafter(level, np.float32(-2)) in steps.score or not accepted_at(steps, level)


@given(seed=SEEDS)
def test_the_same_people_give_the_same_threshold_to_the_bit(seed: int) -> None:
    first, second = compared(seed, 30, 2), compared(seed, 30, 2)
    assert threshold_for(first, 0.02).value == threshold_for(second, 0.02).value


def test_a_person_everybody_resembles_raises_the_bound() -> None:
    # 40 of 4,950 comparisons either all of one person, or of 80 different people.
    apart = listed([(2 * i, 2 * i + 1) for i in range(40)], 100)
    one = listed([(0, i + 1) for i in range(40)], 100)
    assert match_rate(apart, 40).value == match_rate(one, 40).value
    assert match_rate(one, 40).bound > 1.7 * match_rate(apart, 40).bound


def test_too_few_people_are_told_how_many_are_missing() -> None:
    # 3 / 0.001 pairs of people are needed: 78 people have 3,003 of them.
    impostors = compared(1, 40, 3)
    with pytest.raises(InsufficientCalibrationError) as refused:
        threshold_for(impostors, 1e-3)
    error = refused.value
    assert error.reason == "INSUFFICIENT_CALIBRATION"
    assert error.comparisons == 2996 - 40 * 39 // 2
    assert 40 + error.people in (78, 79)
    assert str(error.people) in str(error)
    assert threshold_for(compared(1, 40 + error.people, 1), 1e-3).bound <= 1e-3


def test_pictures_of_the_same_people_do_not_replace_people() -> None:
    many = compared(1, 20, 12)
    assert many.comparisons > 3 / 1e-3
    with pytest.raises(InsufficientCalibrationError):
        threshold_for(many, 1e-3)
    assert least_rate(many) == pytest.approx(3 / 190, rel=0.01)


@pytest.mark.parametrize("people", [0, 1])
def test_nobody_and_one_person_are_refused(people: int) -> None:
    impostors = compared(0, people, 3)
    assert least_rate(impostors) == 1
    for by in ("bound", "estimate"):
        with pytest.raises(InsufficientCalibrationError):
            threshold_for(impostors, 0.1, by)


def test_an_estimate_needs_ten_accepted_comparisons() -> None:
    assert threshold_for(compared(2, 46, 1), 0.01, "estimate").bound > 0.01
    with pytest.raises(InsufficientCalibrationError):
        threshold_for(compared(2, 44, 1), 0.01, "estimate")


def test_no_threshold_lies_above_all_scores_by_more_than_a_hair() -> None:
    impostors = compared(4, 80, 1)
    fmr = least_rate(impostors)
    assert threshold_for(impostors, fmr).value == above_all(impostors)
    assert above_all(impostors) == np.nextafter(impostors.score[0], np.float32(2))


def test_strangers_are_calibrated_like_anybody() -> None:
    own, others = drawn(1, 30, 2), drawn(2, 60, 1)
    found = threshold_for(between(own, others, most=0.05), 0.01)
    assert found.people == 90
    assert found.comparisons == 60 * 60
    assert found.bound <= 0.01


def test_rates_that_are_none_and_scores_that_were_thrown_away_are_mistakes() -> None:
    with pytest.raises(ValueError, match="false match rate"):
        threshold_for(compared(1, 30, 1), 0)
    faces = drawn(1, 40, 1)
    with pytest.raises(ValueError, match="fewer scores"):
        threshold_for(among(faces.embeddings, faces.person, most=0.01), 0.1)


def test_a_threshold_does_not_show_itself() -> None:
    found = threshold_for(compared(1, 40, 1), 0.02)
    assert str(found.value)[:6] not in repr(found)


def listed(accepted: list[tuple[int, int]], people: int) -> GroupedScores:
    """One comparison of every two people, of whom these pairs score 1 and nobody else is kept."""
    first, second = np.array(accepted, np.int32).T
    pairs = people * (people - 1) // 2
    return GroupedScores(
        score=np.ones(len(accepted), np.float32),
        first=first,
        second=second,
        met=np.full(people, people - 1.0),
        comparisons=pairs,
        person_pairs=pairs,
        squares=float(pairs),
    )


def compared(seed: int, people: int, pictures: int) -> GroupedScores:
    faces = drawn(seed, people, pictures)
    return among(faces.embeddings, faces.person, most=0.2)


def drawn(seed: int, people: int, pictures: int) -> Faces:
    rng = np.random.default_rng(seed)
    person = np.repeat(np.arange(people), pictures)
    rows = rng.standard_normal((people, 16))[person] + rng.standard_normal((len(person), 16)) / 2
    return Faces(rows.astype(np.float32), person)
