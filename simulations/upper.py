"""Learning without any privacy: everybody's features in one place, in-batch contrast.

The upper bound of a comparison, and, on volunteers only, the consenting panel. Exists in the
laboratory alone: no message of a production agent could ask for it.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from common.models.tail import Tail
from server.tuning import TuningOptions, tune_tail

Bags = Sequence[Sequence[NDArray[np.float32]]]  # by site, by person: (k, D)

OPTIONS = TuningOptions(steps=200, people=128, pictures=3, learning_rate=4e-4, scale=16.0)
OWN_SHRINK = 10.0  # people at which a site's own mean counts as much as its camera type's


def together(
    start: Tail, types: Sequence[str], people: Bags, own: Bags, rng: np.random.Generator
) -> list[Tail]:
    """The tails of all sites after ``people`` were pooled; ``types[i]`` is site i's camera type.

    Features are centred per camera type, the tail is tuned on all of them, and each site centres
    on its type's mean and the mean of its ``own`` people, which never leaves.
    """
    means = {
        name: _mean([b for t, b in zip(types, people, strict=True) if t == name])
        for name in set(types)
    }
    features, person = [], []
    number = 0
    for name, bags in zip(types, people, strict=True):
        for bag in bags:
            if len(bag) > 1:
                features.append(bag - means[name])
                person.append(np.full(len(bag), number))
                number += 1
    tail = replace(start, bias=np.zeros_like(start.bias))
    if number > 1:
        views = np.concatenate(features)[:, None].astype(np.float32)
        tail = tune_tail(tail, views, np.concatenate(person), OPTIONS, rng)
    tails = []
    for name, bags in zip(types, own, strict=True):
        shared = sum(len(b) for t, b in zip(types, people, strict=True) if t == name)
        share = len(bags) / (len(bags) + OWN_SHRINK + shared)
        centre = share * _mean([bags]) + (1 - share) * means[name]
        tails.append(Tail(tail.weight, -tail.weight @ centre))
    return tails


def _mean(sites: Sequence[Sequence[NDArray[np.float32]]]) -> NDArray[np.float32]:
    """Mean over people of the mean over their pictures, (D,)."""
    means = np.stack([bag.mean(axis=0) for bags in sites for bag in bags])
    return np.asarray(means.mean(axis=0), np.float32)
