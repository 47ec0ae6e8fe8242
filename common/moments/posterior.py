"""What is known of a camera's moments after the releases: precision-weighted, entry by entry.

Public prior, then the releases of the other camera types, then those of the own type, then a
site's own people: each an observation whose variance is known (people are few, noise was added),
so that each counts by how much it can be trusted. Everything here is post-processing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from common.moments.packing import unpack_symmetric
from common.moments.reference import Doubles, Reference

WANDER = 2.0  # prior variance of a new camera's scatter, in those of the simulated ones
LEAST_WANDER = 1e-4  # where the public cameras are too few to show any
LEAST_SCALE = 1e-3


@dataclass(frozen=True, kw_only=True, eq=False)
class Pool:
    """The released sums of one camera type, added up.

    ``people`` is a public constant (sites * declared people); the variances are those of the
    noise in each released coordinate of the sum.
    """

    mean: Doubles  # (K,)
    scatter: Doubles  # (K (K + 1) / 2,) packed
    people: float
    mean_noise: float
    scatter_noise: float


@dataclass(frozen=True, eq=False)
class Belief:
    """A value with its variance, entry by entry."""

    value: Doubles
    variance: Doubles

    def after(self, observed: Doubles, variance: Doubles) -> "Belief":
        """Normal prior, normal observation: the posterior."""
        share = self.variance / (self.variance + variance)
        return Belief(self.value + share * (observed - self.value), self.variance * (1 - share))

    def moved(self, variance: Doubles) -> "Belief":
        """The same belief about something that differs by ``variance``."""
        return Belief(self.value, self.variance + variance)


@dataclass(frozen=True, eq=False)
class SharedPart:
    """What a federation tells the sites of one camera type: its mean and its scatter.

    ``mean`` (K,) with a variance each; None where the type has a single site, whose own people
    say more than its own noisy release.
    """

    mean: Belief | None
    scatter: Belief  # (K, K), in the scale of the reference


def shared_parts(
    reference: Reference, pools: Mapping[str, Pool], sites: Mapping[str, int]
) -> dict[str, SharedPart]:
    """The shared part of every camera type, from the releases of all of them."""
    parts = {}
    for name, own in pools.items():
        others = [pool for other, pool in pools.items() if other != name]
        alone = sites[name] == 1
        scatter = _scatter(reference, others, None if alone else own, tuple(pools.values()))
        mean = None if alone else _mean(reference, own)
        parts[name] = SharedPart(mean, scatter)
    return parts


def prior_scatter(reference: Reference) -> Belief:
    """What public people say of the scatter behind a camera nobody has seen."""
    return Belief(np.diag(reference.within), 2 * _camera_variance(reference))


def _camera_variance(reference: Reference) -> Doubles:
    """How far a camera's scatter may lie from the average camera's, entry by entry."""
    return WANDER * max(reference.wander, LEAST_WANDER) * reference.scale


def _mean(reference: Reference, pool: Pool) -> Belief:
    size = len(pool.mean)
    variance = reference.variance / size / pool.people + pool.mean_noise / pool.people**2
    return Belief(pool.mean / pool.people, np.full(size, variance))


def _scatter(
    reference: Reference, others: Sequence[Pool], own: Pool | None, pools: Sequence[Pool]
) -> Belief:
    level = _level(reference, pools)
    camera = _camera_variance(reference)
    belief = Belief(np.diag(reference.within), camera)
    if others:
        together = _observed(reference, others, level)
        belief = belief.after(together.value, together.variance + camera / len(others))
    belief = belief.moved(camera)
    if own is None:
        return belief
    seen = _observed(reference, [own], level)
    return belief.after(seen.value, seen.variance)


def _observed(reference: Reference, pools: Sequence[Pool], level: float) -> Belief:
    """The scatter that ``pools`` release together, on the reference's scale."""
    people = sum(pool.people for pool in pools)
    total = unpack_symmetric(np.sum([pool.scatter for pool in pools], axis=0))
    noise = sum(pool.scatter_noise for pool in pools) / (people * level) ** 2
    halves = (1 + np.eye(len(total))) / 2  # packing halves the noise variance off the diagonal
    variance = reference.spread * reference.scale / people + halves * noise
    return Belief(total / people / level, variance)


def _level(reference: Reference, pools: Sequence[Pool]) -> float:
    """Clipping shrinks scatters by a factor that nobody knows: the released trace tells it."""
    total = unpack_symmetric(np.sum([pool.scatter for pool in pools], axis=0))
    people = sum(pool.people for pool in pools)
    return max(float(np.trace(total)) / people, LEAST_SCALE) / float(reference.within.sum())
