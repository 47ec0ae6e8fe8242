"""One person's contribution depends on that person alone, and its norm is what is clipped."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.privacy.contributions import CONTRIBUTIONS, contributions
from common.moments.names import sum_size
from common.moments.packing import pack_symmetric, unpack_symmetric

KINDS = sorted(CONTRIBUTIONS)


def world(seed: int, sizes: list[int]) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    bags = [rng.standard_normal((size, 7)).astype(np.float32) for size in sizes]
    return bags, rng.standard_normal((4, 7)).astype("f4"), rng.standard_normal(4).astype("f4")


@pytest.mark.parametrize("kind", KINDS)
@given(seed=st.integers(0, 99), sizes=st.lists(st.integers(1, 6), min_size=1, max_size=6))
def test_removing_a_person_changes_nobody_elses_row_by_a_bit(
    kind: str, seed: int, sizes: list[int]
) -> None:
    bags, weight, bias = world(seed, sizes)
    whole = contributions(kind, bags, weight, bias)
    assert whole.shape == (len(sizes), sum_size(kind, 4))
    for gone in range(len(bags)):
        rest = contributions(kind, bags[:gone] + bags[gone + 1 :], weight, bias)
        assert rest.tobytes() == np.delete(whole, gone, axis=0).tobytes()


def test_one_picture_has_no_scatter() -> None:
    bags, weight, bias = world(1, [1, 3])
    rows = contributions("scatter", bags, weight, bias)
    assert not rows[0].any()
    assert rows[1].any()
    assert not contributions("moments", bags, weight, bias)[0, 4:].any()


def test_scatter_is_the_covariance_and_its_norm_is_frobenius() -> None:
    bags, weight, bias = world(2, [5])
    row = contributions("scatter", bags, weight, bias)[0]
    points = bags[0].astype(np.float64) @ weight.T.astype(np.float64) + bias
    covariance = np.cov(points.T, bias=True)
    np.testing.assert_allclose(unpack_symmetric(row), covariance, atol=1e-12)
    assert np.linalg.norm(row) == pytest.approx(np.linalg.norm(covariance))


def test_mean_and_moments_are_what_they_say() -> None:
    bags, weight, bias = world(3, [4, 2])
    points = bags[1].astype(np.float64) @ weight.T.astype(np.float64) + bias
    np.testing.assert_allclose(contributions("mean", bags, weight, bias)[1], points.mean(axis=0))
    both = contributions("moments", bags, weight, bias)[1]
    np.testing.assert_allclose(both[:4], points.mean(axis=0))
    np.testing.assert_allclose(both[4:], pack_symmetric(np.cov(points.T, bias=True)), atol=1e-12)


def test_nobody_contributes_nothing_of_the_right_size() -> None:
    _, weight, bias = world(4, [1])
    for kind in KINDS:
        assert contributions(kind, [], weight, bias).shape == (0, sum_size(kind, 4))
