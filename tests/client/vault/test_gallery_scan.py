"""What a scan over codes rests on: torch's products of bytes, and bounds that hold."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from client.vault.matrix import Matrix, unit
from client.vault.scan import NUMBERS, ROWS, Pieces, _Products, contenders, exact


def matrix_of(rows: NDArray[np.float64]) -> Matrix:
    matrix = Matrix(rows.shape[1], 8)
    matrix.append(unit(rows, rows.shape[1]), np.arange(len(rows)))
    return matrix


def directions(rng: np.random.Generator, count: int, dim: int, peak: float) -> NDArray[np.float64]:
    rows = rng.standard_normal((count, dim))
    rows[:, 0] += peak  # one number far above the others makes codes coarse
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float64)


@pytest.mark.parametrize("dim", [1, 3, 64, 512, 2048])
@pytest.mark.parametrize("width", [2, 6, 64])
def test_products_of_bytes_are_whole_and_right(dim: int, width: int) -> None:
    rng = np.random.default_rng(dim)
    codes = rng.integers(-127, 128, (40, dim), np.int8)
    columns = rng.integers(-127, 128, (dim, width), np.int8)
    codes[0], columns[:, 0] = 127, -127  # the largest there is
    out = torch.empty((40, width), dtype=torch.int32)
    torch._int_mm(torch.from_numpy(codes), torch.from_numpy(columns), out=out)
    assert np.array_equal(out.numpy(), codes.astype(np.int64) @ columns.astype(np.int64))


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    dim=st.sampled_from([1, 2, 17, 128, 600]),
    peak=st.sampled_from([0.0, 5.0, 1e4]),
)
def test_no_score_is_further_off_than_it_is_said_to_be(seed: int, dim: int, peak: float) -> None:
    rng = np.random.default_rng(seed)
    matrix = matrix_of(directions(rng, 200, dim, peak))
    probes = unit(directions(rng, 3, dim, peak), dim)
    near, off = _Products(matrix, Pieces.of(probes)).scores(slice(200))
    for number, probe in enumerate(probes):
        scores = exact(matrix, np.arange(200), probe)
        assert (np.abs(scores - near[:, number].numpy()) <= off).all()


def test_the_best_of_many_groups_are_all_left() -> None:
    rng = np.random.default_rng(1)
    probes = unit(directions(rng, 64, 8, 0), 8)
    count = 3 * (NUMBERS // 128) + 5  # more rows than are judged at once
    assert count > ROWS
    matrix = matrix_of(directions(rng, count, 8, 0))
    for index, probe in zip(contenders(matrix, probes, 7), probes, strict=True):
        scores = exact(matrix, np.arange(count), probe)
        assert set(np.argsort(-scores)[:7]) <= set(index.tolist())
        assert len(index) < count / 4


def test_rows_begin_where_a_cache_line_does() -> None:
    matrix = matrix_of(directions(np.random.default_rng(2), 100, 64, 0))
    for array in matrix._arrays.values():
        assert array.ctypes.data % 64 == 0
