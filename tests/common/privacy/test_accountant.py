"""Epsilon is never below the oracle's, and never far above it."""

import math

import pytest
from dp_accounting import dp_event
from dp_accounting.pld import PLDAccountant
from hypothesis import given, settings
from hypothesis import strategies as st

from common.privacy.accountant import (
    ROUNDING,
    Event,
    canonical,
    delta_of,
    epsilon,
    gaussian_delta,
)

SAMPLED = [
    (0.1, 1.0, 200, 1e-4),
    (0.2, 3.0, 500, 1e-5),
    (0.05, 0.8, 300, 1e-4),
    (0.5, 2.0, 50, 1e-5),
    (0.01, 0.7, 100, 1e-6),
    (0.9, 2.0, 20, 1e-5),
    (0.01, 4.0, 10, 1e-6),
    (0.2, 1.5, 1, 1e-3),
]
MIXED = [
    [Event(1.5), Event(2.0, 0.1, 100)],
    [Event(3.0), Event(4.0, 1.0, 2), Event(2.0, 0.2, 50), Event(1.0, 0.05, 50)],
]


@pytest.mark.parametrize("rate, sigma, steps, delta", SAMPLED)
def test_sampled_steps_cost_what_the_oracle_says_and_at_most_a_fiftieth_more(
    rate: float, sigma: float, steps: int, delta: float
) -> None:
    events = [Event(sigma, rate, steps)]
    assert 0 <= epsilon(events, delta) - oracle(events, delta) <= 0.02


@pytest.mark.slow
@pytest.mark.parametrize("delta", [1e-3, 1e-5, 1e-7])
@pytest.mark.parametrize("steps", [1, 30, 1000])
@pytest.mark.parametrize("sigma", [0.6, 1.0, 2.0, 5.0])
@pytest.mark.parametrize("rate", [0.01, 0.1, 0.3, 0.7, 0.99])
def test_the_whole_grid_stays_within_a_fiftieth_of_the_oracle(
    rate: float, sigma: float, steps: int, delta: float
) -> None:
    events = [Event(sigma, rate, steps)]
    expected = oracle(events, delta)
    assert epsilon(events, delta) >= expected
    if expected < 50:  # beyond any budget the looser bound may take over
        assert epsilon(events, delta) <= expected + 0.02


@pytest.mark.parametrize("events", MIXED)
def test_different_mechanisms_compose(events: list[Event]) -> None:
    assert 0 <= epsilon(events, 1e-5) - oracle(events, 1e-5) <= 0.02


@settings(max_examples=12)
@given(
    st.lists(
        st.builds(Event, st.floats(0.5, 50), st.just(1.0), st.integers(1, 9)),
        min_size=1,
        max_size=3,
    ),
    st.sampled_from([1e-3, 1e-5, 1e-8]),
)
def test_without_sampling_the_closed_form_agrees_with_the_oracle(
    events: list[Event], delta: float
) -> None:
    assert 0 <= epsilon(events, delta) - oracle(events, delta) <= 2 * ROUNDING


@pytest.mark.parametrize("events", [[Event(2.0)], [Event(1.0), Event(2.0, 1.0, 7)], *MIXED])
def test_delta_and_epsilon_are_two_readings_of_one_curve(events: list[Event]) -> None:
    reading = delta_of(events, epsilon(events, 1e-5))
    assert reading <= 1.0001e-5
    assert delta_of(events, epsilon(events, 1e-5) - 0.03) > 1e-5


@given(st.floats(0.01, 20), st.floats(1e-9, 1e-2), st.floats(1e-9, 1e-2), st.integers(1, 10))
def test_more_steps_and_smaller_delta_never_cost_less(
    sigma: float, one: float, other: float, steps: int
) -> None:
    small, large = sorted((one, other))
    assert epsilon([Event(sigma)], small) >= epsilon([Event(sigma)], large)
    assert epsilon([Event(sigma, 1.0, steps + 1)], small) >= epsilon([Event(sigma)], small)


def test_nothing_costs_nothing_and_no_noise_costs_everything() -> None:
    assert epsilon([], 1e-5) == 0
    assert epsilon([Event(1.0, 0.1, 0)], 1e-5) == 0
    assert epsilon([Event(0.0)], 1e-5) == math.inf
    assert epsilon([Event(5.0), Event(0.0, 0.1)], 1e-5) == math.inf
    assert delta_of([Event(0.0)], 3.0) == 1
    assert delta_of([], 0.0) == 0


@pytest.mark.parametrize("sigma", [5e-324, 1e-200, 1e-3, 1e9])
@pytest.mark.parametrize("rate", [1e-9, 0.5, 1.0])
@pytest.mark.parametrize("steps", [1, 10**5])
def test_extreme_events_have_a_price_and_no_crash(sigma: float, rate: float, steps: int) -> None:
    price = epsilon([Event(sigma, rate, steps)], 1e-5)
    assert price >= 0
    if sigma < 1:
        assert price > 1 or rate < 1e-5


def test_a_price_outside_the_grid_is_still_an_upper_bound() -> None:
    events = [Event(0.3, 0.5, 10_000)]  # epsilon in the ten thousands
    assert epsilon(events, 1e-5) > epsilon([Event(0.3, 0.5, 10)], 1e-5)
    assert epsilon([Event(2.0, 0.1, 100)], 1e-14) >= oracle([Event(2.0, 0.1, 100)], 1e-10)


def test_the_central_limit_approximation_would_have_reported_less() -> None:
    rate, sigma, steps, delta = 0.1, 1.0, 200, 1e-4
    mu = rate * math.sqrt(steps * math.expm1(sigma**-2))
    assert gaussian_delta(mu, oracle([Event(sigma, rate, steps)], delta)) < delta
    assert epsilon([Event(sigma, rate, steps)], delta) > 8.6


@given(st.lists(st.builds(Event, st.sampled_from([1.0, 2.0]), st.sampled_from([0.5, 1.0]))))
def test_the_order_of_a_history_does_not_matter(events: list[Event]) -> None:
    assert canonical(events) == canonical(reversed(events)) == canonical(canonical(events))
    assert sum(e.steps for e in canonical(events)) == len(events)


@pytest.mark.parametrize(
    "sigma, rate, steps",
    [
        (-1.0, 1.0, 1),
        (math.nan, 1.0, 1),
        (math.inf, 1.0, 1),
        (1e10, 1.0, 1),
        (1, 0, 1),
        (1, 1.1, 1),
        (1, 1, -1),
    ],
)
def test_impossible_events_are_refused(sigma: float, rate: float, steps: int) -> None:
    with pytest.raises(ValueError, match="must"):
        Event(sigma, rate, steps)


@pytest.mark.parametrize("delta", [0.0, 1.0, -1.0, math.nan])
def test_impossible_deltas_are_refused(delta: float) -> None:
    with pytest.raises(ValueError, match="delta"):
        epsilon([Event(1.0)], delta)


def oracle(events: list[Event], delta: float) -> float:
    accountant = PLDAccountant()
    for event in events:
        gaussian = dp_event.GaussianDpEvent(event.sigma)
        sampled = dp_event.PoissonSampledDpEvent(event.rate, gaussian)
        accountant.compose(gaussian if event.rate == 1 else sampled, event.steps)
    return float(accountant.get_epsilon(delta))
