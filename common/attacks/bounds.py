"""What guesses about who was in prove of epsilon: lower bounds, each with its ceiling.

An auditor puts people of their own into a release, each by a fair coin, and guesses from what was
released who was in. Too many right guesses refute a claimed epsilon. A bound is worth no more than
its ceiling: what it would say if every guess were right. A claim above that cannot be refuted.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from common.privacy.accountant import gaussian_epsilon

MOST = 1000.0  # no bound says more: releases without noise have no finite one
_GRID = 65
_PASSES = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Guesses:
    """``right`` of ``guessed`` guesses about ``canaries`` people; the auditor may keep silent."""

    canaries: int
    guessed: int
    right: int

    def __post_init__(self) -> None:
        if not 0 <= self.right <= self.guessed <= self.canaries or not self.guessed:
            raise ValueError(f"not a count of guesses: {self}")

    @property
    def perfect(self) -> "Guesses":
        """The same, had every guess been right."""
        return replace(self, right=self.guessed)


def guesses_of(scores: NDArray[np.floating], inside: NDArray[np.bool_], share: float) -> Guesses:
    """Guesses "in" for the highest and "out" for the lowest ``scores`` (N,), ``share`` of all.

    ``share`` has to be fixed before anybody looks at scores.
    """
    half = max(1, int(len(scores) * share / 2))
    order = np.argsort(scores, kind="stable")
    right = int(inside[order[-half:]].sum() + (~inside[order[:half]]).sum())
    return Guesses(canaries=len(scores), guessed=2 * half, right=right)


def one_run_bound(guesses: Guesses, delta: float, chance: float) -> float:
    """No mechanism of a smaller epsilon at ``delta`` lets so many guesses be right, but by chance.

    Steinke, Nasr & Jagielski 2023, arXiv:2305.08846, theorem 5.2: for all mechanisms. Wrong with
    probability at most ``chance``.
    """
    low, high = 0.0, 1.0
    if _chance_of(guesses, low, delta) > chance:
        return 0.0
    while _chance_of(guesses, high, delta) <= chance:
        low, high = high, 2 * high
        if low >= MOST:
            return MOST
    while high - low > 1e-6:
        middle = (low + high) / 2
        refuted = _chance_of(guesses, middle, delta) <= chance
        low, high = (middle, high) if refuted else (low, middle)
    return low


def f_dp_bound(guesses: Guesses, delta: float, chance: float) -> float:
    """The same for mechanisms whose trade-off is that of a Gaussian: stronger, and only for them.

    Mahloujifar, Melis & Chaudhuri 2024, arXiv:2410.22235, algorithm 3.
    """
    low, high = 0.0, 64.0
    for _ in range(_PASSES):
        mus = np.linspace(low, high, _GRID)
        refuted = np.flatnonzero(_refuted(guesses, mus, chance))
        if not len(refuted):
            return 0.0
        last = int(refuted[-1])
        low, high = float(mus[last]), float(mus[min(last + 1, _GRID - 1)])
    return min(MOST, gaussian_epsilon(low, delta))


def counted_bound(
    hits: tuple[int, int], alarms: tuple[int, int], delta: float, chance: float
) -> float:
    """Epsilon below which a test of one person has no such rates, but by ``chance``.

    ``hits`` of those who were in and ``alarms`` of those who were not, each (said, of how many),
    by a threshold that was fixed on others (Clopper & Pearson 1934; Nasr et al. 2021,
    arXiv:2101.04535).
    """
    right, wrong = low_rate(*hits, chance / 2), high_rate(*alarms, chance / 2)
    sides = ((right, wrong), (1 - wrong, 1 - right))
    found = [math.log((a - delta) / b) for a, b in sides if a > delta and b > 0]
    return min(MOST, max(0.0, *found)) if found else 0.0


def low_rate(said: int, of: int, chance: float) -> float:
    """No smaller rate gives ``said`` of ``of`` or more with probability above ``chance``."""
    from scipy.special import betaincinv

    return 0.0 if said == 0 else float(betaincinv(said, of - said + 1, chance))


def high_rate(said: int, of: int, chance: float) -> float:
    """No larger rate gives ``said`` of ``of`` or fewer with probability above ``chance``."""
    return 1 - low_rate(of - said, of, chance)


def _chance_of(guesses: Guesses, epsilon: float, delta: float) -> float:
    """At most how likely so many right guesses are, if the mechanism is (epsilon, delta)-DP."""
    from scipy.special import betainc

    # P(Binomial(n, p) >= k), of all k from 0 to ``right``; betainc is not for k = 0
    n, right, p = guesses.guessed, guesses.right, 1 / (1 + math.exp(-epsilon))
    at_least = np.ones(right + 1)
    counts = np.arange(1, right + 1)
    at_least[1:] = betainc(counts, n - counts + 1, p)
    if right == 0:
        return 1.0
    more = (at_least[-2::-1] - at_least[-1]) / np.arange(1, right + 1)
    return float(at_least[-1] + 2 * guesses.canaries * delta * more.max())


def _refuted(guesses: Guesses, mus: NDArray[np.float64], chance: float) -> NDArray[np.bool_]:
    """(M,): whether so many right guesses are less likely than ``chance`` at each Gaussian mu."""
    from scipy.special import ndtr, ndtri

    n = guesses.guessed
    right = np.full(len(mus), chance * guesses.right / guesses.canaries)
    wrong = np.full(len(mus), chance * (n - guesses.right) / guesses.canaries)
    for i in range(guesses.right - 1, -1, -1):
        grown = np.maximum(wrong, ndtr(ndtri(right) - mus))
        right = np.minimum(right + i / (n - i) * (grown - wrong), 1.0)
        wrong = grown
    return np.asarray(right + wrong > n / guesses.canaries)
