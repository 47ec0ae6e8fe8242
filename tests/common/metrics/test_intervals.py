"""The bootstrap redraws people, and its shortcut gives what the exact resample would give."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from common.metrics.intervals import (
    bootstrap_share,
    bootstrap_tar,
    estimate,
    interval,
    operating_statistics,
    person_weights,
)
from common.metrics.verification import FARS, Pairs, tar_at_far

Doubles = NDArray[np.float64]


@given(seed=st.integers(0, 10**6), people=st.integers(2, 40), spread=st.floats(0, 3))
def test_weights_of_one_give_exactly_the_estimate(seed: int, people: int, spread: float) -> None:
    embeddings, person = faces(seed, people, spread)
    expected = tar_at_far(embeddings, person)
    found = estimate(embeddings, Pairs.of(person), np.ones((2, people)))
    for index, far in enumerate(FARS):
        if expected[far] is None:
            assert np.isnan(found.tar[index])
            assert np.isnan(found.draws[index]).all()
        else:
            assert found.tar[index] == expected[far]
            assert found.draws[index] == pytest.approx([expected[far]] * 2, abs=1e-12)


@given(seed=st.integers(0, 10**6), people=st.integers(3, 12))
def test_statistics_count_every_pair_at_both_people(seed: int, people: int) -> None:
    embeddings, person = faces(seed, people, 1.0)
    embeddings = np.round(embeddings)  # ties
    pairs = Pairs.of(person)
    scores = pairs.score(embeddings)
    statistics = operating_statistics(embeddings, pairs, [0.3])[0.3]
    if statistics is None:
        assert 0.3 * len(pairs.impostor) < 10
        return
    n = len(person)
    rows, columns = pairs.impostor // n, pairs.impostor % n
    totals = statistics.impostor_accepted.sum(axis=0) / 2
    ordered = np.sort(scores.impostor)[::-1]
    for t, total in enumerate(totals):
        accepted = (
            np.zeros(len(ordered), bool)
            if total == 0
            else scores.impostor >= ordered[int(total) - 1]
        )
        assert accepted.sum() == total  # a whole group of ties, never part of one
        by_person = np.bincount(pairs.person[rows[accepted]], minlength=people)
        by_person += np.bincount(pairs.person[columns[accepted]], minlength=people)
        assert (statistics.impostor_accepted[:, t] == by_person).all()
    assert statistics.impostor_pairs.sum() == 2 * len(pairs.impostor)
    assert statistics.genuine_pairs.sum() == len(pairs.genuine)


@pytest.mark.parametrize(("people", "tolerance"), [(60, 0.15), (150, 0.10)])
def test_intervals_agree_with_the_exact_person_bootstrap(people: int, tolerance: float) -> None:
    """Both ends of the 95 % interval within 15 (10) % of its width, at every FAR."""
    embeddings, person = faces(1, people, 0.9)
    weights = person_weights(people, 800, 0)
    found = estimate(embeddings, Pairs.of(person), weights)
    checked = 0
    for index, far in enumerate(FARS):
        if np.isnan(found.tar[index]):
            continue
        exact = exact_draws(embeddings, person, weights, far)
        low, high = interval(exact)
        near = tolerance * (high - low)
        assert interval(found.draws[index]) == pytest.approx((low, high), abs=near)
        assert np.std(found.draws[index]) == pytest.approx(np.std(exact), rel=0.12)
        checked += 1
    assert checked >= 2


def test_paired_differences_agree_with_the_exact_person_bootstrap() -> None:
    person = faces(2, 100, 0.9)[1]
    better, worse = faces(2, 100, 0.8)[0], faces(2, 100, 0.9)[0]
    weights, pairs = person_weights(100, 600, 0), Pairs.of(person)
    draws = [estimate(e, pairs, weights, [1e-2]).draws[0] for e in (better, worse)]
    exact = [exact_draws(e, person, weights, 1e-2) for e in (better, worse)]
    paired, expected = draws[0] - draws[1], exact[0] - exact[1]
    assert interval(paired) == pytest.approx(interval(expected), abs=0.01)
    # What pairing is for: the difference is far surer than either arm.
    assert np.std(paired) < 0.6 * np.std(draws[0])


def test_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    truth = np.mean([estimate_of(seed, 400)[0] for seed in range(1000, 1012)])
    inside = [low <= truth <= high for low, high in (estimate_of(s, 80)[1] for s in range(120))]
    assert 0.88 <= np.mean(inside) <= 1


def test_copying_people_in_the_weights_is_copying_their_pairs() -> None:
    embeddings, person = faces(3, 20, 1.0)
    pairs = Pairs.of(person)
    statistics = operating_statistics(embeddings, pairs, [0.1])[0.1]
    assert statistics is not None
    doubled = bootstrap_tar(statistics, np.full((1, 20), 2.0))
    assert doubled[0] == pytest.approx(statistics.tar, abs=1e-9)


def test_resample_without_a_genuine_pair_is_left_out_of_the_interval() -> None:
    embeddings, person = faces(4, 20, 1.0, twice=1)
    weights = np.ones((3, 20))
    weights[0, 0] = 0  # the only person with two pictures
    draws = estimate(embeddings, Pairs.of(person), weights, [0.1]).draws[0]
    assert np.isnan(draws).tolist() == [True, False, False]
    assert interval(draws) == (draws[1], draws[1])
    assert np.isnan(interval(draws[:1])).all()


def test_weights_are_resamples_and_follow_the_seed() -> None:
    weights = person_weights(30, 200, [7, 1])
    assert weights.shape == (200, 30)
    assert (weights.sum(axis=1) == 30).all()
    assert (weights == person_weights(30, 200, [7, 1])).all()
    assert (weights != person_weights(30, 200, [7, 2])).any()
    assert np.var(weights) == pytest.approx(1 - 1 / 30, abs=0.05)


def test_interval_of_known_draws() -> None:
    assert interval(np.arange(101), 0.9) == pytest.approx((5, 95))


def test_share_of_a_hand_computed_resample() -> None:
    # Person 0 is right in 2 of 3 trials, person 1 in none of 1, person 2 never tried.
    draws = bootstrap_share(
        [True, True, False, False],
        [0, 0, 0, 1],
        np.array([[1, 1, 1], [2, 1, 0], [0, 3, 0], [0, 0, 3.0]]),
    )
    assert draws[:3].tolist() == pytest.approx([2 / 4, 4 / 7, 0])
    assert np.isnan(draws[3])


def faces(
    seed: int, people: int, spread: float, twice: int | None = None
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Two or three pictures of a person, some easier to confuse than others (N, 16), (N,)."""
    rng = np.random.default_rng(seed)
    again = rng.integers(0, people, people * 3 // 2) if twice is None else np.arange(twice)
    person = np.concatenate([np.arange(people), again])
    centres = rng.standard_normal((people, 16)) * rng.uniform(0.6, 1.4, (people, 1))
    noise = rng.standard_normal((len(person), 16))
    return (centres[person] + spread * noise).astype(np.float32), person


def estimate_of(seed: int, people: int) -> tuple[float, tuple[float, float]]:
    embeddings, person = faces(seed, people, 0.8)
    found = estimate(embeddings, Pairs.of(person), person_weights(people, 300, seed), [1e-2])
    return float(found.tar[0]), interval(found.draws[0])


def exact_draws(
    embeddings: NDArray[np.float32], person: NDArray[np.int64], weights: Doubles, far: float
) -> Doubles:
    """Every impostor pair weighs w_i w_j, every genuine pair w_i; the threshold is exact."""
    pairs = Pairs.of(person)
    scores = pairs.score(embeddings)
    order = np.argsort(-scores.impostor, kind="stable")
    ordered, flat = scores.impostor[order], pairs.impostor[order]
    row, column = pairs.person[flat // len(person)], pairs.person[flat % len(person)]
    own = pairs.person[pairs.genuine // len(person)]
    draws = []
    for weight in weights:
        accepted = np.cumsum(weight[row] * weight[column])
        first_refused = np.searchsorted(accepted, far * accepted[-1] * (1 + 1e-12), side="right")
        kept = scores.genuine > ordered[first_refused]
        draws.append((weight[own] * kept).sum() / weight[own].sum())
    return np.array(draws)


def test_scores_that_are_known_already_give_the_same_estimate() -> None:
    rng = np.random.default_rng(5)
    pairs, seen = Pairs.of(np.repeat(np.arange(20), 3)), rng.standard_normal((60, 8))
    weights = person_weights(20, 50, 1)
    one, same = estimate(seen, pairs, weights), estimate(pairs.score(seen), pairs, weights)
    np.testing.assert_array_equal(one.tar, same.tar)
    np.testing.assert_array_equal(one.draws, same.draws)
