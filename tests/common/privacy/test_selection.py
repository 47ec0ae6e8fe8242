"""The price of the best of many runs is never below the truth, which small cases tell exactly."""

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
from dp_accounting.rdp import rdp_privacy_accountant as oracle
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from common.errors import PlanError
from common.privacy.accountant import Event, epsilon, renyi
from common.privacy.selection import (
    ORDERS,
    NegativeBinomial,
    Poisson,
    Runs,
    draw_runs,
    likely_most,
    of_mean,
    parse_runs,
    selection_epsilon,
)

Doubles = NDArray[np.float64]
DELTA = 1e-4
FORMS = ["geometric:10", "logarithmic:10", "negative-binomial:-0.5:6", "poisson:10"]
ONE = (Event(2.0),)


def price(runs: Runs, *events: Event, before: tuple[Event, ...] = ()) -> float:
    return selection_epsilon(events, DELTA, runs, sampler="random", before=before)


def none_or_more(runs: Runs, share: Doubles) -> Doubles:
    """The generating function of the number of runs, in closed form: E[share^K]."""
    if isinstance(runs, Poisson):
        return np.exp(runs.mean * (share - 1))
    rest = 1 - (1 - runs.gamma) * share
    if runs.eta == 0:
        return np.log(rest) / math.log(runs.gamma)
    return (rest**-runs.eta - 1) / (runs.gamma**-runs.eta - 1)


def best_of(runs: Runs, masses: Doubles) -> Doubles:
    """The distribution of the best of ``runs`` answers; nothing at all is an answer too."""
    reached = none_or_more(runs, np.concatenate([[0.0], np.cumsum(masses)]))
    return np.concatenate([reached[:1], np.diff(reached)])


def divergence(one: Doubles, other: Doubles, order: float) -> float:
    both = (one > 0) & (other > 0)
    logs = order * np.log(one[both]) + (1 - order) * np.log(other[both])
    return float((logs.max() + np.log(np.exp(logs - logs.max()).sum())) / (order - 1))


def lost(one: Doubles, other: Doubles, at: float) -> float:
    return float(np.maximum(one - math.exp(at) * other, 0).sum())


def profile_of(one: Doubles, other: Doubles) -> Callable[[float], float]:
    return lambda at: max(lost(one, other, at), lost(other, one, at))


@pytest.mark.parametrize("form", [*FORMS, "geometric:2", "logarithmic:100", "poisson:1"])
@pytest.mark.parametrize("tilt", [0.1, 1.0, 3.0])
def test_the_best_of_randomised_responses_never_diverges_more_than_it_is_charged(
    form: str, tilt: float
) -> None:
    runs = parse_runs(form)
    told = np.array([math.exp(tilt), 1.0, 1.0]) / (math.exp(tilt) + 2)
    for best_first in itertools.permutations(range(3)):
        one, other = told[list(best_first)], np.roll(told, 1)[list(best_first)]
        single = np.array([max(divergence(*p, o) for p in pairs(one, other)) for o in ORDERS])
        charged = runs.divergences(single, profile_of(one, other))
        truth = [max(divergence(*p, o) for p in best_pairs(runs, one, other)) for o in ORDERS]
        assert np.all(charged >= np.array(truth) - 1e-9)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("sigma", [0.7, 2.0, 8.0])
def test_the_highest_of_noisy_sums_is_never_easier_to_tell_apart_than_charged(
    form: str, sigma: float
) -> None:
    runs, grid = parse_runs(form), np.linspace(-9, 9 + 1 / sigma, 8_001)
    cells = [np.diff(phi(grid), prepend=0.0), np.diff(phi(grid - 1 / sigma), prepend=0.0)]
    charged = price(runs, Event(sigma))
    for order in (slice(None), slice(None, None, -1)):  # highest is best, lowest is best
        one, other = (best_of(runs, cell[order]) for cell in cells)
        assert profile_of(one, other)(charged) <= DELTA


def pairs(one: Doubles, other: Doubles) -> list[tuple[Doubles, Doubles]]:
    return [(one, other), (other, one)]


def best_pairs(runs: Runs, one: Doubles, other: Doubles) -> list[tuple[Doubles, Doubles]]:
    return pairs(best_of(runs, one), best_of(runs, other))


def phi(x: Doubles) -> Doubles:
    return np.array([math.erfc(-v / math.sqrt(2)) / 2 for v in x])


@pytest.mark.parametrize("eta", [-0.5, 0.0, 1.0, 2.0])
def test_pure_privacy_costs_two_and_eta_times_what_a_run_costs(eta: float) -> None:
    """Three times for the geometric distribution, as Liu and Talwar 2019 have it."""
    told = of_mean(eta, 5.0).divergences(np.full(len(ORDERS), 0.5), lambda _: 1.0)
    assert 0 <= told[-1] - (2 + eta) * 0.5 < 0.03


@pytest.mark.parametrize("eta", [-0.5, 0.0, 1.0])
def test_concentrated_privacy_costs_what_the_closed_form_says(eta: float) -> None:
    """The best second order is sqrt(log(1 / gamma) / rho), where that is above 1."""
    runs, rho = of_mean(eta, 20.0), 0.05
    orders, log = np.array(ORDERS), -math.log(runs.gamma)
    expected = rho * orders + (1 + eta) * (2 * math.sqrt(rho * log) - rho)
    expected += math.log(20.0) / (orders - 1)
    told = runs.divergences(rho * orders, lambda _: 1.0)
    assert np.all(told >= expected - 1e-8) and np.all(told <= expected + 2e-3)


