"""Whether every person was in every step by a coin of their own: counts over people and steps.

Shuffled batches look alike and leak more than their price says; what gives them away is that their
sizes do not vary, or that who was in the last batch is not in the next.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True, slots=True)
class Coins:
    """p values, each small if the counts are not those of independent coins."""

    rate: float  # how many were in, over all steps
    sizes: float  # how much that varies from step to step
    people: float  # how much it varies from person to person
    repeats: float  # whether one step says who is in the next

    @property
    def least(self) -> float:
        """The smallest of them."""
        return min(self.rate, self.sizes, self.people, self.repeats)


def coins(included: NDArray[np.bool_], rate: float) -> Coins:
    """From who was in which step, (S, N), where everybody should have been at ``rate``."""
    steps, people = included.shape
    variance = rate * (1 - rate)
    away = (included - rate) / math.sqrt(variance)  # each of mean 0 and variance 1
    return Coins(
        rate=_normal(float(away.sum()) / math.sqrt(away.size)),
        sizes=_spread(away.sum(axis=1) / math.sqrt(people)),
        people=_spread(away.sum(axis=0) / math.sqrt(steps)),
        repeats=_normal(float((away[1:] * away[:-1]).sum()) / math.sqrt(away[1:].size)),
    )


def _spread(values: NDArray[np.float64]) -> float:
    """Two-sided p value of the sum of squares of standard normals."""
    from scipy.special import chdtr, chdtrc

    square, freedom = float(np.square(values).sum()), len(values)
    return min(1.0, 2 * min(float(chdtr(freedom, square)), float(chdtrc(freedom, square))))


def _normal(value: float) -> float:
    return math.erfc(abs(value) / math.sqrt(2))
