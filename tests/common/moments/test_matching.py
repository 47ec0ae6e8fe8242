"""The tail a site matches with: affine, finite whatever comes, its own part limited."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from common.models.tail import Tail
from common.moments.matching import site_tail, whitening
from common.moments.own import own_part, own_tail
from common.moments.posterior import Belief, SharedPart, prior_scatter
from common.moments.reference import OWN_SHRINK, RIDGE, Reference, retuned

Bags = Callable[..., list[np.ndarray]]


def test_tail_is_the_affine_map_that_whitening_by_hand_gives(known: Reference, bags: Bags) -> None:
    own = own_part(known, bags(4))
    scatter = turned(known)
    mean = Belief(np.full(6, 0.2), np.full(6, 1e-12))
    shared = SharedPart(mean, Belief(scatter, np.full((6, 6), 1e-12)))
    tail = site_tail(known, own, shared)
    features = np.concatenate(bags(9))
    points = known.frame.embed(features).astype(np.float64)
    values, vectors = np.linalg.eigh(scatter)
    white = vectors @ np.diag((values + RIDGE * values.mean()) ** -0.5) @ vectors.T
    np.testing.assert_allclose(white, whitening(scatter, RIDGE), rtol=1e-6)
    by_hand = (points - 0.2) @ whitening(scatter, RIDGE)
    np.testing.assert_allclose(tail.embed(features), by_hand, rtol=1e-3, atol=1e-3)


Bags = Callable[..., list[np.ndarray]]


def test_a_tuned_frame_is_what_is_whitened_and_centred(
    known: Reference, identity: Tail, bags: Bags
) -> None:
    tuned = own_tail(identity, bags(6), np.random.default_rng(0))
    reference = retuned(known, identity, tuned)
    own = own_part(reference, bags(6))
    assert own.frame.hash == reference.frame.hash != known.frame.hash
    belief = Belief(np.diag(known.within), np.full((6, 6), 1e-12))
    shared = SharedPart(Belief(np.full(6, 0.2), np.full(6, 1e-12)), belief)
    features = np.concatenate(bags(9))
    by_hand = (reference.frame.embed(features) - 0.2) @ whitening(np.diag(known.within), RIDGE)
    for told in (known, reference):  # nothing but the frame differs between the two
        found = site_tail(told, own, shared).embed(features)
        np.testing.assert_allclose(found, by_hand, rtol=1e-3, atol=1e-3)


def test_a_site_without_people_matches_with_what_is_shared(known: Reference, bags: Bags) -> None:
    nobody = own_part(known, [])
    assert (nobody.people, nobody.paired) == (0, 0)
    alone = site_tail(known, nobody, None)
    features = np.concatenate(bags(5))
    matrix = whitening(np.diag(known.within), RIDGE)
    by_hand = (known.frame.embed(features) - known.uncentred) @ matrix
    np.testing.assert_allclose(alone.embed(features), by_hand, rtol=1e-3, atol=1e-3)
    mean = Belief(np.full(6, 0.3), np.full(6, 1e-12))
    shared = site_tail(known, nobody, SharedPart(mean, prior_scatter(known)))
    by_hand = (known.frame.embed(features) - 0.3) @ matrix
    np.testing.assert_allclose(shared.embed(features), by_hand, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("shrink", [OWN_SHRINK, 2.0])
def test_own_mean_counts_by_the_number_of_own_people(
    known: Reference, bags: Bags, shrink: float
) -> None:
    reference = dataclasses.replace(known, own_shrink=shrink)
    own = own_part(reference, bags(int(shrink)))  # so many that they count as much as nobody
    half = (own.mean + reference.uncentred) / 2
    tail = site_tail(reference, own, None)
    centre = -np.linalg.pinv(tail.weight.astype(np.float64)) @ tail.bias  # the feature mapped to 0
    np.testing.assert_allclose(
        reference.frame.embed(centre[None].astype(np.float32))[0], half, atol=1e-3
    )


DEGENERATE = {
    "nobody": [],
    "one picture": [np.ones((1, 6), np.float32)],
    "the same picture twice": [np.ones((2, 6), np.float32)] * 3,
    "one direction only": [np.outer([1, 2, 3], np.ones(6)).astype(np.float32)] * 4,
    "huge": [np.array([[1e15] * 6, [-1e15] * 6], np.float32)],
    "tiny": [np.array([[1e-30] * 6, [-1e-30] * 6], np.float32)],
}


@pytest.mark.parametrize("kind", DEGENERATE)
def test_degenerate_people_give_a_finite_tail(known: Reference, kind: str) -> None:
    own = own_part(known, DEGENERATE[kind])
    for scatter in (np.diag(known.within), np.zeros((6, 6)), -np.eye(6), np.ones((6, 6))):
        belief = Belief(scatter, np.full((6, 6), 1e-3))
        mean = Belief(np.zeros(6), np.full(6, 1e-3))
        for shared in (None, SharedPart(None, belief), SharedPart(mean, belief)):
            tail = site_tail(known, own, shared)  # Tail itself refuses what is not finite
            assert np.isfinite(tail.embed(np.ones((1, 6), np.float32))).all()


@given(arrays(np.float64, (4, 4), elements=st.floats(-5, 5)))
def test_whitening_is_symmetric_and_positive(matrix: np.ndarray) -> None:
    white = whitening(matrix, RIDGE)
    np.testing.assert_allclose(white, white.T, rtol=1e-6, atol=1e-6 * np.abs(white).max())
    assert np.linalg.eigvalsh((white + white.T) / 2).min() > 0


def turned(known: Reference) -> np.ndarray:
    matrix = np.diag(known.within[::-1]).copy()
    matrix[0, 1] = matrix[1, 0] = 0.3 * known.within.min()
    return matrix
