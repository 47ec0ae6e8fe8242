"""How alike two pictures are, by the distance and the pooling that a site chose for its door.

Whatever it is, it comes down to rows of length 1 and their cosines: galleries, searches and bands
are the same for all. A calibration names its measure, and decides for no other.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from common.errors import ConfigError, ReleaseError
from common.matching.basis_file import basis_bytes
from common.matching.directions import Directions
from common.matching.distances import DEFAULT, Name, Whitened
from common.matching.pooling import BEST, Pooling, pooled
from common.metrics.impostors import Faces, by_person
from common.metrics.verification import Floats


@dataclass(frozen=True, kw_only=True, slots=True)
class Likeness:
    """What a site chose: a distance, and how a person's templates answer together."""

    distance: Name = DEFAULT
    pooling: Pooling = BEST


COSINE = Likeness()


class Measure:
    """``likeness`` at work for one release; the whitened distance needs its basis.

    ``name`` tells it from any other: "" for the best cosine, and where there is a basis its digest
    is part of it.
    """

    def __init__(self, likeness: Likeness, whitened: Whitened | None = None) -> None:
        self.whitened = whitened
        self.pools = likeness.pooling != BEST
        self._directions = Directions(likeness.distance, whitened)
        words: list[str] = [likeness.distance, likeness.pooling]
        if whitened is not None:
            words.append(hashlib.sha256(basis_bytes(whitened)).hexdigest())
        self.name = "" if likeness == COSINE else " ".join(words)

    def dim(self, embedding_dim: int) -> int:
        """How many numbers a row has."""
        return self._directions.dim(embedding_dim)

    def rows(self, embeddings: Floats) -> Floats:
        """(N, E) embeddings -> (N, dim) rows to compare, of length 1 where embeddings are.

        Zero where an embedding is, and the same to the bit in any company.
        """
        return self._directions.of(embeddings)

    def enrolled(
        self,
        embeddings: Floats,
        person: NDArray[np.integer],
        quality: NDArray[np.floating] | None = None,
    ) -> Faces:
        """What people are enrolled with whose pictures are ``embeddings`` (N, E): a row for each
        picture, or one for each person. ``quality`` (N,) is in [0, 1]; None: all alike."""
        if not self.pools:
            return Faces(self.rows(embeddings), person)
        together = self.together(embeddings, by_person(person), quality)
        return Faces(self.rows(together), np.unique(person))

    def together(
        self,
        embeddings: Floats,
        groups: Sequence[ArrayLike],
        quality: NDArray[np.floating] | None = None,
    ) -> Floats:
        """One embedding (P, E) of length 1 for each of ``groups`` of ``embeddings``; ``ModelError``
        where pictures of one group have nothing in common."""
        worth = np.ones(len(embeddings)) if quality is None else np.asarray(quality)
        made = np.zeros((len(groups), embeddings.shape[1]), np.float32)
        for number, group in enumerate(groups):
            at = np.asarray(group, np.intp)
            made[number] = pooled(embeddings[at], worth[at])
        return made

    def __repr__(self) -> str:
        return f"Measure({self.name or 'cosine best'})"


PLAIN = Measure(COSINE)


def measure_of(likeness: Likeness, public: Floats) -> Measure:
    """``likeness`` for a release that makes ``public`` (M, E) of public people.

    Guarantee: nothing of anybody enrolled enters. ``ReleaseError`` where public people are too few
    for the basis of the whitened distance.
    """
    if likeness.distance != "whitened":
        return Measure(likeness)
    try:
        return Measure(likeness, Whitened.of(public))
    except ConfigError:
        raise ReleaseError(
            "the whitened distance takes its basis from public people, and there are too few: put "
            "pictures where [site] public says, or choose another distance in [door]"
        ) from None
