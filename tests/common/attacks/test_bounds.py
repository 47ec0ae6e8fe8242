"""Bounds hold as often as they say, agree with others', and never beat their ceiling."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from common.attacks.bounds import (
    MOST,
    Guesses,
    counted_bound,
    f_dp_bound,
    guesses_of,
    high_rate,
    low_rate,
    one_run_bound,
)
from common.privacy.accountant import gaussian_delta, gaussian_epsilon

DELTA = 1e-5


def every(count: int) -> Guesses:
    return Guesses(canaries=count, guessed=count, right=count)


@pytest.mark.parametrize(("canaries", "ceiling"), [(100, 3.49), (1000, 5.78), (5000, 7.28)])
def test_even_a_total_leak_cannot_refute_epsilon_8_in_one_run(
    canaries: int, ceiling: float
) -> None:
    """The ceilings that make a badge of this bound alone empty."""
    assert one_run_bound(every(canaries), DELTA, 0.05) == pytest.approx(ceiling, abs=0.01)
    assert f_dp_bound(every(canaries), DELTA, 0.05) > 8


def test_the_one_run_bound_is_where_the_written_out_probability_meets_the_chance() -> None:
    guesses = Guesses(canaries=300, guessed=60, right=55)
    bound = one_run_bound(guesses, DELTA, 0.05)
    law = stats.binom(60, 1 / (1 + math.exp(-bound)))
    most = max(law.pmf(range(55 - i, 55)).sum() / i for i in range(1, 56))
    assert law.sf(54) + 2 * 300 * DELTA * most == pytest.approx(0.05, rel=1e-4)


@pytest.mark.parametrize("bound", [one_run_bound, f_dp_bound])
def test_guessing_at_random_proves_nothing(bound: object) -> None:
    assert callable(bound)
    assert bound(Guesses(canaries=1000, guessed=200, right=100), DELTA, 0.005) == 0
    assert bound(Guesses(canaries=1000, guessed=200, right=0), DELTA, 0.005) == 0


@pytest.mark.parametrize("mu", [0.5, 1.67, 3.0])
def test_one_run_bounds_of_a_gaussian_are_below_its_epsilon(mu: float) -> None:
    rng, truth = np.random.default_rng(int(10 * mu)), gaussian_epsilon(mu, DELTA)
    over = np.zeros(2)
    for _ in range(60):
        inside = rng.random(500) < 0.5
        guesses = guesses_of(inside * mu + rng.standard_normal(500), inside, 0.2)
        found = [bound(guesses, DELTA, 0.05) for bound in (one_run_bound, f_dp_bound)]
        over += np.array(found) > truth
    assert (over <= 9).all()  # of 60; 3 are expected of a bound that is exact


@given(st.integers(1, 400), st.data())
def test_a_bound_grows_with_the_guesses_that_are_right_up_to_its_ceiling(
    guessed: int, data: st.DataObject
) -> None:
    right = data.draw(st.integers(0, guessed - 1))
    fewer = Guesses(canaries=400, guessed=guessed, right=right)
    more = Guesses(canaries=400, guessed=guessed, right=right + 1)
    for bound in (one_run_bound, f_dp_bound):
        low, high = bound(fewer, DELTA, 0.01), bound(more, DELTA, 0.01)
        assert 0 <= low <= high + 1e-6 <= bound(more.perfect, DELTA, 0.01) + 2e-6


def test_guesses_are_the_ends_of_the_ranking() -> None:
    scores = np.array([5.0, 4, 3, 2, 1, 0])
    inside = np.array([True, False, True, False, True, False])
    assert guesses_of(scores, inside, 2 / 3) == Guesses(canaries=6, guessed=4, right=2)
    assert guesses_of(scores, inside, 0.01) == Guesses(canaries=6, guessed=2, right=2)
    with pytest.raises(ValueError, match="not a count"):
        Guesses(canaries=5, guessed=6, right=1)


@pytest.mark.parametrize(("said", "of"), [(0, 20), (3, 20), (20, 20)])
def test_rates_are_those_of_clopper_and_pearson(said: int, of: int) -> None:
    exact = stats.binomtest(said, of).proportion_ci(0.98, "exact")
    assert low_rate(said, of, 0.01) == pytest.approx(exact.low, abs=1e-12)
    assert high_rate(said, of, 0.01) == pytest.approx(exact.high, abs=1e-12)


def test_a_test_of_one_person_bounds_epsilon_from_either_side() -> None:
    assert counted_bound((50, 100), (50, 100), DELTA, 0.05) == 0
    found = counted_bound((95, 100), (0, 1000), DELTA, 0.05)
    right, wrong = low_rate(95, 100, 0.025), high_rate(0, 1000, 0.025)
    assert found == pytest.approx(math.log((right - DELTA) / wrong))
    mirrored = counted_bound((1000, 1000), (5, 100), DELTA, 0.05)
    assert mirrored == pytest.approx(found)


def test_no_bound_says_more_than_the_most() -> None:
    assert one_run_bound(every(10**4), 0.0, 0.05) < MOST
    assert counted_bound((10**9, 10**9), (0, 10**9), 0.0, 0.05) < MOST


def test_the_gaussian_curve_is_the_one_that_google_computes() -> None:
    from dp_accounting.pld import privacy_loss_distribution as pld

    loss = pld.from_gaussian_mechanism(1 / 1.67, value_discretization_interval=1e-4)
    assert loss.get_delta_for_epsilon(8.0) == pytest.approx(gaussian_delta(1.67, 8.0), rel=1e-2)
