"""Calibration: scores become probabilities that are right as often as they say.

A line through the score, fitted on PUBLIC people who taught the head nothing (Platt 1999), with the
targets drawn in a little so that few people make nobody certain. Used for attributes, for being at
least an age, and for "the same person" given a cosine.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.errors import DataSetError, ModelError
from common.heads.head import MISSING

Doubles = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class Platt:
    """probability a = sigmoid(slope[a] * score[a] + offset[a]); ``slope``, ``offset`` (A,).

    With A = 1 the same line is put through any number of scores, so that their order stays.
    """

    slope: Doubles
    offset: Doubles

    def __post_init__(self) -> None:
        for name in ("slope", "offset"):
            values = np.array(getattr(self, name), np.float64)
            if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
                raise ModelError(f"{name} of a calibration is finite and (A,)")
            values.setflags(write=False)
            object.__setattr__(self, name, values)
        if self.slope.shape != self.offset.shape or (self.slope < 0).any():
            raise ModelError("a calibration never turns scores around: slopes are from 0")

    @classmethod
    def identity(cls, scores: int = 1) -> "Platt":
        """Takes ``scores`` scores for log odds as they are."""
        return cls(np.ones(scores), np.zeros(scores))

    @classmethod
    def fit(cls, scores: NDArray[Any], truth: NDArray[Any]) -> "Platt":
        """Of ``scores`` (N, A) whose ``truth`` (N, A) in {1, 0, MISSING} is known.

        Where nothing is known, or scores tell nothing, only the share of what is true remains.
        ``DataSetError`` for shapes that differ or scores that are not finite.
        """
        if scores.shape != truth.shape or scores.ndim != 2 or not np.isfinite(scores).all():
            raise DataSetError("a calibration is of finite scores (N, A) with a truth each")
        return _lines(np.asarray(scores, np.float64), truth, np.ones(scores.shape))

    def __call__(self, scores: NDArray[Any], prior: float = 0.5) -> Doubles:
        """(N, A) scores -> probabilities (N, A).

        ``prior`` moves odds that were fitted at even ones, as ``match_calibration`` does.
        """
        if not 0 < prior < 1:
            raise ModelError("a prior probability is in (0, 1)")
        odds = np.asarray(scores, np.float64) * self.slope + self.offset
        return sigmoid(odds + np.log(prior) - np.log1p(-prior))


def match_calibration(genuine: NDArray[Any], impostor: NDArray[Any]) -> Platt:
    """Cosine -> probability of the same person where both are equally likely beforehand.

    Fitted on ``genuine`` (P,) and ``impostor`` (Q,) scores of public people, each side weighing
    half. A search in a gallery is no such case: give its ``prior`` when asking.
    """
    scores = np.concatenate([genuine, impostor]).astype(np.float64)
    if not len(genuine) or not len(impostor) or not np.isfinite(scores).all():
        raise DataSetError("matching is calibrated on finite scores of both kinds")
    truth = np.arange(len(scores)) < len(genuine)
    half = np.where(truth, 0.5 / len(genuine), 0.5 / len(impostor)) * len(scores)
    return _lines(scores[:, None], truth[:, None].astype(np.int8), half[:, None])


def sigmoid(odds: NDArray[Any]) -> Doubles:
    """1 / (1 + exp(-odds)) without overflow."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * np.asarray(odds, np.float64))), np.float64)


def _lines(scores: Doubles, truth: NDArray[Any], weight: Doubles) -> Platt:
    """A line for each column, on standardised scores; where one would fall it is made flat."""
    known, yes = truth != MISSING, truth == 1
    positive, negative = yes.sum(axis=0), (known & ~yes).sum(axis=0)
    target = np.where(yes, (positive + 1) / (positive + 2), 1 / (negative + 2))
    count = np.maximum(known.sum(axis=0), 1)
    centre = (scores * known).sum(axis=0) / count
    spread = np.sqrt((known * (scores - centre) ** 2).sum(axis=0) / count)
    useful = (spread > 1e-9) & (positive > 0) & (negative > 0)
    spread = np.where(useful, spread, 1.0)
    rising, level = _searched((scores - centre) / spread, target, known * weight)
    useful &= rising > 0
    share = (known * weight * target).sum(axis=0) + 1e-9
    odds = np.log(share / ((known * weight * (1 - target)).sum(axis=0) + 1e-9))
    slope = np.where(useful, rising / spread, 0.0)
    return Platt(slope, np.where(useful, level - slope * centre, odds))


def _searched(x: Doubles, target: Doubles, weight: Doubles) -> tuple[Doubles, Doubles]:
    """Slopes and offsets (A,) that minimise the weighted cross entropy, all columns at once."""
    import torch

    given = [torch.from_numpy(np.array(v, np.float64)) for v in (x, target, weight)]
    score, aim, each = given
    slope, offset = (torch.zeros(x.shape[1], dtype=score.dtype) for _ in range(2))
    search = torch.optim.LBFGS(
        [slope.requires_grad_(True), offset.requires_grad_(True)],
        max_iter=200,
        line_search_fn="strong_wolfe",
    )

    def loss() -> torch.Tensor:
        search.zero_grad()
        odds = score * slope + offset
        value = torch.nn.functional.binary_cross_entropy_with_logits(
            odds, aim, each, reduction="sum"
        )
        value.backward()  # type: ignore[no-untyped-call]
        return value

    search.step(loss)  # type: ignore[no-untyped-call]
    return slope.detach().numpy(), offset.detach().numpy()
