"""What it costs to run something a random number of times and to let out only the best.

A search over settings on private people is many runs. Whoever sees all of them is told the sum of
what they tell. Papernot & Steinke 2022 (arXiv:2110.03620) charge less where three things hold: how
many runs there are is drawn at random from a known distribution and kept secret, every run draws
its setting by itself and in the same way whatever other runs did, and nothing leaves but the best
run, with the score that made it the best. A search that looks at earlier runs is covered by none
of this, nor is one that stops a run early because others did better.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from common.errors import PlanError
from common.privacy.accountant import Event, delta_of, epsilon, renyi, renyi_epsilon

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Doubles = NDArray[np.float64]
    Profile = Callable[[float], float]

INDEPENDENT = "random"  # the one way to choose settings that runs may share
ORDERS = tuple(1 + math.exp(k / 8) for k in range(-24, 57))  # 1.05 to 1,100, eight an e-fold
_LEAST = 1e-15  # of a distribution's tail, which is never drawn
_MOST_RUNS = 10_000_000


@dataclass(frozen=True, slots=True)
class NegativeBinomial:
    """The truncated negative binomial distribution on 1, 2, ...: definition 1 of the paper.

    ``eta`` 1 is the geometric distribution, 0 the logarithmic one; towards -1 the tail is heavier
    and the cost smaller. The smaller ``gamma``, the more runs; 1 is exactly one run.
    """

    eta: float
    gamma: float

    def __post_init__(self) -> None:
        if not -1 < self.eta <= 20:
            raise ValueError(f"eta must be in (-1, 20], got {self.eta}")
        if not 1e-9 <= self.gamma <= 1:
            raise ValueError(f"gamma must be in [1e-9, 1], got {self.gamma}")

    @property
    def mean(self) -> float:
        """How many runs there are on average."""
        if self.gamma == 1:
            return 1.0
        log = math.log(self.gamma)
        if abs(self.eta * log) < 1e-9:
            return (1 - 1 / self.gamma) / log
        return self.eta * (1 / self.gamma - 1) / -math.expm1(self.eta * log)

    def masses(self) -> Iterator[tuple[int, float]]:
        """Every number of runs with its probability, ascending, without end."""
        if self.gamma == 1:
            yield 1, 1.0
            return
        rest, log, eta = 1 - self.gamma, math.log(self.gamma), self.eta
        limit = abs(eta * log) < 1e-9
        mass = rest / -log if limit else rest * eta / math.expm1(-eta * log)
        number = 1
        while True:
            yield number, mass
            mass *= rest * (number + eta) / (number + 1)
            number += 1

    def divergences(self, single: "Doubles", profile: "Profile") -> "Doubles":
        """Theorem 2; ``profile`` is not needed for it."""
        import numpy as np

        orders = np.array(ORDERS)
        choices = (1 - 1 / orders) * single - math.log(self.gamma) / orders
        # Order 1 is a choice too: there the divergence is multiplied by nothing.
        least = min(float(np.min(choices)), -math.log(self.gamma))
        return np.asarray(single + (1 + self.eta) * least + math.log(self.mean) / (orders - 1))


@dataclass(frozen=True, slots=True)
class Poisson:
    """A Poisson number of runs, which may be none; the paper's theorem 6.

    It varies least, so that a search of ten runs is hardly ever one of one or of fifty.
    """

    mean: float

    def __post_init__(self) -> None:
        if not 1 <= self.mean <= 1e6:
            raise ValueError(f"the mean must be in [1, 1e6], got {self.mean}")

    def masses(self) -> Iterator[tuple[int, float]]:
        """Every number of runs with its probability, ascending, without end."""
        number = 0
        while True:
            log = number * math.log(self.mean) - self.mean - math.lgamma(number + 1)
            yield number, math.exp(log)
            number += 1

    def divergences(self, single: "Doubles", profile: "Profile") -> "Doubles":
        """Theorem 6."""
        import numpy as np

        orders = np.array(ORDERS)
        lost = [profile(math.log1p(1 / (order - 1))) for order in ORDERS]
        return np.asarray(single + self.mean * np.array(lost) + math.log(self.mean) / (orders - 1))


Runs = NegativeBinomial | Poisson
"""How many runs there are. ``divergences(single, profile)`` is the Renyi divergence of the best of
them at ``ORDERS``, at most, for a run that has ``single`` (K,) there and is (e, profile(e))-DP."""


def selection_epsilon(
    events: Iterable[Event],
    delta: float,
    runs: Runs,
    *,
    sampler: str,
    before: Iterable[Event] = (),
) -> float:
    """Epsilon at ``delta`` of letting out the best of ``runs``, each of which costs ``events``.

    ``sampler`` says how a run gets its setting; ``before`` is what was released earlier.
    Guarantee: all of ``before`` and the best run together are (epsilon, delta)-DP under adding or
    removing one person, for any order of best and worst, as long as nothing else leaves: not how
    many runs there were, not how long they took.
    Raises ``PlanError`` for a sampler that looks at other runs: no such price is known for it.
    """
    if sampler != INDEPENDENT:
        raise PlanError(
            f"the best of a random number of runs is priced for {INDEPENDENT!r} search only, where "
            f"every run draws its setting by itself; {sampler!r} looks at earlier runs: charge "
            "every trial instead"
        )
    if not 0 < delta < 1:
        raise ValueError(f"delta must be in (0, 1), got {delta}")
    once, earlier = tuple(events), tuple(before)
    if not once or (isinstance(runs, NegativeBinomial) and runs.gamma == 1):
        return epsilon((*earlier, *once), delta)
    best = runs.divergences(renyi(once, ORDERS), partial(delta_of, once))
    return renyi_epsilon(best + renyi(earlier, ORDERS), ORDERS, delta)


def draw_runs(runs: Runs, uniform: float) -> int:
    """The number of runs that a ``uniform`` number in [0, 1) stands for. It must stay secret."""
    if not 0 <= uniform < 1:
        raise ValueError("expected a number in [0, 1)")
    return _quantile(runs, min(uniform, 1 - _LEAST))


def likely_most(runs: Runs, share: float = 0.99) -> int:
    """The number of runs that is not exceeded in ``share`` of all searches."""
    return _quantile(runs, share)


def parse_runs(text: str) -> Runs:
    """``"geometric:10"``, ``"logarithmic:10"``, ``"poisson:10"`` or ``"negative-binomial:0.5:10"``.

    The last number is the mean. Raises ``PlanError`` with the forms there are.
    """
    kind, *numbers = text.split(":")
    etas = {"geometric": 1.0, "logarithmic": 0.0}
    try:
        values = [float(number) for number in numbers]
        if kind == "poisson":
            (mean,) = values
            return Poisson(mean)
        eta, mean = values if kind == "negative-binomial" else (etas[kind], *values)
        return of_mean(eta, mean)
    except (KeyError, ValueError) as error:
        known = "geometric:MEAN, logarithmic:MEAN, poisson:MEAN, negative-binomial:ETA:MEAN"
        raise PlanError(f"no number of runs {text!r} ({error}); there are: {known}") from None


def of_mean(eta: float, mean: float) -> NegativeBinomial:
    """The distribution with this ``eta`` whose mean is ``mean``, or the least above it."""
    if not 1 <= mean <= 1e6:
        raise ValueError(f"the mean must be in [1, 1e6], got {mean}")
    low, high = 1e-9, 1.0
    if NegativeBinomial(eta, low).mean < mean:
        raise ValueError(f"no distribution with eta {eta} has the mean {mean}")
    for _ in range(200):
        middle = math.sqrt(low * high)
        if NegativeBinomial(eta, middle).mean >= mean:
            low = middle
        else:
            high = middle
    return NegativeBinomial(eta, 1.0 if mean == 1 else low)


def _quantile(runs: Runs, share: float) -> int:
    total, last = 0.0, 0
    for number, mass in runs.masses():
        total, last = total + mass, number
        if total > share or number >= _MOST_RUNS:
            break
        if mass < _LEAST * (1 - share) and number > runs.mean:
            break
    return last
