"""How alike two embeddings are, by one of four measures behind one interface.

``cosine`` is what the networks were trained for and what decides unless somebody asks for another.
``euclid`` also sees how long an embedding is, ``hamming`` compares signs alone (a 32nd of the
memory), ``whitened`` is the cosine in a basis where the embeddings of public people are round.
"""

from dataclasses import dataclass
from typing import Any, Literal, Protocol, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from common.errors import ConfigError, ModelError
from common.metrics.verification import Floats, unit_rows

Name = Literal["cosine", "euclid", "hamming", "whitened"]
NAMES: tuple[Name, ...] = get_args(Name)
DEFAULT: Name = "cosine"

SHRINK = 0.1  # of the mean variance, added to each before it is divided by


class Distance(Protocol):
    """A measure. What ``prepare`` gives is kept of a template; ``pairs`` compares two such."""

    @property
    def higher_is_better(self) -> bool:
        """Whether a higher number means more alike."""

    def prepare(self, embeddings: ArrayLike) -> NDArray[Any]:
        """(N, E) embeddings, of any norm, in the form that is compared; ``ModelError``
        where one is not finite."""

    def pairs(self, left: NDArray[Any], right: NDArray[Any]) -> Floats:
        """The measure (N,) of row i of ``left`` and row i of ``right``, both prepared."""

    def table(self, left: NDArray[Any], right: NDArray[Any]) -> Floats:
        """The measure (Q, N) of every prepared row of ``left`` and every one of ``right``."""


def make_distance(name: str, public: ArrayLike | None = None) -> Distance:
    """The measure called ``name``.

    ``public`` (M, E) are embeddings of public people by the same trunk and tail, needed by
    ``whitened`` alone. Raises ``ConfigError``.
    """
    if name == "cosine":
        return Cosine()
    if name == "euclid":
        return Euclid()
    if name == "hamming":
        return Hamming()
    if name != "whitened":
        raise ConfigError(f"no distance {name!r}; known: {', '.join(NAMES)}")
    if public is None:
        raise ConfigError("the whitened distance needs embeddings of public people")
    return Whitened.of(public)


@dataclass(frozen=True, slots=True)
class Cosine:
    """The cosine of the angle between two embeddings."""

    higher_is_better: bool = True

    def prepare(self, embeddings: ArrayLike) -> Floats:
        return unit_rows(embeddings)

    def pairs(self, left: Floats, right: Floats) -> Floats:
        return _dots(left, right)

    def table(self, left: Floats, right: Floats) -> Floats:
        return np.asarray(left @ right.T, np.float32)


@dataclass(frozen=True, slots=True)
class Euclid:
    """The distance between two embeddings as the tail made them, not scaled to length 1."""

    higher_is_better: bool = False

    def prepare(self, embeddings: ArrayLike) -> Floats:
        rows = np.asarray(embeddings, np.float32)
        unit_rows(rows)  # for what it refuses
        return rows

    def pairs(self, left: Floats, right: Floats) -> Floats:
        return np.asarray(np.linalg.norm(left - right, axis=1), np.float32)

    def table(self, left: Floats, right: Floats) -> Floats:
        wide, other = left.astype(np.float64), right.astype(np.float64)
        squares: NDArray[np.float64] = (
            (wide**2).sum(1)[:, None] + (other**2).sum(1) - 2 * wide @ other.T
        )
        return np.asarray(np.sqrt(squares.clip(0)), np.float32)


@dataclass(frozen=True, slots=True)
class Hamming:
    """How many of the E signs differ. Prepared rows are bits, (N, ceil(E / 8)) uint8."""

    higher_is_better: bool = False

    def prepare(self, embeddings: ArrayLike) -> NDArray[np.uint8]:
        return np.packbits(unit_rows(embeddings) > 0, axis=1)

    def pairs(self, left: NDArray[np.uint8], right: NDArray[np.uint8]) -> Floats:
        return np.asarray(_ONES[left ^ right].sum(axis=1), np.float32)

    def table(self, left: NDArray[np.uint8], right: NDArray[np.uint8]) -> Floats:
        a, b = (2 * np.unpackbits(bits, axis=1).astype(np.float32) - 1 for bits in (left, right))
        return np.asarray((a.shape[1] - a @ b.T) / 2, np.float32)


@dataclass(frozen=True, eq=False, slots=True)
class Whitened:
    """The cosine of (embedding - ``mean``) @ ``basis``: directions in which everybody differs
    count less, those in which few do count more."""

    mean: Floats  # (E,)
    basis: Floats  # (E, E)
    higher_is_better: bool = True

    @classmethod
    def of(cls, public: ArrayLike) -> "Whitened":
        """The basis of the principal components of ``public`` (M, E) embeddings of public people.

        Guarantee: nothing but ``public`` enters, so that the basis may be told to anybody.
        """
        rows = unit_rows(public).astype(np.float64)
        if len(rows) < 2:
            raise ConfigError("the whitened distance needs at least two public embeddings")
        mean = rows.mean(axis=0)
        variance, axes = np.linalg.eigh(np.cov(rows.T).reshape(rows.shape[1], -1))
        variance = variance.clip(0) + SHRINK * variance.mean()
        if not variance.min() > 0:
            raise ConfigError("all public embeddings are the same")
        return cls(mean.astype(np.float32), (axes / np.sqrt(variance)).astype(np.float32))

    def prepare(self, embeddings: ArrayLike) -> Floats:
        unit = unit_rows(embeddings)
        if unit.shape[1] != len(self.mean):
            raise ModelError(f"embeddings have {unit.shape[1]} numbers, not {len(self.mean)}")
        return unit_rows((unit - self.mean) @ self.basis)

    def pairs(self, left: Floats, right: Floats) -> Floats:
        return _dots(left, right)

    def table(self, left: Floats, right: Floats) -> Floats:
        return np.asarray(left @ right.T, np.float32)


_ONES = np.array([bin(byte).count("1") for byte in range(256)], np.uint8)


def _dots(left: Floats, right: Floats) -> Floats:
    return np.asarray(np.einsum("ne,ne->n", left, right), np.float32)
