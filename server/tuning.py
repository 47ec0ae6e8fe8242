"""Tuning the tail on public people: epsilon 0, and the baseline a private arm must beat.

How many steps help is found on public people held out for it: with few people, none may be best.
"""

import dataclasses
import logging

import numpy as np
from numpy.typing import NDArray

from common.heads.tuning import TuningOptions, tune_tail
from common.metrics.verification import tar_at_far
from common.models.tail import Tail

log = logging.getLogger(__name__)

HELD_OUT = 5  # one public person in so many decides how long to tune
FAR = 1e-2


def tune_public(
    tail: Tail,
    views: NDArray[np.float32],
    person: NDArray[np.int64],
    options: TuningOptions,
    rng: np.random.Generator,
) -> Tail:
    """``tune_tail`` on all public people, for as long as it helped a held-out fifth of them."""
    people = rng.permutation(np.unique(person))
    held = np.isin(person, people[: len(people) // HELD_OUT])
    if len(people) < 2 * HELD_OUT:
        return tune_tail(tail, views, person, options, rng)
    scores: dict[int, float] = {0: _tar(tail, views[held], person[held])}

    def check(step: int, now: Tail) -> None:
        scores[step] = _tar(now, views[held], person[held])

    tune_tail(tail, views[~held], person[~held], options, rng, check)
    best = max(scores, key=lambda step: (scores[step], -step))
    log.info("public tuning: %d steps are best of %s", best, sorted(scores))
    if best == 0:
        return tail
    return tune_tail(tail, views, person, dataclasses.replace(options, stop=best), rng)


def _tar(tail: Tail, views: NDArray[np.float32], person: NDArray[np.int64]) -> float:
    """TAR at FAR 1e-2 over the first views; 0 where there are too few people to say."""
    return tar_at_far(tail.embed(views[:, 0]), person, (FAR,))[FAR] or 0.0
