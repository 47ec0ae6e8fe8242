"""How far apart a release puts those who are in and those who are not: the strongest bound.

A canary alone in its direction gets a Gaussian score: the noise, and one more clip norm if it is
in. The distance of the two means in deviations of the noise is the mu of Gaussian privacy (Dong,
Roth & Su 2019, arXiv:1905.02383; as an audit Andrew et al. 2023, arXiv:2302.03098).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.attacks.bounds import MOST
from common.privacy.accountant import gaussian_epsilon

LEAST = 8  # scores on either side
_NODES = 400
_EXACT = 1e-12

Scores = NDArray[np.floating]


@dataclass(frozen=True, kw_only=True, slots=True)
class Separation:
    """``mu`` as estimated, the ends of its interval, and how Gaussian the scores are."""

    mu: float
    low: float
    high: float
    normality: float  # p value; the interval is exact for Gaussian scores alone

    def epsilon(self, delta: float) -> float:
        """The lower bound of epsilon at ``delta``."""
        return min(MOST, gaussian_epsilon(max(0.0, self.low), delta))


def separation(inside: Scores, outside: Scores, chance: float) -> Separation:
    """From the scores (N,) of canaries that are in and (M,) of those that are not.

    The interval is that of a standardised difference of two means, by inverting the noncentral t
    distribution: exact for Gaussian scores of one variance, and each end is wrong with probability
    ``chance`` / 2. Without any noise all three are ``MOST``.
    """
    n, m = len(inside), len(outside)
    if min(n, m) < LEAST:
        raise ValueError(f"too few canaries: {n} in, {m} out")
    rest = np.concatenate([inside - inside.mean(), outside - outside.mean()])
    freedom, width = n + m - 2, math.sqrt(1 / n + 1 / m)
    difference = float(inside.mean() - outside.mean())
    deviation = math.sqrt(float(np.square(rest).sum()) / freedom)
    if deviation <= abs(difference) / MOST:
        return Separation(mu=MOST, low=MOST, high=MOST, normality=0.0)
    mu = difference / deviation
    ends = [shift_of(mu / width, freedom, tail) * width for tail in (1 - chance / 2, chance / 2)]
    return Separation(mu=mu, low=ends[0], high=ends[1], normality=normality(rest))


def shift_of(t: float, freedom: int, below: float) -> float:
    """The noncentrality at which a t of ``freedom`` degrees is below ``t`` with this probability.

    (Z + shift) / S < t, where S is an independent chi over the root of its degrees: summed over
    a grid of S, twelve deviations either way.
    """
    from scipy.special import ndtr

    spread = 12 / math.sqrt(2 * freedom)
    points = np.linspace(max(1 - spread, 1e-9), 1 + spread, _NODES)
    logs = (freedom - 1) * np.log(points) - freedom * (points**2 - 1) / 2
    weights = np.exp(logs - logs.max())
    weights /= weights.sum()
    low, high = -2 * abs(t) - 40, 2 * abs(t) + 40
    while high - low > _EXACT * (1 + abs(t)):
        middle = (low + high) / 2
        if float(weights @ ndtr(t * points - middle)) > below:
            low = middle
        else:
            high = middle
    return low


def normality(values: Scores) -> float:
    """p value of Anderson & Darling for a Gaussian of unknown mean and variance.

    D'Agostino & Stephens 1986, table 4.9.
    """
    from scipy.special import log_ndtr

    n = len(values)
    ordered = np.sort((values - values.mean()) / values.std(ddof=1))
    odd = 2 * np.arange(1, n + 1) - 1
    a = -n - float((odd * (log_ndtr(ordered) + log_ndtr(-ordered[::-1]))).mean())
    a *= 1 + 0.75 / n + 2.25 / n**2
    if a < 0.2:
        return 1 - math.exp(-13.436 + 101.14 * a - 223.73 * a * a)
    if a < 0.34:
        return 1 - math.exp(-8.318 + 42.796 * a - 59.938 * a * a)
    if a < 0.6:
        return math.exp(0.9177 - 4.279 * a - 1.38 * a * a)
    return min(1.0, math.exp(1.2937 - 5.709 * a + 0.0186 * a * a)) if a < 10 else 0.0
