"""Contenders side by side on the same pictures, with intervals that redraw people.

The same draws for all, so differences are paired.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.attacks.attributes import DRAWS, inferred
from common.heads.judging import line_figures
from common.metrics.intervals import person_weights
from common.metrics.reliability import ranking

Doubles = NDArray[np.float64]
Figures = dict[str, Any]


def compared(
    names: tuple[str, ...],
    scores: Mapping[str, Doubles],
    truth: NDArray[np.int8],
    person: NDArray[np.int64],
) -> Figures:
    """Of each contender of ``scores`` (N, A each), against ``truth`` (N, A) in {1, 0}.

    The first contender is compared with every other one.
    """
    so = truth == 1
    share = so.mean(axis=0)
    found: Figures = {
        "shown": dict(zip(names, so.sum(axis=0).tolist(), strict=True)),
        "majority": {
            "balanced_accuracy": 0.5,
            "accuracy": round(float(np.maximum(share, 1 - share).mean()), 4),
        },
    }
    draws: dict[str, tuple[Doubles, Doubles]] = {}
    for name, score in scores.items():
        told = inferred(score > 0, so, person, np.random.default_rng(41))
        areas = _areas(score, truth, person)
        draws[name] = told.draws.mean(axis=1), areas.mean(axis=1)
        figures = line_figures(names, score, np.full(score.shape, 0.5), truth)
        for attribute, interval in zip(names, np.quantile(told.draws, ENDS, axis=0).T, strict=True):
            figures["each"][attribute]["ci95"] = rounded(interval)
        del figures["calibration_error"]
        found[name] = {
            **figures,
            "balanced_accuracy": with_interval(float(told.value.mean()), draws[name][0]),
            "auc": with_interval(figures["auc"], draws[name][1]),
        }
    first, *others = scores
    for other in others:
        gap = draws[first][0] - draws[other][0]
        value, less = (found[one]["balanced_accuracy"]["value"] for one in (first, other))
        found[f"{first}_over_{other}"] = with_interval(value - less, gap)
    return found


ENDS = (0.025, 0.975)


def with_interval(value: float, draws: Doubles) -> Figures:
    """A figure with its 95 % interval over ``draws`` (B,)."""
    return {"value": round(value, 4), "ci95": rounded(np.nanquantile(draws, ENDS))}


def rounded(values: Doubles) -> list[float]:
    """To four digits, for a report."""
    return [round(float(value), 4) for value in values]


def mean_error(off: Doubles, person: NDArray[np.int64]) -> Figures:
    """The mean of ``off`` (N,) with its interval over people."""
    people, number = np.unique(person, return_inverse=True)
    own, count = np.bincount(number, off), np.bincount(number)
    weights = person_weights(len(people), DRAWS, 41)
    return with_interval(float(off.mean()), (weights @ own) / (weights @ count))


def _areas(score: Doubles, truth: NDArray[np.int8], person: NDArray[np.int64]) -> Doubles:
    """(B, A) areas under ROC under redrawn people; NaN where one side is empty."""
    people, number = np.unique(person, return_inverse=True)
    weights = person_weights(len(people), DRAWS // 4, 43)[:, number]
    found = [
        [ranking(column, so, weight) for column, so in zip(score.T, truth.T, strict=True)]
        for weight in weights
    ]
    return np.array([[np.nan if one is None else one for one in row] for row in found], np.float64)