@pytest.mark.parametrize("form, shape", [("geometric:10", 1.0), ("logarithmic:30", 0.0)])
@pytest.mark.parametrize("events", [ONE, (Event(1.5), Event(2.0, 0.2, 40))])
def test_the_oracle_says_the_same(form: str, shape: float, events: tuple[Event, ...]) -> None:
    runs = parse_runs(form)
    assert isinstance(runs, NegativeBinomial)
    expected = oracle._compute_rdp_repeat_and_select(
        ORDERS, renyi(events, ORDERS), runs.mean, shape
    )
    told = oracle.compute_epsilon(ORDERS, expected, DELTA)[0]
    assert price(runs, *events) == pytest.approx(told, rel=1e-6)


def test_a_poisson_number_of_runs_costs_at_most_what_the_oracle_says() -> None:
    """The oracle knows less of one run than we do: its divergences, not its exact profile."""
    expected = oracle._compute_rdp_repeat_and_select(ORDERS, renyi(ONE, ORDERS), 10.0, math.inf)
    told = oracle.compute_epsilon(ORDERS, expected, DELTA)[0]
    assert epsilon(ONE, DELTA) < price(Poisson(10.0), *ONE) <= told


@pytest.mark.parametrize("eta", [-0.5, 0.0, 1.0])
def test_exactly_one_run_costs_what_a_run_costs(eta: float) -> None:
    assert price(NegativeBinomial(eta, 1.0), *ONE) == epsilon(ONE, DELTA)
    assert draw_runs(NegativeBinomial(eta, 1.0), 0.999) == 1
    near = NegativeBinomial(eta, 1 - 1e-9).divergences(renyi(ONE, ORDERS), lambda _: 1.0)
    assert near == pytest.approx(renyi(ONE, ORDERS), abs=1e-5)


SIGMA = st.floats(0.5, 30)
ETA, GAMMA = st.floats(-0.9, 5), st.floats(1e-4, 0.999)


@given(SIGMA, ETA, GAMMA, st.floats(0, 3), st.floats(0.01, 1))
def test_more_runs_never_cost_less(
    sigma: float, eta: float, gamma: float, more: float, part: float
) -> None:
    here = price(NegativeBinomial(eta, gamma), Event(sigma))
    assert price(NegativeBinomial(eta + more, gamma), Event(sigma)) >= here - 1e-9
    assert price(NegativeBinomial(eta, max(1e-9, gamma * part)), Event(sigma)) >= here - 1e-9


@given(SIGMA, ETA, GAMMA, st.floats(1, 100), SIGMA)
def test_the_best_of_several_is_never_cheaper_than_one_nor_history_free(
    sigma: float, eta: float, gamma: float, mean: float, earlier: float
) -> None:
    once, history = Event(sigma), (Event(earlier),)
    for runs in (NegativeBinomial(eta, gamma), Poisson(mean)):
        told = price(runs, once, before=history)
        assert told >= price(runs, once) >= epsilon([once], DELTA)
        assert told >= epsilon([once, *history], DELTA)


@settings(max_examples=15)
@given(st.floats(-0.9, 5).filter(lambda eta: abs(eta) > 1e-6), st.floats(0.05, 0.95))
def test_the_masses_are_those_of_the_closed_form(eta: float, gamma: float) -> None:
    runs = NegativeBinomial(eta, gamma)
    drawn = list(itertools.islice(runs.masses(), 3000))
    assert math.fsum(mass for _, mass in drawn) == pytest.approx(1, abs=1e-9)
    assert math.fsum(number * mass for number, mass in drawn) == pytest.approx(runs.mean, rel=1e-6)
    half = math.fsum(0.5**number * mass for number, mass in drawn)
    assert half == pytest.approx(float(none_or_more(runs, np.array([0.5]))[0]), rel=1e-9)


@pytest.mark.parametrize("form", FORMS)
def test_numbers_of_runs_are_drawn_from_their_distribution(form: str) -> None:
    runs = parse_runs(form)
    drawn = [draw_runs(runs, (n + 0.5) / 4000) for n in range(4000)]
    assert np.mean(drawn) == pytest.approx(runs.mean, rel=0.03)
    assert sorted(drawn) == drawn
    assert np.mean(np.array(drawn) <= likely_most(runs)) >= 0.99
    assert draw_runs(runs, 1 - 2**-53) < 10_000_000


@pytest.mark.parametrize("sampler", ["tpe", "qmc", "grid", "", "Random"])
def test_a_search_that_looks_at_other_runs_has_no_such_price(sampler: str) -> None:
    with pytest.raises(PlanError, match="charge every trial"):
        selection_epsilon(ONE, DELTA, Poisson(10), sampler=sampler)


@pytest.mark.parametrize(
    "form",
    ["uniform:10", "geometric", "geometric:0.5", "poisson:1:2", "poisson:nan", "geometric:x"],
)
def test_a_number_of_runs_that_is_none_is_refused_with_the_forms_there_are(form: str) -> None:
    with pytest.raises(PlanError, match="logarithmic:MEAN"):
        parse_runs(form)


@pytest.mark.parametrize("eta, gamma", [(-1.0, 0.5), (21.0, 0.5), (0.0, 0.0), (0.0, 1.1)])
def test_distributions_outside_the_theorem_are_refused(eta: float, gamma: float) -> None:
    with pytest.raises(ValueError, match="must be in"):
        NegativeBinomial(eta, gamma)


def test_a_run_without_noise_costs_everything_and_nothing_costs_nothing() -> None:
    assert price(Poisson(3.0), Event(0.0)) == math.inf
    assert price(of_mean(1.0, 5.0), Event(0.0)) == math.inf
    assert price(Poisson(3.0)) == 0
