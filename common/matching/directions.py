"""Every measure as a cosine: rows of length 1 whose cosines order pairs as the measure does.

So one gallery, one search and one calibration do for all of them. At length 1, ``euclid`` orders as
``cosine`` does: the squared distance is 2 - 2 cosine. A code of ``hamming`` is padded with ones to
a power of four, so that its numbers are a power of two: with h of E signs different the cosine is
exactly 1 - 2 h / dim, also of float16 rows.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from common.errors import ConfigError, ModelError
from common.matching.distances import DEFAULT, NAMES, Name, Whitened
from common.metrics.verification import Floats, unit_rows

BLOCK = 64  # rows of one product, always so many: its order of adding depends on the size

Doubles = NDArray[np.float64]


class Directions:
    """The rows of the measure ``name``; ``whitened`` needs its basis.

    A row is the same to the bit in whatever company it is made. Raises ``ConfigError``.
    """

    def __init__(self, name: Name = DEFAULT, whitened: Whitened | None = None) -> None:
        if name not in NAMES:
            raise ConfigError(f"no distance {name!r}; known: {', '.join(NAMES)}")
        if (whitened is None) == (name == "whitened"):
            raise ConfigError("the whitened distance, and no other, has a basis")
        self.name = name
        if whitened is not None:
            self._basis = whitened.basis.astype(np.float64)
            self._offset = -whitened.mean.astype(np.float64) @ self._basis

    def dim(self, embedding_dim: int) -> int:
        """How many numbers a row has."""
        return _padded(embedding_dim) if self.name == "hamming" else embedding_dim

    def of(self, embeddings: Floats) -> Floats:
        """(N, E) embeddings of any length -> (N, dim) rows; zero where an embedding is.

        ``cosine`` and ``euclid`` give back what they were given, of whatever length. ``ModelError``
        where an embedding does not fit or is not finite.
        """
        if self.name == "hamming":
            return _signs(embeddings)
        return self._whitened(embeddings) if self.name == "whitened" else embeddings

    def _whitened(self, embeddings: Floats) -> Floats:
        unit = unit_rows(embeddings)
        if unit.shape[1] != len(self._basis):
            raise ModelError(f"embeddings have {unit.shape[1]} numbers, not {len(self._basis)}")
        rows = affine(unit, self._basis, self._offset)
        rows[~unit.any(axis=1)] = 0
        return unit_rows(rows)


def affine(rows: ArrayLike, matrix: Doubles, offset: Doubles) -> Floats:
    """rows (N, D) @ ``matrix`` (D, K) + ``offset`` (K,), in float64 over blocks of one size."""
    wide = np.asarray(rows)
    made = np.empty((len(wide), matrix.shape[1]), np.float32)
    block = np.zeros((BLOCK, len(matrix)))
    for start in range(0, len(wide), BLOCK):
        part = wide[start : start + BLOCK]
        block[: len(part)] = part
        with np.errstate(over="ignore", invalid="ignore"):  # not finite: for the caller to refuse
            made[start : start + BLOCK] = (block @ matrix + offset)[: len(part)]
    block.fill(0)
    return made


def _signs(embeddings: Floats) -> Floats:
    unit = unit_rows(embeddings)
    code = np.ones((len(unit), _padded(unit.shape[1])), np.float32)
    code[:, : unit.shape[1]] = np.where(unit > 0, 1, -1)
    code[~unit.any(axis=1)] = 0
    return unit_rows(code)


def _padded(dim: int) -> int:
    """The least power of four that is ``dim`` or more."""
    padded = 1
    while padded < dim:
        padded *= 4
    return padded
