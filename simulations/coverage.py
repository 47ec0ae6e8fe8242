"""How often a calibration keeps its word: people drawn again and again, judged on all others.

From a pool of people some are drawn, without the others being looked at; they fix a threshold.
Then everybody else is compared, and the share of those comparisons that reaches the threshold is
the realised FMR. The calibration kept its word where that is within the bound it stated.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from common.errors import InsufficientCalibrationError, ScenarioError
from common.metrics.calibration import accepted_at, threshold_for
from common.metrics.impostors import Faces, GroupedScores, among
from common.metrics.intervals import Doubles, person_weights
from common.metrics.rarity import LEVEL
from common.metrics.verification import Floats, unit_rows

WIDE = 8.0  # of a pool, this many times the target rate of comparisons is kept
DRAWS = 400  # of the plain bootstrap, where it is asked for

Progress = Callable[[int], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Trials:
    """``people`` drawn ``repeats`` times from a pool, for a threshold at ``fmr``."""

    people: int
    fmr: float
    repeats: int
    seed: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Coverage:
    """The shares of calibrations whose realised FMR was inside the bound stated.

    ``kept`` with the threshold by its bound, where that is the target itself or below;
    ``stated`` with the threshold by the rate seen, whose bound is only told; ``percentile`` with
    the latter, had the bound been the 95th percentile of a bootstrap over people. None where all
    refused. ``excess`` are the bounds told by the rate seen, in units of the target, and
    ``realised`` the rates that thresholds by bound brought; medians.
    """

    kept: float | None
    stated: float | None
    percentile: float | None
    excess: float | None
    realised: float | None
    refused: int


@dataclass(slots=True)
class _Inside:
    """What was counted so far, calibration by calibration."""

    kept: list[bool] = field(default_factory=list)
    stated: list[bool] = field(default_factory=list)
    percentile: list[bool] = field(default_factory=list)
    excess: list[float] = field(default_factory=list)
    realised: list[float] = field(default_factory=list)
    refused: int = 0

    def told(self) -> Coverage:
        """The shares and medians of it."""
        return Coverage(
            kept=_mean(self.kept),
            stated=_mean(self.stated),
            percentile=_mean(self.percentile),
            excess=_median(self.excess),
            realised=_median(self.realised),
            refused=self.refused,
        )


def coverage(pool: Faces, trials: Trials, progress: Progress | None = None) -> Coverage:
    """Calibrates on people of ``pool`` and judges on the others, as often as ``trials`` say."""
    everybody = among(pool.embeddings, pool.person, most=min(1.0, WIDE * trials.fmr))
    _, number = np.unique(pool.person, return_inverse=True)
    pictures = np.bincount(number).astype(np.float64)
    inside = _Inside()
    for drawn, own in _draws(number, pool, trials):
        others = _Others.of(everybody, pictures, drawn)
        try:
            strict = threshold_for(own, trials.fmr)
        except InsufficientCalibrationError:
            inside.refused += 1
        else:
            realised = others.fmr(strict.value)
            inside.kept.append(realised <= strict.bound)
            inside.realised.append(realised / trials.fmr)
        told = _by_estimate(own, trials)
        if told is not None:
            value, bound, plain = told
            inside.stated.append(others.fmr(value) <= bound)
            inside.percentile.append(others.fmr(value) <= plain)
            inside.excess.append(bound / trials.fmr)
        if progress:
            progress(1)
    return inside.told()


def invented_pool(people: int, pictures: int, seed: int, dim: int = 64) -> Faces:
    """Embeddings of nobody: four groups of people, some easier to be taken for than others.

    The spectrum falls as that of face embedders does, so impostor scores have a heavy tail.
    """
    rng = np.random.default_rng(seed)
    scale = (1 + np.arange(dim)) ** -0.4
    group = rng.standard_normal((4, dim)) * scale / 2
    person = group[rng.integers(0, 4, people)] + rng.standard_normal((people, dim)) * scale
    person *= np.exp(0.35 * rng.standard_normal((people, 1)))  # the weaker are more alike
    noise = rng.standard_normal((people, pictures, dim)) * scale * 0.6
    rows = (person[:, None] + noise).reshape(-1, dim)
    return Faces(unit_rows(rows), np.repeat(np.arange(people), pictures))


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class _Others:
    """The comparisons among the people of a pool who were not drawn."""

    score: Floats
    comparisons: float
    floor: float  # below it scores are missing

    @classmethod
    def of(cls, everybody: GroupedScores, pictures: Doubles, drawn: NDArray[np.bool_]) -> "_Others":
        apart = ~(drawn[everybody.first] | drawn[everybody.second])
        left = pictures[~drawn]
        comparisons = (left.sum() ** 2 - (left**2).sum()) / 2
        return cls(everybody.score[apart], float(comparisons), float(everybody.score[-1]))

    def fmr(self, threshold: float) -> float:
        assert threshold >= self.floor, "too few scores of the pool were kept"
        return float(np.count_nonzero(self.score >= np.float32(threshold)) / self.comparisons)


def _draws(
    number: NDArray[np.intp], pool: Faces, trials: Trials
) -> Iterator[tuple[NDArray[np.bool_], GroupedScores]]:
    """Who was drawn, among all people (P,), and the comparisons among them."""
    everybody = int(number.max()) + 1
    if not 2 <= trials.people < everybody - 1:
        raise ScenarioError(f"cannot draw {trials.people} of {everybody} people and judge on two")
    rng = np.random.default_rng(trials.seed)
    for _ in range(trials.repeats):
        drawn = np.zeros(everybody, bool)
        drawn[rng.choice(everybody, trials.people, replace=False)] = True
        own = drawn[number]
        yield drawn, among(pool.embeddings[own], number[own], most=trials.fmr)


def _by_estimate(own: GroupedScores, trials: Trials) -> tuple[float, float, float] | None:
    """The threshold by the rate seen, its bound, and the bound of the plain bootstrap."""
    try:
        told = threshold_for(own, trials.fmr, "estimate")
    except InsufficientCalibrationError:
        return None
    accepted = accepted_at(own, told.value)
    weights = person_weights(own.people, DRAWS, trials.seed)
    first, second = own.first[:accepted], own.second[:accepted]
    counted = (weights[:, first] * weights[:, second]).sum(axis=1)
    each = own.comparisons / own.person_pairs  # on average: only a yardstick
    compared = (weights.sum(axis=1) ** 2 - (weights**2).sum(axis=1)) / 2 * each
    return told.value, told.bound, float(np.quantile(counted / compared, LEVEL))


def _mean(values: list[bool]) -> float | None:
    return float(np.mean(values)) if values else None


def _median(values: list[float]) -> float | None:
    return float(np.median(values)) if values else None
