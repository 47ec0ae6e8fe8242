"""Rates of groups are what a hand count gives; nobody few is told of, nor by subtraction."""

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from common.metrics.fairness import NOBODY, Decided, Fairness, Terms, decide, fairness

EVERYBODY = Terms(fmr=1.0, least_people=2, least_errors=0, draws=50)
THRESHOLD = 0.5


def test_rates_of_a_hand_made_case() -> None:
    """Group a: two people who look alike, each twice; group b: two who do not, one of them twice.

    The second picture of b's first person shows nobody like them.
    """
    x, y, z = np.eye(3)
    embeddings = np.array([x, x, x, x, y, z, -y])
    found = rates(embeddings, [0, 0, 1, 1, 2, 2, 3], [0, 0, 1, 1], EVERYBODY)
    a, b = found.groups
    assert (a.name, a.people, a.fmr.errors, a.fmr.trials) == ("a", 2, 4, 4)
    assert (b.name, b.people, b.fmr.errors, b.fmr.trials) == ("b", 2, 0, 2)
    assert a.fnmr is not None and (a.fnmr.errors, a.fnmr.trials) == (0, 2)
    assert b.fnmr is None  # one person with two pictures is a person, not a rate
    assert found.cross.tolist() == [[1, 0], [0, 0]]
    assert found.suppressed == ()


def test_ratios_of_a_hand_made_case() -> None:
    """FMR of 4/4, 1/4 and no error in 4, which counts as half of one: 1, 1/4, 1/8."""
    pairs = np.array([(0, 1, 4), (2, 3, 1)])
    decided = Decided(pairs[:, 0], pairs[:, 1], pairs[:, 2] * 1.0, np.full(6, 2.0), np.zeros(6))
    found = fairness(decided, [0, 0, 1, 1, 2, 2], "abc", EVERYBODY)
    best, mean = found.worst_to_best(), found.worst_to_geometric_mean()
    assert best is not None and mean is not None
    assert (best.value, best.worst, best.best) == (pytest.approx(8), "a", "c")
    assert (mean.value, mean.worst, mean.best) == (pytest.approx(32 ** (1 / 3)), "a", None)


def test_a_single_group_has_no_ratio() -> None:
    found = rates(np.eye(4), range(4), [0, 0, 0, 0], EVERYBODY)
    assert found.worst_to_best() is None
    assert found.worst_to_geometric_mean() is None


def test_people_in_no_group_are_compared_with_nobody() -> None:
    alike = np.ones((6, 2))
    found = rates(alike, range(6), [0, 0, 1, 1, NOBODY, NOBODY], EVERYBODY)
    assert [g.fmr.trials for g in found.groups] == [1, 1]
    assert found.suppressed == ()


def test_a_cosine_on_the_threshold_is_accepted() -> None:
    decided = decide([[1.0, 0.0], [1.0, 0.0]], [0, 1], 1.0)
    assert decided.accepted.tolist() == [1]


def test_a_group_without_an_error_reaches_up_to_the_rule_of_three() -> None:
    found = rates(np.eye(30), range(30), [0] * 30, EVERYBODY)
    low, high = found.groups[0].fmr.interval
    assert low == 0
    assert high == pytest.approx(3 / (30 * 29 / 2), rel=0.01)


@given(seed=st.integers(0, 10**6), people=st.integers(2, 12), groups=st.integers(1, 4))
def test_rates_are_those_of_a_loop_over_all_pairs(seed: int, people: int, groups: int) -> None:
    embeddings, person, group = crowd(seed, people, groups)
    found = rates(embeddings, person, group, EVERYBODY)
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    trials, errors = np.zeros((groups, groups)), np.zeros((groups, groups))
    refused, genuine = np.zeros(groups), np.zeros(groups)
    for i, j in itertools.combinations(range(len(person)), 2):
        accepted = np.float32(unit[i] @ unit[j]) >= np.float32(THRESHOLD)
        a, b = group[person[i]], group[person[j]]
        if person[i] == person[j]:
            genuine[a] += 1
            refused[a] += not accepted
            continue
        for x, y in {(a, b), (b, a)}:
            trials[x, y] += 1
            errors[x, y] += accepted
    for place, told in enumerate(found.groups):
        own = "abcd".index(told.name)
        assert told.fmr.trials == trials[own, own]
        assert abs(told.fmr.errors - errors[own, own]) <= close_calls(unit)
        if told.fnmr is not None:
            assert told.fnmr.trials == genuine[own]
            assert abs(told.fnmr.errors - refused[own]) <= close_calls(unit)
        for other, beside in enumerate(found.groups):
            b = "abcd".index(beside.name)
            difference = found.cross[place, other] * trials[own, b] - errors[own, b]
            assert abs(difference) <= close_calls(unit) + 1e-9


