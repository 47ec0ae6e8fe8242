"""Ways to pool several pictures of one person, compared on people who taught none of them.

In every deal a person shows two templates that share no picture, and all templates are compared
with all. In ``mixed`` frames half of the pictures are spoilt.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.matching.learnt import Learnt
from common.matching.pooling import pooled, pooled_by
from common.matching.set_learning import Frames
from common.metrics.intervals import estimate, interval, person_weights
from common.metrics.verification import Floats, Pairs
from common.models.tail import Tail

FMRS = (1e-2, 1e-3)
DRAWS = 500
BASES = ("mean", "quality")  # what every way is held against
SPOILT = 0.5  # share of the mixed frames

Estimated = tuple[NDArray[np.float64], NDArray[np.float64]]  # TAR (F,), draws of it (F, B)
Pool = Callable[[Floats, Floats, Floats], Floats]  # features, quality, embeddings -> template


def by_mean(features: Floats, quality: Floats, rows: Floats) -> Floats:
    """All pictures count alike."""
    return pooled(rows, quality, 0.0)


def by_quality(features: Floats, quality: Floats, rows: Floats) -> Floats:
    """As a door pools that has nothing learnt."""
    return pooled(rows, quality)


def by_learnt(learnt: Learnt) -> Pool:
    """As a door pools by ``learnt``."""
    return lambda features, quality, rows: pooled_by(rows, learnt.shares(features, quality))


def compared(
    frames: Frames,
    tail: Tail,
    ways: Mapping[str, Pool],
    sizes: tuple[int, int],
    *,
    mixed: bool,
) -> list[dict[str, Any]]:
    """A row for each way: TAR of templates against templates, with intervals over people.

    ``sizes`` are the pictures of a template, and the deals. ``over_mean`` and ``over_quality`` are
    gains in points, paired by person. No row where fewer than two people have enough pictures.
    """
    pictures, deals = sizes
    groups = frames.groups(2 * pictures)
    if len(groups) < 2:
        return []
    pairs = Pairs.of(np.repeat(np.arange(len(groups)), 2))
    weights = person_weights(len(groups), DRAWS, 0)
    found = {name: ([], []) for name in ways}  # type: dict[str, tuple[list[Any], list[Any]]]
    for deal in range(deals):
        picture, state = _dealt(groups, frames, pictures, np.random.default_rng([1, deal]), mixed)
        for name, pool in ways.items():
            templates = []
            for at, how in zip(picture, state, strict=True):
                rows = frames.features[at, how]
                templates.append(pool(rows, frames.quality[at, how], tail.embed(rows)))
            judged = estimate(np.stack(templates), pairs, weights, FMRS)
            found[name][0].append(judged.tar)
            found[name][1].append(judged.draws)
    means = {
        name: (np.mean(tars, axis=0), np.mean(draws, axis=0))
        for name, (tars, draws) in found.items()
    }
    bases = {name: means[name] for name in BASES if name in means}
    return [
        {"way": name, "people": len(groups), **_row(made, bases)} for name, made in means.items()
    ]


def _row(made: Estimated, bases: dict[str, Estimated]) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for index, fmr in enumerate(FMRS):
        row[f"tar@{fmr:g}"] = _round(made[0][index], 4)
        row[f"ci@{fmr:g}"] = [_round(end, 4) for end in interval(made[1][index])]
        for name, base in bases.items():
            row[f"over_{name}@{fmr:g}"] = _round(100 * (made[0][index] - base[0][index]), 2)
            gains = 100 * (made[1][index] - base[1][index])
            row[f"over_{name}_ci@{fmr:g}"] = [_round(end, 2) for end in interval(gains)]
    return row


def _dealt(
    groups: list[NDArray[np.int64]],
    frames: Frames,
    pictures: int,
    rng: np.random.Generator,
    mixed: bool,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pictures (2 P, K) of two templates a person, and the state each is seen in."""
    chosen = np.stack([rng.permutation(group)[: 2 * pictures] for group in groups])
    picture = chosen.reshape(-1, pictures)
    spoilt = rng.integers(1, frames.features.shape[1], picture.shape)
    happens = rng.random(picture.shape) < (SPOILT if mixed else 0)
    return picture, np.where(happens, spoilt, 0)


def _round(value: float, digits: int) -> float | None:
    return round(float(value), digits) if np.isfinite(value) else None
