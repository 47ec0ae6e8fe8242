"""Two kinds of doubt in one interval: who was tested, and which random numbers were drawn.

An experiment is measured on folds of different people (averaged; each redrawn by itself) and
repeated with several seeds on the same people. Redrawing people says nothing about the seeds, so
the variance of the mean over seeds is added to the bootstrap variance.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from common.metrics.intervals import interval

Doubles = NDArray[np.float64]


@dataclass(frozen=True, eq=False, slots=True)
class Measured:
    """One figure: its ``value``, B person resamples of it, and its value under each seed alone."""

    value: float
    draws: Doubles  # (B,) NaN where a resample had nobody to measure
    by_seed: Doubles  # (S,)

    @classmethod
    def of(cls, values: Doubles, draws: Doubles) -> "Measured":
        """The mean of ``values`` (folds, seeds); resamples (folds, seeds, B) go index by index."""
        return cls(float(np.mean(values)), draws.mean(axis=(0, 1)), values.mean(axis=0))

    @property
    def person_variance(self) -> float:
        """What another set of people would change."""
        kept = self.draws[np.isfinite(self.draws)]
        return float(np.var(kept, ddof=1)) if len(kept) > 1 else 0.0

    @property
    def seed_variance(self) -> float:
        """What another set of seeds would change; 0, for want of knowledge, with a single seed."""
        seeds = len(self.by_seed)
        return float(np.var(self.by_seed, ddof=1)) / seeds if seeds > 1 else 0.0

    @property
    def standard_error(self) -> float:
        """Of the value, over people and seeds together."""
        return math.sqrt(self.person_variance + self.seed_variance)

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Where the value would lie with other people and other seeds, at ``level``.

        On each side the bootstrap's own reach from its mean, and Student's t times the standard
        error over seeds, joined as the sides of a right angle.
        """
        tail = (1 - level) / 2
        kept = self.draws[np.isfinite(self.draws)]
        low, high = interval(kept - kept.mean(), level) if len(kept) else (0.0, 0.0)
        seeds = 0.0
        if self.seed_variance:
            student = student_quantile(1 - tail, len(self.by_seed) - 1)
            seeds = student * math.sqrt(self.seed_variance)
        return (
            self.value - math.hypot(min(low, 0), seeds),
            self.value + math.hypot(max(high, 0), seeds),
        )


def student_quantile(level: float, freedom: int) -> float:
    """Student's t: exact for 1 and 2 degrees of freedom, then by the expansion around the normal.

    Within 1 % at ``level`` .975 (Abramowitz & Stegun 1964, 26.7.5).
    """
    if freedom == 1:
        return math.tan(math.pi * (level - 0.5))
    if freedom == 2:
        return (2 * level - 1) / math.sqrt(2 * level * (1 - level))
    z = NormalDist().inv_cdf(level)
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    fourth = (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160
    return z + first / freedom + second / freedom**2 + third / freedom**3 + fourth / freedom**4
