"""The joint sensitivity of an evaluation is exact, and its sums become rates with honest errors."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import PlanError
from common.privacy.cells import (
    CLEAR,
    MOST_THRESHOLDS,
    cells_of,
    expected_error,
    person_cells,
    rates,
    sensitivity,
)
from common.privacy.plan import EvaluationMechanism

SHARES = st.integers(1, MOST_THRESHOLDS).flatmap(
    lambda m: st.tuples(*[st.lists(st.floats(0, 1), min_size=m, max_size=m)] * 2)
)


@given(SHARES, st.booleans())
def test_no_shares_make_a_person_longer_than_the_sensitivity(
    shares: tuple[list[float], list[float]], paired: bool
) -> None:
    own, public = shares
    cells = person_cells(own if paired else None, public)
    assert cells.shape == (cells_of(len(public)),)
    assert np.square(cells).sum() <= (2 * len(public) + 1) / 4
    assert np.linalg.norm(cells) <= sensitivity(len(public)) * (1 + 1e-15)


@pytest.mark.parametrize("thresholds", [1, 2, 3])
def test_the_sensitivity_is_attained_at_every_corner_and_nowhere_exceeded(thresholds: int) -> None:
    corners = itertools.product((0.0, 1.0), repeat=2 * thresholds)
    norms = {float(np.linalg.norm(person_cells(c[:thresholds], c[thresholds:]))) for c in corners}
    assert sorted(norms) == pytest.approx([sensitivity(thresholds)] * len(norms), rel=1e-15)
    mechanism = EvaluationMechanism(sigma=1.0, thresholds=thresholds)
    assert mechanism.clip == sensitivity(thresholds)


@pytest.mark.parametrize("thresholds", [0, -1, MOST_THRESHOLDS + 1, 10**9])
def test_a_number_of_thresholds_that_nobody_needs_is_refused(thresholds: int) -> None:
    with pytest.raises(PlanError, match="thresholds"):
        EvaluationMechanism(sigma=1.0, thresholds=thresholds)


def everybody(rng: np.random.Generator, people: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Shares (P, 2) own and public, and who has pairs."""
    own, public = rng.random((people, 2)), rng.random((people, 2)) * 0.1
    return own, public, rng.random(people) < 0.8


def test_without_noise_the_rates_are_the_plain_means_over_people() -> None:
    own, public, paired = everybody(np.random.default_rng(1), 50)
    total = np.sum(
        [person_cells(o if p else None, q) for o, q, p in zip(own, public, paired, strict=True)],
        axis=0,
    )
    told = rates(total, 0.0)
    assert (told.people.value, told.paired.value) == (50, paired.sum())
    for at in range(2):
        mine, passed = told.own[at], told.public[at]
        assert mine is not None
        assert passed is not None
        assert mine.value == pytest.approx(own[paired, at].mean())
        assert passed.value == pytest.approx(public[:, at].mean())
        assert mine.error == passed.error == 0


def test_the_errors_are_those_that_noise_makes() -> None:
    rng = np.random.default_rng(2)
    total = 300 * person_cells([0.9, 0.5], [0.01, 0.2]) + 100 * person_cells(None, [0.01, 0.2])
    exact, found = rates(total, 4.0), []
    for _ in range(4000):
        noisy = rates(total + 4.0 * rng.standard_normal(6), 4.0)
        every = [noisy.people, noisy.paired, *noisy.own, *noisy.public]
        found.append([rate.value for rate in every if rate is not None])
    every = [exact.people, exact.paired, *exact.own, *exact.public]
    for values, rate in zip(np.transpose(found), every, strict=True):
        assert rate is not None
        assert values.std() == pytest.approx(rate.error, rel=0.08)
        assert values.mean() == pytest.approx(rate.value, abs=0.1 * rate.error)
    assert exact.own[0] is not None
    assert exact.own[0].error <= expected_error(300, 4.0)
    worst = rates(300 * person_cells([1.0], [0.0]), 4.0).own[0]
    assert worst is not None
    assert worst.error == pytest.approx(expected_error(300, 4.0))


@pytest.mark.parametrize("people", [-5.0, 0.0, 2.9])
def test_a_rate_over_people_who_are_lost_in_the_noise_is_not_told(people: float) -> None:
    total = np.array([0.0, 0.0, people / 2, 0.0])
    told = rates(total, 0.5)
    assert told.paired.error == 1.0
    assert people < CLEAR * told.paired.error
    assert told.own == (None,)
    assert told.public == (None,)
    assert rates(np.zeros(4), 0.0).own == (None,)


def test_a_rate_says_something_as_soon_as_its_count_is_clear() -> None:
    total = np.array([0.0, 0.0, 2.0, 0.0])  # 4 people, and half of every share
    assert rates(total, 0.5).own[0] is not None
    assert math.isclose(rates(total, 0.5).own[0].value, 0.5)  # type: ignore[union-attr]
