"""Learning without any privacy: everybody's features in one place, in-batch contrast.

The upper bound of a comparison, and, on volunteers only, the consenting panel. Exists in the
laboratory alone: no message of a production agent could ask for it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.heads.tuning import TuningOptions, tune_tail
from common.models.tail import Tail
from common.moments.own import Bags, own_tail

OPTIONS = TuningOptions(steps=200, people=128, pictures=3, learning_rate=4e-4, scale=16.0)
OWN_SHRINK = 10.0  # people at which a site's own mean counts as much as its camera type's


@dataclass(frozen=True, eq=False)
class Pooled:
    """A tail tuned on everybody's features, the mean (D,) of each camera type and its people."""

    tail: Tail  # of features centred per camera type
    means: dict[str, NDArray[np.float32]]
    people: dict[str, int]

    def at(self, camera_type: str, own: Bags, rng: np.random.Generator | None) -> Tail:
        """What a site matches with: tuned on its ``own`` people where ``rng`` is given, and
        centred on its type's mean and that of its own people, which never leaves."""
        tail = self.tail
        if rng is not None:
            tail = own_tail(tail, [bag - self.means[camera_type] for bag in own], rng)
        share = len(own) / (len(own) + OWN_SHRINK + self.people[camera_type])
        centre = share * _mean([own]) + (1 - share) * self.means[camera_type]
        return Tail(tail.weight, -tail.weight @ centre)


def together(
    start: Tail, types: Sequence[str], people: Sequence[Bags], rng: np.random.Generator
) -> Pooled:
    """Pools the ``people`` of all sites; ``types[i]`` is site i's camera type."""
    of_type = {
        name: [bags for other, bags in zip(types, people, strict=True) if other == name]
        for name in sorted(set(types))
    }
    means = {name: _mean(sites) for name, sites in of_type.items()}
    able = [
        bag - means[name]
        for name, sites in of_type.items()
        for bags in sites
        for bag in bags
        if len(bag) > 1
    ]
    tail = Tail(start.weight, np.zeros_like(start.bias))
    if len(able) > 1:
        person = np.repeat(np.arange(len(able)), [len(bag) for bag in able])
        views = np.concatenate(able)[:, None].astype(np.float32)
        tail = tune_tail(tail, views, person, OPTIONS, rng)
    return Pooled(tail, means, {name: sum(map(len, sites)) for name, sites in of_type.items()})


def _mean(sites: Sequence[Bags]) -> NDArray[np.float32]:
    """Mean over people of the mean over their pictures, (D,)."""
    means = np.stack([bag.mean(axis=0) for bags in sites for bag in bags])
    return np.asarray(means.mean(axis=0), np.float32)
