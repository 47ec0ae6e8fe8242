"""Several pictures of one person as one template: the mean of their directions, the better counting
more.

A weight is a power of the quality, and never 0, so that even a person of whom there are only bad
pictures has a template.
"""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from common.errors import ModelError
from common.metrics.verification import Floats, unit_rows

# The nearest template answers, or all of them as one: weighed by quality, or as it was learnt.
Pooling = Literal["best", "quality", "learnt"]
BEST: Pooling = "best"
LEARNT: Pooling = "learnt"

POWER = 1.0  # of the quality; told best by invented people (tests/common/matching)
LEAST = 0.01  # weight of a picture that is worth nothing


def pooled(embeddings: ArrayLike, quality: ArrayLike, power: float = POWER) -> Floats:
    """One unit embedding (E,) of ``embeddings`` (k, E) of a person, weighted by ``quality`` (k,).

    ``quality`` is in [0, 1]; with ``power`` 0 this is the plain mean. Raises ``ModelError`` for
    embeddings or qualities that cannot be, and where the pictures cancel each other out.
    """
    unit = unit_rows(embeddings).astype(np.float64)
    worth = np.asarray(quality, np.float64)
    if not len(unit) or worth.shape != (len(unit),):
        raise ModelError(f"{len(unit)} embeddings have qualities of shape {worth.shape}")
    if not ((worth >= 0) & (worth <= 1)).all():
        raise ModelError("a quality must be in [0, 1]")
    if not power >= 0:
        raise ValueError(f"power must not be negative, got {power}")
    return _mean(unit, worth.clip(LEAST) ** power)


def pooled_by(embeddings: ArrayLike, weights: ArrayLike) -> Floats:
    """One unit embedding (E,) of ``embeddings`` (k, E) that count as ``weights`` (k,) say.

    Raises ``ModelError`` for weights that cannot be, and where the pictures cancel each other out.
    """
    unit, weight = unit_rows(embeddings).astype(np.float64), np.asarray(weights, np.float64)
    if weight.shape != (len(unit),) or not weight.sum() > 0 or not (weight >= 0).all():
        raise ModelError(f"{len(unit)} embeddings have weights of shape {weight.shape}, or none")
    return _mean(unit, weight)


def _mean(unit: NDArray[np.float64], weight: NDArray[np.float64]) -> Floats:
    mean = (weight[:, None] * unit).sum(axis=0) / weight.sum()  # row by row: always the same bits
    length = float(np.linalg.norm(mean))
    if length < 1e-6:
        raise ModelError("the pictures have nothing in common")
    return np.asarray(mean / length, np.float32)
