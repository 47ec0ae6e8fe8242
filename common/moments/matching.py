"""From moments to a tail: centre on the camera, whiten what varies within people.

The last step happens at the site, with the own people's exact moments on top of what is shared.
That local part never leaves, so it needs no noise; without any shared part it is the baseline
every private arm must beat.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.models.tail import Tail
from common.moments.packing import pack_symmetric
from common.moments.posterior import Belief, SharedPart, prior_scatter
from common.moments.reference import MEAN_RADIUS, Doubles, Reference

OWN_SHRINK = 10.0  # people whose mean counts as much as not centring at all
LEAST = 1e-9


@dataclass(frozen=True, eq=False, repr=False)
class OwnPart:
    """Exact moments of a site's people in the frame. Never leaves: no gate has an entry for it.

    Leaks: these are statistics of faces; they are printed nowhere.
    """

    people: int
    mean: Doubles  # (K,)
    scatter: Doubles  # (K, K) mean over the people with two pictures
    paired: int  # people with two pictures


def own_part(reference: Reference, bags: Sequence[NDArray[np.float32]]) -> OwnPart:
    """The moments of ``bags``, (k, D) features of each person, limited like a release would be."""
    size = len(reference.within)
    means, scatters = [np.zeros(size)], []
    for bag in bags:
        points = reference.frame.embed(bag).astype(np.float64)
        means.append(_limited(points.mean(axis=0), MEAN_RADIUS))
        if len(points) > 1:
            centred = points - points.mean(axis=0)
            scatter = centred.T @ centred / len(points)
            norm = float(np.linalg.norm(pack_symmetric(scatter)))
            scatters.append(scatter * min(1.0, reference.radius / max(norm, LEAST)))
    people = max(len(bags), 1)
    scatter = np.mean(scatters, axis=0) if scatters else np.zeros((size, size))
    return OwnPart(len(bags), np.sum(means, axis=0) / people, scatter, len(scatters))


def site_tail(reference: Reference, own: OwnPart, shared: SharedPart | None) -> Tail:
    """The tail a site matches with: feature (D,) -> (K,), compared by cosine.

    Without a shared part this is the local baseline: the same estimator on own people alone.
    """
    belief = prior_scatter(reference) if shared is None else shared.scatter
    if own.paired:
        level = reference.within.sum() / max(float(np.trace(own.scatter)), LEAST)
        variance = reference.spread * reference.scale / own.paired
        belief = belief.after(own.scatter * level, variance)
    matrix = whitening(belief.value, reference.ridge)
    return reference.frame.then(matrix, -matrix @ _centre(reference, own, shared))


def whitening(scatter: Doubles, ridge: float) -> Doubles:
    """(S + ``ridge`` * mean eigenvalue)^(-1/2), (K, K) symmetric.

    Within-class covariance normalisation (Hatch et al. 2006), kept from overreaching by a ridge.
    """
    values, vectors = np.linalg.eigh((scatter + scatter.T) / 2)
    values = np.maximum(values, 0)
    return np.asarray((vectors * (values + ridge * values.mean() + LEAST) ** -0.5) @ vectors.T)


def _centre(reference: Reference, own: OwnPart, shared: SharedPart | None) -> Doubles:
    """Where the site's people lie: not centred, unless its camera type or own people say more."""
    size = len(own.mean)
    person = np.full(size, reference.variance / size)  # of one person's mean
    belief = Belief(reference.uncentred, person / OWN_SHRINK)
    if shared is not None and shared.mean is not None:
        belief = belief.after(shared.mean.value, shared.mean.variance)
    if own.people:
        belief = belief.after(own.mean, person / own.people)
    return belief.value


def _limited(vector: Doubles, radius: float) -> Doubles:
    return vector * min(1.0, radius / max(float(np.linalg.norm(vector)), LEAST))
