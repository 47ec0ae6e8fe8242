"""The threshold that keeps a false match rate among people it was not fixed on, or a refusal.

Impostor comparisons share people on both sides: somebody whom many are taken for is in all the
comparisons that they are accepted in. So people are redrawn, not comparisons: person i comes w_i
times and a comparison of i and j counts w_i w_j (Bolle, Ratha & Pankanti 2004; the weighting that
is right for U-statistics, Janssen 1994). Only the *variance* of that bootstrap is needed, and as
the resamples grow without limit it has a closed form, so no random number enters: the same people
give the same threshold, to the bit. What the variance says of the bound is in ``rarity``.

With d_ij the accepted comparisons of i and j less what the rate expects, the variance is

    [ sum_i (sum_j d_ij)^2 + sum_(i<j) d_ij^2 ] / comparisons^2

The first sum alone is the first-order bootstrap of ``intervals``; the truth, for many people, is
the first *less* the second (Fafchamps & Gubert 2007). So the bound errs to the safe side: few
accepted comparisons of few people say little of how different people are.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from common.errors import InsufficientCalibrationError
from common.metrics.impostors import GroupedScores
from common.metrics.rarity import Rate, lowest_threshold, ratio_variance, trials_needed
from common.metrics.verification import (
    LEAST_IMPOSTORS,
    allowed_impostors,
    threshold_at_rank,
)

By = Literal["bound", "estimate"]


@dataclass(frozen=True, kw_only=True, repr=False, slots=True)
class Threshold:
    """A threshold for a target ``fmr``, as far as ``people`` of a calibration can show it.

    ``estimate`` is the FMR seen, ``bound`` the upper 95 % bound on it among other people like
    these.
    """

    value: float
    fmr: float
    estimate: float
    bound: float
    comparisons: int
    people: int


def threshold_for(impostors: GroupedScores, fmr: float, by: By = "bound") -> Threshold:
    """The lowest threshold at which ``impostors`` show that the FMR is at most ``fmr``.

    By ``bound`` (the default) the upper bound keeps ``fmr``: the rate somebody asks for is the
    rate they get, with 95 % confidence, and few people pay with a stricter threshold, not with
    more false matches than were promised. By ``estimate`` the rate seen keeps it, and the bound
    is only told; it is above ``fmr``.

    Equal scores are refused together. Raises ``InsufficientCalibrationError`` rather than go above
    what was compared: a bound of ``fmr`` takes 3 / ``fmr`` pairs of people of whom none is
    accepted, an estimate 10 accepted comparisons.
    """
    if not 0 < fmr < 1:
        raise ValueError(f"a false match rate is in (0, 1), got {fmr}")
    allowed = allowed_impostors(fmr, impostors.comparisons)
    if allowed >= len(impostors.score) and len(impostors.score) < impostors.comparisons:
        raise ValueError("fewer scores were kept than this rate may accept")
    if by == "estimate":
        _refuse_few(impostors, math.ceil(LEAST_IMPOSTORS / fmr), impostors.comparisons)
        found = lowest_threshold(impostors.score, allowed, lambda accepted: True)
    else:
        _refuse_few(impostors, trials_needed(fmr), impostors.person_pairs)
        found = lowest_threshold(
            impostors.score, allowed, lambda accepted: match_rate(impostors, accepted).bound <= fmr
        )
    if found is None:  # pragma: no cover - refused above
        raise InsufficientCalibrationError(comparisons=1, people=1)
    value, accepted = found
    rate = match_rate(impostors, accepted)
    return Threshold(
        value=value,
        fmr=fmr,
        estimate=rate.value,
        bound=rate.bound,
        comparisons=impostors.comparisons,
        people=impostors.people,
    )


def least_rate(impostors: GroupedScores) -> float:
    """The lowest FMR that ``threshold_for`` can show by a bound; 1 where nobody was compared."""
    return Rate(
        value=0.0, variance=0.0, people=impostors.people, independent=impostors.person_pairs
    ).bound


def above_all(impostors: GroupedScores) -> float:
    """The lowest threshold that accepts none of the comparisons, of which there must be one."""
    return threshold_at_rank(impostors.score[:1], 0)


def accepted_at(impostors: GroupedScores, threshold: float) -> int:
    """How many of the scores kept reach ``threshold``."""
    return int(np.count_nonzero(impostors.score >= np.float32(threshold)))


def match_rate(impostors: GroupedScores, accepted: int) -> Rate:
    """The FMR at a threshold that accepts the ``accepted`` highest comparisons."""
    first, second = impostors.first[:accepted], impostors.second[:accepted]
    people, total = impostors.people, float(impostors.comparisons)
    rate = accepted / total if total else 0.0
    own = np.bincount(first, minlength=people) + np.bincount(second, minlength=people)
    low, high = np.minimum(first, second), np.maximum(first, second)
    _, count = np.unique(low.astype(np.int64) * people + high, return_counts=True)
    variance = 0.0
    if accepted:
        apart = float((count.astype(np.float64) ** 2).sum())
        # Of the three terms of (a - rate c)^2 over pairs of people, the middle one is small and
        # negative for rare rates: leaving it out makes the variance larger.
        apart += rate**2 * impostors.squares
        variance = ratio_variance(own.astype(np.float64), impostors.met, rate, total)
        variance += apart / total**2
    return Rate(value=rate, variance=variance, people=people, independent=impostors.person_pairs)


def _refuse_few(impostors: GroupedScores, needed: int, had: int) -> None:
    """Raises where ``had`` trials are fewer than ``needed``, saying how many more it takes."""
    if had >= needed:
        return
    people = impostors.people
    grown = people * math.sqrt(needed / had) if had else 1 + math.sqrt(2 * needed)
    raise InsufficientCalibrationError(
        comparisons=needed - had, people=max(1, math.ceil(grown) - people)
    )
