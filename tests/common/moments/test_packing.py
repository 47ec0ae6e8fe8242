"""Packing keeps norms, and the noise it implies is symmetric and of the right size."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.moments.packing import pack_symmetric, packed_size, side_of, unpack_symmetric


@given(st.integers(1, 20), st.integers(0, 2**32))
def test_packing_keeps_the_frobenius_norm_and_comes_back(side: int, seed: int) -> None:
    half = np.random.default_rng(seed).normal(size=(side, side))
    matrix = half + half.T
    packed = pack_symmetric(matrix)
    assert packed.shape == (packed_size(side),)
    assert np.linalg.norm(packed) == pytest.approx(np.linalg.norm(matrix), rel=1e-13)
    np.testing.assert_allclose(unpack_symmetric(packed), matrix, rtol=1e-14)


def test_unpacked_noise_has_the_deviations_the_design_states() -> None:
    noise = np.random.default_rng(0).normal(size=(4000, packed_size(4)))
    matrices = np.stack([unpack_symmetric(row) for row in noise])
    deviation = matrices.std(axis=0)
    off = ~np.eye(4, dtype=bool)
    np.testing.assert_allclose(deviation[off], 1 / math.sqrt(2), rtol=0.05)
    np.testing.assert_allclose(np.diag(deviation), 1, rtol=0.05)
    assert (matrices == matrices.transpose(0, 2, 1)).all()


@given(st.integers(0, 3000))
def test_side_is_the_inverse_of_size(side: int) -> None:
    assert side_of(packed_size(side)) == side
    assert side_of(packed_size(side) + side) == side


@pytest.mark.parametrize("shape", [(2,), (4,), (5,), (2, 3), (3, 1)])
def test_what_no_matrix_packs_into_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="shape"):
        unpack_symmetric(np.zeros(shape))


@pytest.mark.parametrize("shape", [(2,), (2, 3), (2, 2, 2)])
def test_what_is_no_square_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="square"):
        pack_symmetric(np.zeros(shape))
