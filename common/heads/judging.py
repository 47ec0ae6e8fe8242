"""How right heads are on people who taught them nothing: a figure a head, and one an attribute.

Balanced accuracy and F1 are told where the odds turn when both sides count alike: at what a head
says that knows nothing but its public counts. The calibration error is of the probabilities that
readings show.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from common.heads.age import AgeHead
from common.heads.attributes import AttributesHead, prior
from common.heads.calibration import Platt
from common.heads.gender import GenderHead
from common.heads.head import MISSING, Head, PictureLabels
from common.heads.heads import RANGE, Heads
from common.metrics.classification import share
from common.metrics.reliability import expected_calibration_error, ranking

ROWS = 512  # pictures at once

Figures = dict[str, Any]


def scores_of(
    head: Head, arrays: Mapping[str, NDArray[np.float32]], seen: NDArray[np.float32]
) -> NDArray[np.float64]:
    """(N, A) logits of a head of lines, of features as heads see them."""
    if not isinstance(head, AttributesHead | AgeHead | GenderHead):
        raise TypeError(f"a head of kind {head.kind} gives no scores")
    given = {name: torch.tensor(array) for name, array in arrays.items()}
    return np.asarray(head.logits(given, torch.tensor(seen)).numpy(), np.float64)


def even_scores(
    head: Head, arrays: Mapping[str, NDArray[np.float32]], seen: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Those logits less what the head says where both sides count alike: above 0 is told."""
    return scores_of(head, arrays, seen) - even(head)


def even(head: Head) -> NDArray[np.float64]:
    """(A,) the logits at which both sides count alike.

    Not 0: weights by the effective number leave rare sides of many pictures the lighter ones.
    """
    if isinstance(head, AttributesHead):
        counts = head.shown, head.absent, head.beta
    elif isinstance(head, GenderHead):
        counts = (head.female,), (head.male,), head.beta
    else:
        return np.zeros(1)
    return np.asarray(prior(*counts).numpy(), np.float64)


def truth_of(head: Head, labels: PictureLabels) -> NDArray[np.int8] | None:
    """(N, A) what those scores should say, in {1, 0, MISSING}."""
    truth: Tensor | None = None
    if isinstance(head, AttributesHead | AgeHead | GenderHead):
        truth = head.truth(labels)
    return None if truth is None else np.asarray(truth.numpy(), np.int8)


def calibrate(
    head: Head,
    arrays: Mapping[str, NDArray[np.float32]],
    seen: NDArray[np.float32],
    labels: PictureLabels,
) -> Platt | None:
    """The calibration of ``head`` by public ``labels``; ages share one line. None for words."""
    truth = truth_of(head, labels)
    if truth is None:
        return None
    scores = scores_of(head, arrays, seen)
    if isinstance(head, AgeHead):
        return Platt.fit(scores.reshape(-1, 1), truth.reshape(-1, 1))
    return Platt.fit(scores, truth)


def judge(heads: Heads, features: NDArray[np.float32], labels: PictureLabels) -> Figures:
    """Figures of each head by kind, on ``features`` (N, D) with ``labels``."""
    found: Figures = {}
    seen = heads.scaling(features)
    given = {name: torch.tensor(array) for name, array in heads.arrays.items()}
    for head in heads.heads:
        with torch.no_grad():
            loss = float(head.loss(given, torch.tensor(seen), labels))
        found[head.kind] = {"loss": round(loss, 4)}
        truth = truth_of(head, labels)
        if truth is None:
            continue
        scores = scores_of(head, heads.arrays, seen)
        said = heads.line(head.kind)(scores)
        if isinstance(head, AgeHead) and labels.age is not None:
            found[head.kind] |= age_figures(head, said, labels.age.numpy())
        else:
            names = head.names if isinstance(head, AttributesHead) else (head.kind,)
            found[head.kind] |= line_figures(names, scores - even(head), said, truth)
    return found


def line_figures(
    names: tuple[str, ...],
    scores: NDArray[np.float64],
    probability: NDArray[np.float64],
    truth: NDArray[np.int8],
) -> Figures:
    """Balanced accuracy, F1 and AUC of each name and their means; the calibration error of all.

    ``scores`` (N, A) above 0 are told, ``probability`` (N, A) is what readings show.
    """
    each = {
        name: _line(scores[:, i], truth[:, i]) | {"shown": int((truth[:, i] == 1).sum())}
        for i, name in enumerate(names)
    }
    means = {
        figure: _mean([one[figure] for one in each.values()])
        for figure in ("balanced_accuracy", "f1", "auc")
    }
    error = expected_calibration_error(probability, truth)
    return {**means, "calibration_error": _rounded(error), "each": each}


def age_figures(
    head: AgeHead, reached: NDArray[np.float64], truth: NDArray[np.floating]
) -> Figures:
    """Mean absolute error in years, and how often a label lies in the range that should hold 80 %.

    ``reached`` (N, K) are calibrated probabilities; of labels that are ranges the middle counts.
    """
    low, age, high = head.quantiles(reached, (RANGE[0], 0.5, RANGE[1])).T
    years = truth if truth.ndim == 1 else truth.mean(axis=1)
    known = np.isfinite(years)
    off = np.abs(age[known] - years[known])
    inside = (low[known] <= years[known]) & (years[known] <= high[known])
    return {
        "mean_absolute_error": _rounded(float(off.mean()) if known.any() else None),
        "within_range": _rounded(float(inside.mean()) if known.any() else None),
        "pictures": int(known.sum()),
    }


def nearer(
    read: NDArray[np.floating[Any]], texts: NDArray[np.floating[Any]]
) -> NDArray[np.float64]:
    """(K,) the share of other sentences that lie farther from what is ``read`` (K, T) of each
    picture than its own among ``texts`` (K, T), of which two differ; a half is chance."""
    said, mine = np.unique(texts, axis=0, return_inverse=True)
    mine, found = mine.reshape(-1), np.empty(len(read))
    for start in range(0, len(read), ROWS):
        part = slice(start, start + ROWS)
        near = read[part] @ said.T
        own = near[np.arange(len(near)), mine[part]][:, None]
        farther = (near < own) + 0.5 * (near == own)  # its own counts as half
        found[part] = (farther.sum(axis=1) - 0.5) / (len(said) - 1)
    return found


def _line(score: NDArray[np.float64], truth: NDArray[np.int8]) -> Figures:
    known = truth != MISSING
    told, so = score[known] > 0, truth[known] == 1
    hits, passed = int((told & so).sum()), int((~told & ~so).sum())
    positive, negative = int(so.sum()), int((~so).sum())
    both = positive > 0 and negative > 0
    balanced = (hits / positive + passed / negative) / 2 if both else None
    return {
        "balanced_accuracy": _rounded(balanced),
        "f1": _rounded(share(2 * hits, int(told.sum()) + positive)),
        "auc": _rounded(ranking(score, truth, np.ones(len(score)))),
    }


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return _rounded(float(np.mean(known))) if known else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
