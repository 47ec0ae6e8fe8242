"""What a site learns of its own people alone: exact, without noise, because it never leaves.

A site also tunes the tail on its own people. Moments, own or released, are in the coordinates of a
frame: a tuned tail keeps them (``retuned``) as long as it stays close to where it started, which
the pull sees to.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.heads.tuning import TuningOptions, tune_tail
from common.models.tail import Tail
from common.moments.packing import pack_symmetric
from common.moments.reference import MEAN_RADIUS, Doubles, Reference

LEAST = 1e-9

# Chosen on fold 3 of LFW and on invented development people (seed 11), for 5 to 240 people a site.
OWN_TUNING = TuningOptions(
    steps=200, people=128, pictures=3, learning_rate=1e-3, scale=16.0, pull=0.3
)

Bags = Sequence[NDArray[np.float32]]  # (k, D) features of each person


@dataclass(frozen=True, eq=False, repr=False)
class OwnPart:
    """Exact moments of a site's people in the frame. Never leaves: no gate has an entry for it.

    Leaks: these are statistics of faces; they are printed nowhere.
    """

    frame: Tail  # feature (D,) -> coordinates (K,)
    people: int
    mean: Doubles  # (K,)
    scatter: Doubles  # (K, K) mean over the people with two pictures
    paired: int  # people with two pictures


def own_part(reference: Reference, bags: Bags) -> OwnPart:
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
    mean = np.sum(means, axis=0) / people
    return OwnPart(reference.frame, len(bags), mean, scatter, len(scatters))


def own_tail(tail: Tail, bags: Bags, rng: np.random.Generator) -> Tail:
    """``tail`` tuned by a site on its own people, for itself.

    Features are centred on the site's people, whose mean embedding stays where it was. People with
    one picture teach nothing; with fewer than two others ``tail`` is returned as it is.
    """
    able = [bag for bag in bags if len(bag) > 1]
    if len(able) < 2:
        return tail
    centre = np.mean([bag.mean(axis=0) for bag in bags], axis=0)
    person = np.repeat(np.arange(len(able)), [len(bag) for bag in able])
    views = (np.concatenate(able) - centre)[:, None].astype(np.float32)
    still = Tail(tail.weight, np.zeros_like(tail.bias))
    weight = tune_tail(still, views, person, OWN_TUNING, rng).weight
    return Tail(weight, tail.bias - (weight - tail.weight) @ centre)


def _limited(vector: Doubles, radius: float) -> Doubles:
    return vector * min(1.0, radius / max(float(np.linalg.norm(vector)), LEAST))
