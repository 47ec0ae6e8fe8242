"""How large a rare error rate may be, though its trials share people: an upper bound of 95 %.

Trials that share a person are not independent, so they are worth fewer than they are. How many
fewer is told by the variance of the rate under a bootstrap that redraws people: that many
*independent* trials would vary as much. For them the exact limit of a Poisson count holds (Garwood
1936, Biometrika 28); carried over to trials in clusters, with Student's t for few people, it is the
interval of Korn & Graubard 1998 (Survey Methodology 24). With nothing observed it is the rule of
three: 3 / trials. Percentiles of the bootstrap itself miss too often; `mascaron-lab bench
calibration` tells how often.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from common.metrics.repeats import student_quantile
from common.metrics.verification import Floats, threshold_at_rank

LEVEL = 0.95  # of every bound
STEP = 1.1  # between numbers of accepted trials that are tried
EXACT = 1000.0  # counts above which the closed form is exact to 1e-6


@dataclass(frozen=True, kw_only=True, slots=True)
class Rate:
    """An observed rate: its ``variance`` over people, how many ``people``, and ``independent``.

    The last is the most trials that there can be of which no two share all their people.
    """

    value: float
    variance: float
    people: int
    independent: int

    @property
    def effective(self) -> float:
        """The independent trials these are worth; never more than ``independent``."""
        if self.people < 2:
            return 0.0
        if self.variance <= 0:
            return float(self.independent)
        few = NormalDist().inv_cdf(LEVEL) / student_quantile(LEVEL, self.people - 1)
        worth = self.value * (1 - self.value) / self.variance * few**2
        return min(worth, float(self.independent))

    @property
    def bound(self) -> float:
        """The upper 95 % bound on the rate among all people like these."""
        if self.people < 2 or not self.independent:
            return 1.0
        least = rule_of_three(self.independent)
        if not self.value:
            return least
        if not self.effective:
            return 1.0
        worth = self.effective
        return min(1.0, max(least, poisson_limit(self.value * worth) / worth))


def rule_of_three(trials: int) -> float:
    """The upper 95 % bound on a rate of which ``trials`` independent trials showed nothing."""
    return min(1.0, poisson_limit(0) / trials) if trials else 1.0


def trials_needed(rate: float) -> int:
    """The independent trials that must show nothing before ``rate`` is an upper bound."""
    return math.ceil(poisson_limit(0) / rate - 1e-9)


def poisson_limit(count: float, level: float = LEVEL) -> float:
    """The upper limit at ``level`` of a Poisson mean of which ``count`` >= 0 was seen.

    It is the quantile of a gamma variable of shape ``count`` + 1, so ``count`` may be a fraction.
    """
    shape = count + 1
    if shape > EXACT:  # Wilson & Hilferty 1931
        part = 1 / (9 * shape)
        return shape * (1 - part + NormalDist().inv_cdf(level) * math.sqrt(part)) ** 3
    low, high = 0.0, 2 * shape + 20
    while high - low > 1e-10 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if _gamma_share(shape, middle) < level else (low, middle)
    return high


def lowest_threshold(
    falling: Floats, allowed: int, kept: Callable[[int], bool]
) -> tuple[float, int] | None:
    """The lowest threshold tried that is ``kept``, like every higher one; and what it accepts.

    ``falling`` (K,) are scores from the highest on, with at least ``allowed`` + 1 of them or all
    there are; at most ``allowed`` of them are accepted. ``kept`` is asked of numbers of accepted
    scores. Equal scores are accepted or refused together. None where not even a threshold above
    all scores is kept.
    """
    found = None
    for rank in _ranks(min(allowed, len(falling) - 1)):
        accepted = int(np.searchsorted(-falling, -falling[rank], side="left"))
        if not kept(accepted):
            break
        found = threshold_at_rank(falling[: rank + 1][::-1], rank), accepted
    return found


def ratio_variance(
    counts: NDArray[np.float64], trials: NDArray[np.float64], rate: float, total: float
) -> float:
    """What redrawing people does to ``rate``, if each brings ``counts`` (P,) of ``trials`` (P,)."""
    return float(((counts - rate * trials) ** 2).sum()) / total**2


def _ranks(most: int) -> Iterator[int]:
    rank = 0
    while rank < most:
        yield rank
        rank = max(rank + 1, int(rank * STEP))
    if most >= 0:
        yield most


def _gamma_share(shape: float, value: float) -> float:
    """The regularised lower incomplete gamma function, by its series (Abramowitz & Stegun 6.5.29).

    The terms are all positive, so nothing cancels.
    """
    if value <= 0:
        return 0.0
    term = total = 1 / shape
    step = shape
    while term > total * 1e-14:
        step += 1
        term *= value / step
        total += term
    return min(1.0, total * math.exp(shape * math.log(value) - value - math.lgamma(shape)))