@given(seed=st.integers(0, 10**6), people=st.integers(2, 15), groups=st.integers(1, 4))
def test_resamples_are_those_of_people_written_out(seed: int, people: int, groups: int) -> None:
    """Copies of a person are compared with everybody's, never with one another."""
    embeddings, person, group = crowd(seed, people, groups)
    terms = Terms(fmr=1.0, least_people=2, least_errors=0, draws=3, seed=seed)
    decided = decide(embeddings, person, THRESHOLD)
    found = fairness(decided, group, "abcd"[:groups], terms)
    for told in found.groups:
        own = "abcd".index(told.name)
        members = np.flatnonzero(group == own)
        rng = np.random.default_rng([seed, own])
        weights = rng.multinomial(len(members), np.full(len(members), 1 / len(members)), size=3)
        table = np.zeros((people, people))
        table[decided.first, decided.second] = decided.accepted
        table += table.T
        for draw, weight in zip(told.fmr.draws, weights, strict=True):
            drawn = [*itertools.combinations(np.repeat(members, weight), 2)]
            trials = sum(decided.pictures[i] * decided.pictures[j] for i, j in drawn if i != j)
            errors = sum(table[i, j] for i, j in drawn if i != j)
            assert np.isnan(draw) if not trials else draw == pytest.approx(errors / trials)


@given(
    sizes=st.lists(st.integers(0, 40), min_size=1, max_size=6),
    least=st.integers(2, 20),
    seed=st.integers(0, 10**6),
)
def test_nobody_few_can_be_found_by_subtraction(sizes: list[int], least: int, seed: int) -> None:
    """Told groups are large, and so are those left out taken together; and nothing that is told
    changes with what the others look like."""
    group = np.repeat(np.arange(len(sizes)), sizes)
    terms = Terms(fmr=0.1, least_people=least, least_errors=5, draws=5)
    names = [f"g{index}" for index in range(len(sizes))]
    rng = np.random.default_rng(seed)
    embeddings = rng.standard_normal((len(group), 4))
    found = fairness(decide(embeddings, np.arange(len(group)), THRESHOLD), group, names, terms)
    for told in found.groups:
        assert told.people >= least
        assert told.fmr.trials * terms.fmr >= terms.least_errors
    hidden = sum(size for name, size in zip(names, sizes, strict=True) if name in found.suppressed)
    assert hidden == 0 or hidden >= least or not found.groups
    assert {g.name for g in found.groups} | set(found.suppressed) == {
        name for name, size in zip(names, sizes, strict=True) if size
    }
    away = np.isin(group, [names.index(name) for name in found.suppressed])
    embeddings[away] = rng.standard_normal((int(away.sum()), 4))
    again = fairness(decide(embeddings, np.arange(len(group)), THRESHOLD), group, names, terms)
    assert told_values(again) == told_values(found)


def crowd(
    seed: int, people: int, groups: int
) -> tuple[NDArray[np.float64], list[int], NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    person = np.repeat(np.arange(people), rng.integers(1, 4, people))
    embeddings = rng.standard_normal((people, 3))[person] + 0.5 * rng.standard_normal(
        (len(person), 3)
    )
    return embeddings, person.tolist(), rng.integers(0, groups, people)


def close_calls(unit: NDArray[np.float64]) -> int:
    """Pairs whose side of the threshold depends on rounding."""
    return int(np.count_nonzero(np.abs(unit @ unit.T - THRESHOLD) < 1e-6))


def rates(embeddings: Any, person: Any, group: Any, terms: Terms) -> Fairness:
    names = "abcd"[: int(np.max(np.asarray(group))) + 1]
    return fairness(decide(embeddings, list(person), THRESHOLD), group, names, terms)


def told_values(found: Fairness) -> list[object]:
    return [
        found.cross.tolist(),
        *((g.name, g.people, g.fmr.value, g.fmr.interval) for g in found.groups),
    ]
