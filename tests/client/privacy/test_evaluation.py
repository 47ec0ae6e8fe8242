"""A person's cells: what they count, that no bag exceeds the bound, and who they depend on."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from client.privacy.entropy import OsEntropy
from client.privacy.evaluation import MOST_IMPOSTORS, MOST_PICTURES, evaluations
from client.privacy.moments import clip_rows, private_sum
from common.models.tail import Tail
from common.privacy.cells import HALF, person_cells, rates, sensitivity

D, E = 5, 3
THRESHOLDS = np.array([0.1, 0.6], np.float32)


def tail(seed: int = 1, size: float = 1.0) -> Tail:
    rng = np.random.default_rng(seed)
    weight = (size * rng.standard_normal((E, D))).astype(np.float32)
    return Tail(weight, (size * rng.standard_normal(E)).astype(np.float32))


def some(pictures: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((pictures, D)).astype(np.float32)


BAGS = [some(pictures, 10 + pictures) for pictures in (3, 1, 2, 7)]
PUBLIC = some(9, 3)


def cosine(one: np.ndarray, other: np.ndarray) -> float:
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


def by_hand(bag: np.ndarray, public: np.ndarray, threshold: float) -> tuple[float | None, float]:
    points, others = (tail().embed(x).astype(np.float64) for x in (bag, public))
    own = [cosine(a, b) >= threshold for a, b in itertools.combinations(points, 2)]
    passed = [cosine(a, b) >= threshold for a in points for b in others]
    return (float(np.mean(own)) if own else None), float(np.mean(passed))


def test_the_cells_are_the_shares_of_pairs_at_or_above_each_threshold() -> None:
    rows = evaluations(BAGS, PUBLIC, tail(), THRESHOLDS)
    assert rows.shape == (4, 6)
    for row, bag in zip(rows, BAGS, strict=True):
        told = [by_hand(bag, PUBLIC, float(t)) for t in THRESHOLDS]
        own = None if told[0][0] is None else [share for share, _ in told]
        np.testing.assert_allclose(row, person_cells(own, [share for _, share in told]))


def test_a_person_depends_on_nobody_else_bit_for_bit() -> None:
    rows = evaluations(BAGS, PUBLIC, tail(), THRESHOLDS)
    for gone in range(len(BAGS)):
        others = BAGS[:gone] + BAGS[gone + 1 :]
        without = evaluations(others, PUBLIC, tail(), THRESHOLDS)
        assert without.tobytes() == np.delete(rows, gone, axis=0).tobytes()


@settings(deadline=None)
@given(
    pictures=st.integers(1, 2 * MOST_PICTURES),
    seed=st.integers(0, 10**6),
    size=st.sampled_from([0.0, 1e-30, 1.0, 1e30]),
    thresholds=st.lists(st.floats(-2, 2, width=32), min_size=1, max_size=4),
    broken=st.sampled_from([None, np.nan, np.inf, -np.inf, 3e38]),
)
def test_whatever_is_asked_a_person_moves_the_sum_by_the_clip_at_most(
    pictures: int, seed: int, size: float, thresholds: list[float], broken: float | None
) -> None:
    bag, asked = some(pictures, seed), np.array(thresholds, np.float32)
    if broken is not None:
        bag[seed % pictures, seed % D] = broken
    rows = evaluations([*BAGS, bag], PUBLIC, tail(seed, size), asked)
    clip = sensitivity(len(asked))
    moved = rows.sum(axis=0) - evaluations(BAGS, PUBLIC, tail(seed, size), asked).sum(axis=0)
    assert np.linalg.norm(moved) <= clip * (1 + 1e-12)
    np.testing.assert_allclose(clip_rows(rows, clip), rows, rtol=1e-15)  # the clip takes nothing


def test_the_bound_is_attained_by_a_person_with_two_pictures() -> None:
    for asked in ([-1.0], [1.0], [-1.0, 1.0]):
        rows = evaluations([some(2, 1)], PUBLIC, tail(), np.array(asked, np.float32))
        assert np.linalg.norm(rows[0]) == pytest.approx(sensitivity(len(asked)), rel=1e-15)


def test_a_person_with_one_picture_says_nothing_of_own_pairs() -> None:
    [row] = evaluations([some(1, 1)], PUBLIC, tail(), THRESHOLDS)
    np.testing.assert_array_equal(row[:2], 0)
    np.testing.assert_array_equal(row[-2:], [0, HALF])


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_a_person_with_a_number_that_is_not_finite_counts_as_nobody(broken: float) -> None:
    bag = some(3, 1)
    bag[1, 2] = broken
    rows = evaluations([bag, BAGS[0]], PUBLIC, tail(), THRESHOLDS)
    np.testing.assert_array_equal(rows[0], 0)
    np.testing.assert_array_equal(rows[1:], evaluations(BAGS[:1], PUBLIC, tail(), THRESHOLDS))


def test_embeddings_of_no_length_match_nobody() -> None:
    blind = Tail(np.zeros((E, D), np.float32), np.zeros(E, np.float32))
    [row] = evaluations([some(3, 1)], PUBLIC, blind, THRESHOLDS)
    np.testing.assert_array_equal(row, person_cells([0, 0], [0, 0]))


def test_many_pictures_and_many_impostors_cost_no_more_than_their_limits() -> None:
    many, public = some(400, 1), some(4000, 2)
    few = many[np.linspace(0, 399, MOST_PICTURES).round().astype(int)]
    rest = public[np.linspace(0, 3999, MOST_IMPOSTORS).round().astype(int)]
    np.testing.assert_array_equal(
        evaluations([many], public, tail(), THRESHOLDS),
        evaluations([few], rest, tail(), THRESHOLDS),
    )


def test_a_site_without_people_or_public_ones_releases_noise_alone() -> None:
    assert evaluations([], PUBLIC, tail(), THRESHOLDS).shape == (0, 6)
    [row] = evaluations([some(2, 1)], PUBLIC[:0], tail(), np.array([-1.0], np.float32))
    np.testing.assert_array_equal(row, person_cells([1], [0]))


def test_a_noised_sum_gives_the_rates_of_the_people_back() -> None:
    people = [some(1 + number % 5, 100 + number) for number in range(200)]
    rows = evaluations(people, PUBLIC, tail(), THRESHOLDS)
    clip, sigma = sensitivity(2), 1e-6
    told = rates(private_sum(rows, clip, sigma, OsEntropy()), sigma * clip)
    assert told.people.value == pytest.approx(200, abs=1e-3)
    shares = [by_hand(bag, PUBLIC, float(THRESHOLDS[1])) for bag in people]
    own = [share for share, _ in shares if share is not None]
    assert told.paired.value == pytest.approx(len(own), abs=1e-3)
    assert told.own[1] is not None
    assert told.public[1] is not None
    assert told.own[1].value == pytest.approx(np.mean(own), abs=1e-4)
    assert told.public[1].value == pytest.approx(np.mean([s for _, s in shares]), abs=1e-4)


# Mistakes that the detector of this file must catch: how far one person moves the sum.


def moves(rows_of: object) -> float:
    """The most that one person moves what ``rows_of`` adds up to, in clips."""
    asked = np.array([-1.0], np.float32)
    few = [some(2, seed) for seed in range(3)]
    worst = 0.0
    for pictures in (1, 2, 12):
        with_them = rows_of([*few, some(pictures, 9)], asked)  # type: ignore[operator]
        without = rows_of(few, asked)  # type: ignore[operator]
        worst = max(worst, float(np.linalg.norm(with_them - without)))
    return worst / sensitivity(1)


def shipped(bags: list[np.ndarray], asked: np.ndarray) -> np.ndarray:
    return evaluations(bags, PUBLIC, tail(), asked).sum(axis=0)


def divides_by_the_true_count(bags: list[np.ndarray], asked: np.ndarray) -> np.ndarray:
    """MUTANT: a mean over the site's people, brought to the scale of a declared hundred."""
    return 100 * shipped(bags, asked) / len(bags)


def counts_pairs(bags: list[np.ndarray], asked: np.ndarray) -> np.ndarray:
    """MUTANT: matching pairs instead of their share: many pictures weigh more."""
    rows = evaluations(bags, PUBLIC, tail(), asked)
    for row, bag in zip(rows, bags, strict=True):
        row[0] = (row[0] + HALF) * math.comb(len(bag), 2)
    return np.asarray(rows.sum(axis=0))


def forgets_to_centre(bags: list[np.ndarray], asked: np.ndarray) -> np.ndarray:
    """MUTANT: plain shares, at the price of centred ones."""
    rows = evaluations(bags, PUBLIC, tail(), asked)
    rows[:, :2] += HALF
    return np.asarray(rows.sum(axis=0))


def test_one_person_too_many_is_caught_in_every_mutant_and_in_nothing_that_ships() -> None:
    assert moves(shipped) == pytest.approx(1.0)
    for mutant in (divides_by_the_true_count, counts_pairs, forgets_to_centre):
        assert moves(mutant) > 1.2, mutant
