"""Symmetric matrices as vectors whose L2 norm is the matrix's Frobenius norm.

One Gaussian with the same deviation on every entry of the vector is then exactly the symmetric
noise whose sensitivity is a Frobenius norm: full deviation on the diagonal, 1/sqrt(2) of it off.
"""

import math

import numpy as np
from numpy.typing import NDArray


def pack_symmetric(matrix: NDArray[np.floating]) -> NDArray[np.float64]:
    """The upper triangle of ``matrix`` (E, E), row by row: (E (E + 1) / 2,) float64.

    Off-diagonal entries are scaled by sqrt(2). The lower triangle is not read: the caller
    vouches for symmetry.
    """
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"expected a square matrix, got shape {matrix.shape}")
    rows, columns = np.triu_indices(len(matrix))
    packed = matrix[rows, columns].astype(np.float64)
    packed[rows != columns] *= math.sqrt(2)
    return packed


def unpack_symmetric(packed: NDArray[np.floating]) -> NDArray[np.float64]:
    """The inverse of ``pack_symmetric``: (E (E + 1) / 2,) -> (E, E) float64, exactly symmetric."""
    side = side_of(packed.size)
    if packed.ndim != 1 or packed_size(side) != packed.size:
        raise ValueError(f"no symmetric matrix packs into shape {packed.shape}")
    rows, columns = np.triu_indices(side)
    values = packed.astype(np.float64)
    values[rows != columns] /= math.sqrt(2)
    matrix = np.empty((side, side))
    matrix[rows, columns] = matrix[columns, rows] = values
    return matrix


def packed_size(side: int) -> int:
    """How many numbers a symmetric (side, side) matrix packs into."""
    return side * (side + 1) // 2


def side_of(size: int) -> int:
    """The largest side whose matrix packs into at most ``size`` numbers."""
    return (math.isqrt(8 * size + 1) - 1) // 2
