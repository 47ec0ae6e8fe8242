"""Attackers with shadows find who is in, find nothing where nothing is, and do not peep."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from common.attacks.membership import area, caught_at, empirical_epsilon, lira, rmia

MODELS, PEOPLE = 12, 400
Floats = NDArray[np.float64]
Attack = Callable[[Floats, NDArray[np.bool_]], Floats]


def world(shift: float, seed: int = 0) -> tuple[Floats, NDArray[np.bool_]]:
    """People whom models know better or worse by themselves, and by ``shift`` if trained on."""
    rng = np.random.default_rng(seed)
    members = rng.random((MODELS, PEOPLE)) < 0.5
    easy = 3 * rng.standard_normal(PEOPLE)
    return easy + shift * members + rng.standard_normal((MODELS, PEOPLE)), members


def by_pairs(signals: Floats, members: NDArray[np.bool_]) -> Floats:
    rng = np.random.default_rng(1)
    population = 3 * rng.standard_normal(300) + rng.standard_normal((MODELS, 300))
    return rmia(signals, members, population)


ATTACKS = pytest.mark.parametrize("attack", [lira, by_pairs])


@ATTACKS
def test_an_attacker_with_shadows_beats_one_without(attack: Attack) -> None:
    signals, members = world(2.0)
    found = area(attack(signals, members).ravel(), members.ravel())
    assert found > 0.85 > 0.7 > area(signals.ravel(), members.ravel())
    assert found < stats.norm.cdf(2 / np.sqrt(2)) + 0.02  # no attacker does better


@ATTACKS
def test_where_nothing_is_nothing_is_found(attack: Attack) -> None:
    areas = []
    for seed in range(5):
        signals, members = world(0.0, seed)
        areas.append(area(attack(signals, members).ravel(), members.ravel()))
    assert abs(np.mean(areas) - 0.5) < 0.02


@ATTACKS
def test_who_trained_the_attacked_model_is_not_looked_at(attack: Attack) -> None:
    signals, members = world(2.0)
    other = members.copy()
    other[3] = ~other[3]
    before, after = attack(signals, members), attack(signals, other)
    np.testing.assert_array_equal(before[3], after[3])
    assert (before[4] != after[4]).any()


@ATTACKS
def test_people_in_all_models_or_in_none_are_no_obstacle(attack: Attack) -> None:
    signals, members = world(2.0)
    members[:, 0], members[:, 1] = True, False
    assert np.isfinite(attack(signals, members)).all()


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=30))
def test_the_area_is_the_share_of_pairs_in_order(drawn: list[tuple[int, bool]]) -> None:
    scores = np.array([float(score) for score, _ in drawn])
    members = np.array([inside for _, inside in drawn])
    if members.all() or not members.any():
        members[0] = not members[0]
    pairs = scores[members][:, None] - scores[~members]
    assert area(scores, members) == pytest.approx(((pairs > 0) + (pairs == 0) / 2).mean())


def test_rates_that_too_few_people_could_show_are_not_told() -> None:
    scores, members = np.arange(1000.0), np.arange(1000) >= 500
    assert caught_at(scores, members, 1e-2) == 1.0
    assert caught_at(scores, members, 1e-3) is None
    assert caught_at(-scores, members, 1e-2) == 0.0


@pytest.mark.parametrize("epsilon", [0.5, 2.0])
def test_the_empirical_epsilon_of_randomised_response_is_below_its_own(epsilon: float) -> None:
    """Coins of which e^epsilon / (1 + e^epsilon) tell the truth: no attack is better."""
    rng, over, bounds = np.random.default_rng(8), 0, []
    for _ in range(40):
        members = rng.random((4, 500)) < 0.5
        truth = rng.random(members.shape) < 1 / (1 + np.exp(-epsilon))
        scores = np.where(truth, members, ~members) + 0.01 * rng.random(members.shape)
        bounds.append(empirical_epsilon(scores, members, 0.0, 0.05))
        over += bounds[-1] > epsilon
    assert over <= 7  # of 40; the bound is wrong in at most 2 on average
    assert np.mean(bounds) > 0.4 * epsilon
