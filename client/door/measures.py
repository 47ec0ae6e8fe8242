"""How alike two pictures are, by the distance and the pooling that a site chose for its door.

Whatever it is, it comes down to rows of length 1 and their cosines: galleries, searches and bands
are the same for all. A calibration names its measure, and decides for no other.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from common.errors import ConfigError, ReleaseError
from common.matching.basis_file import basis_bytes
from common.matching.directions import Directions
from common.matching.distances import DEFAULT, Name, Whitened
from common.matching.learnt import Learnt
from common.matching.pooling import BEST, LEARNT, Pooling, pooled, pooled_by
from common.metrics.impostors import Faces, by_person
from common.metrics.verification import Floats


@dataclass(frozen=True, kw_only=True, slots=True)
class Likeness:
    """What a site chose: a distance, and how a person's templates answer together.

    ``weights`` are what "learnt" pools by, of one trunk each.
    """

    distance: Name = DEFAULT
    pooling: Pooling = BEST
    weights: tuple[Learnt, ...] = ()

    def at(self, trunk: str) -> "Likeness":
        """For releases of ``trunk``, with the weights of that trunk alone.

        Where "learnt" has none for it, its people are pooled by quality.
        """
        fitting = tuple(one for one in self.weights if one.trunk == trunk)
        if self.pooling == LEARNT and not fitting:
            return replace(self, pooling="quality", weights=())
        return replace(self, weights=fitting)


COSINE = Likeness()


@dataclass(frozen=True, kw_only=True, eq=False, repr=False, slots=True)
class Pictures:
    """N pictures of people: ``features`` (N, D) of the trunk, the ``embeddings`` (N, E) that the
    tail makes of them, and their ``quality`` (N,) in [0, 1]; None: all alike."""

    features: NDArray[np.floating]
    embeddings: Floats
    quality: NDArray[np.floating] | None = None

    def of(self, rows: NDArray[np.integer]) -> "Pictures":
        """These of them."""
        quality = None if self.quality is None else self.quality[rows]
        return Pictures(
            features=self.features[rows], embeddings=self.embeddings[rows], quality=quality
        )


class Measure:
    """``likeness`` at work for one release; the whitened distance needs its basis.

    ``name`` tells it from any other: "" for the best cosine; the digest of a basis and that of
    learnt weights are part of it. ``ConfigError`` unless "learnt" has the weights of one trunk.
    """

    def __init__(self, likeness: Likeness, whitened: Whitened | None = None) -> None:
        if len(likeness.weights) != (likeness.pooling == LEARNT):
            raise ConfigError("pooling as it was learnt, and no other, has the weights of a trunk")
        self.whitened = whitened
        self.pools = likeness.pooling != BEST
        self._learnt = likeness.weights[0] if likeness.weights else None
        self._directions = Directions(likeness.distance, whitened)
        words: list[str] = [likeness.distance, likeness.pooling]
        words += [one.name for one in likeness.weights]
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

    def enrolled(self, pictures: Pictures, person: NDArray[np.integer]) -> Faces:
        """What people are enrolled with whose ``pictures`` are ``person``'s (N,): a row for each
        picture, or one for each person."""
        if not self.pools:
            return Faces(self.rows(pictures.embeddings), person)
        together = self.together(pictures, by_person(person))
        return Faces(self.rows(together), np.unique(person))

    def together(self, pictures: Pictures, groups: Sequence[ArrayLike]) -> Floats:
        """One embedding (P, E) of length 1 for each of ``groups`` of ``pictures``; ``ModelError``
        where pictures of one group have nothing in common."""
        rows, quality = pictures.embeddings, pictures.quality
        worth = np.ones(len(rows)) if quality is None else np.asarray(quality)
        made = np.zeros((len(groups), rows.shape[1]), np.float32)
        parts = [np.asarray(group, np.intp) for group in groups]
        if self._learnt is None:
            for number, at in enumerate(parts):
                made[number] = pooled(rows[at], worth[at])
            return made
        shares = self._learnt.of_groups(pictures.features, worth, parts)
        for number, (at, share) in enumerate(zip(parts, shares, strict=True)):
            made[number] = pooled_by(rows[at], share)
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
