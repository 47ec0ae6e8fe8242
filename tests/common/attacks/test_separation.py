"""The interval of the separation covers as often as it says, and says when it does not apply."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from common.attacks.bounds import MOST
from common.attacks.separation import normality, separation, shift_of
from common.privacy.accountant import gaussian_epsilon

DELTA = 1e-5


@given(st.floats(-5, 60), st.integers(14, 5000), st.floats(0.002, 0.998))
def test_shifts_invert_the_noncentral_t(t: float, freedom: int, below: float) -> None:
    shift = shift_of(t, freedom, below)
    assert stats.nct.cdf(t, freedom, shift) == pytest.approx(below, abs=1e-6)


@pytest.mark.parametrize("mu", [0.0, 1.67])
@pytest.mark.parametrize("sizes", [(10, 15), (300, 250)])
def test_the_interval_covers_as_often_as_it_says(mu: float, sizes: tuple[int, int]) -> None:
    rng = np.random.default_rng([int(10 * mu), *sizes])
    below = above = 0
    for _ in range(300):
        inside, outside = (rng.standard_normal(size) for size in sizes)
        found = separation(7 * (inside + mu), 7 * outside, 0.1)
        below, above = below + (found.high < mu), above + (found.low > mu)
        assert found.low < found.mu < found.high
    # 15 of 300 are expected on either side: the chance to leave this range is below 1e-4
    assert 2 <= below <= 34
    assert 2 <= above <= 34


def test_its_epsilon_is_that_of_the_lower_end() -> None:
    rng = np.random.default_rng(0)
    found = separation(1.67 + rng.standard_normal(2000), rng.standard_normal(2000), 0.01)
    assert found.epsilon(DELTA) == gaussian_epsilon(found.low, DELTA)
    assert 6.5 < found.epsilon(DELTA) < gaussian_epsilon(1.67, DELTA)
    assert separation(rng.standard_normal(50), rng.standard_normal(50), 0.01).epsilon(DELTA) < 3


def test_without_noise_it_says_the_most() -> None:
    found = separation(np.ones(20), np.zeros(20), 0.01)
    assert (found.low, found.epsilon(DELTA), found.normality) == (MOST, MOST, 0.0)


def test_a_handful_of_canaries_is_refused() -> None:
    with pytest.raises(ValueError, match="too few"):
        separation(np.ones(7), np.zeros(50), 0.01)


def test_normality_is_the_statistic_of_anderson_and_darling() -> None:
    rng = np.random.default_rng(3)
    chances = np.array([normality(rng.standard_normal(300)) for _ in range(1500)])
    for level in (0.5, 0.1, 0.02):
        assert abs((chances < level).mean() - level) < 5 * np.sqrt(level / 1500)


@pytest.mark.parametrize("law", ["uniform", "standard_cauchy", "exponential"])
def test_scores_that_are_not_gaussian_are_told(law: str) -> None:
    assert normality(getattr(np.random.default_rng(1), law)(size=1000)) < 1e-6
