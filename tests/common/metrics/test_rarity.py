"""Bounds of rare rates are the textbook's for independent trials, and never below them."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from common.metrics.rarity import (
    Rate,
    lowest_threshold,
    poisson_limit,
    rule_of_three,
    trials_needed,
)

RATES = st.floats(1e-6, 0.3)


@given(count=st.one_of(st.floats(0, 30), st.floats(0, 5000)))
def test_limit_is_the_quantile_of_a_gamma_variable(count: float) -> None:
    assert poisson_limit(count) == pytest.approx(stats.gamma.ppf(0.95, count + 1), rel=1e-6)


def test_three_trials_in_a_rate_rule_it_out() -> None:
    assert poisson_limit(0) == pytest.approx(-math.log(0.05))
    assert trials_needed(1e-4) == 29958
    assert rule_of_three(29958) <= 1e-4 < rule_of_three(29957)
    assert rule_of_three(0) == 1


@given(rate=RATES, people=st.integers(2, 500), trials=st.integers(1, 10**6))
def test_the_bound_is_above_the_rate_and_the_rule_of_three(
    rate: float, people: int, trials: int
) -> None:
    variance = rate * (1 - rate) / trials
    found = Rate(value=rate, variance=variance, people=people, independent=trials)
    assert found.bound > rate
    assert found.bound >= rule_of_three(trials)
    assert found.effective <= trials


@given(rate=RATES, people=st.integers(2, 500), variance=st.floats(1e-9, 1e-2))
def test_more_variance_or_fewer_people_never_lower_the_bound(
    rate: float, people: int, variance: float
) -> None:
    def bound(times: float, many: int) -> float:
        trials = Rate(value=rate, variance=variance * times, people=many, independent=10**6)
        return trials.bound

    assert bound(2, people) >= bound(1, people) >= bound(1, people + 1)


def test_independent_trials_of_many_people_get_the_exact_poisson_bound() -> None:
    # 20 of 100,000: 0.0002 (1 - 0.0002) / 100,000 is the variance of independent trials.
    found = Rate(value=2e-4, variance=2e-4 * (1 - 2e-4) / 1e5, people=10**6, independent=10**6)
    assert found.effective == pytest.approx(1e5, rel=1e-5)
    assert found.bound == pytest.approx(stats.gamma.ppf(0.95, 21) / 1e5, rel=1e-5)


def test_one_person_or_none_shows_nothing() -> None:
    for people in (0, 1):
        assert Rate(value=0.0, variance=0.0, people=people, independent=9).bound == 1
    assert Rate(value=1.0, variance=0.5, people=9, independent=9).bound == 1


@given(
    scores=st.lists(st.integers(0, 12), min_size=1, max_size=60),
    allowed=st.integers(0, 70),
    most=st.integers(-1, 70),
)
def test_the_lowest_threshold_is_that_of_trying_every_one(
    scores: list[int], allowed: int, most: int
) -> None:
    falling = np.sort(np.array(scores, np.float32))[::-1]
    found = lowest_threshold(falling, allowed, lambda accepted: accepted <= most)
    tried = np.append(np.unique(falling), np.float32(13))
    fits = [t for t in tried if np.sum(falling >= t) <= min(allowed, most, len(falling) - 1)]
    if not fits:
        assert found is None
        return
    assert found is not None
    value, accepted = found
    assert accepted == np.sum(falling >= np.float32(value)) == np.sum(falling >= min(fits))


def test_a_higher_threshold_that_is_not_kept_ends_the_search() -> None:
    falling = np.arange(9, 0, -1, dtype=np.float32)
    found = lowest_threshold(falling, 8, lambda accepted: accepted != 3)
    assert found is not None
    assert found[1] == 2
