"""Noise bought for a budget keeps the budget, and hardly more noise is bought than needed."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.privacy.accountant import Event, epsilon
from common.privacy.calibrate import sigma_for, split_budget

TARGETS = st.floats(0.05, 20)
DELTAS = st.sampled_from([1e-3, 1e-4, 1e-6])


@given(TARGETS, DELTAS, st.integers(1, 50))
def test_the_calibrated_noise_fits_and_is_tight(target: float, delta: float, steps: int) -> None:
    sigma = sigma_for(target, delta, steps=steps)
    assert target * 0.999 - 1e-5 <= epsilon([Event(sigma, 1.0, steps)], delta) <= target


def test_the_known_figures_come_out() -> None:
    assert sigma_for(8, 1e-4) == pytest.approx(0.54, abs=0.005)
    assert sigma_for(2, 1e-4) == pytest.approx(1.73, abs=0.005)
    assert sigma_for(8, 1e-5, 0.1, 300) == pytest.approx(1.29, abs=0.01)


@given(TARGETS, DELTAS, st.lists(st.floats(0.01, 10), min_size=1, max_size=5))
def test_a_split_budget_fits_whatever_the_shares(
    target: float, delta: float, shares: list[float]
) -> None:
    sigmas = split_budget(target, delta, shares)
    spent = epsilon([Event(sigma) for sigma in sigmas], delta)
    assert target * 0.999 - 1e-5 <= spent <= target
    precision = [1 / sigma**2 for sigma in sigmas]
    for share, part in zip(shares, precision, strict=True):
        assert part / sum(precision) == pytest.approx(share / sum(shares))


@pytest.mark.parametrize("target", [0.0, -1.0, math.inf, math.nan])
def test_impossible_budgets_are_refused(target: float) -> None:
    with pytest.raises(ValueError, match="epsilon"):
        sigma_for(target, 1e-5)


@pytest.mark.parametrize("shares", [[], [0.0], [1.0, -1.0], [math.nan]])
def test_impossible_shares_are_refused(shares: list[float]) -> None:
    with pytest.raises(ValueError, match="share"):
        split_budget(1.0, 1e-5, shares)
