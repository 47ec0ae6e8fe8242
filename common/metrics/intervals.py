"""How sure a TAR is: a bootstrap that redraws people, not pictures or pairs.

Pairs that share a person are not independent, so the resample is of people: person i comes w_i
times, w multinomial (Bolle, Ratha & Pankanti 2004, the subsets bootstrap). A genuine pair of i
then weighs w_i and an impostor pair of i and j weighs w_i w_j; a person is never an impostor of
their own copy. The threshold is found again in every resample, because a site has to find it too.

For speed w_i w_j is replaced by its first-order expansion w_i + w_j - 1, so that weighted impostor
counts come from one count a person. What is dropped is the product of two deviations: the spread
comes out within 4 % of the exact bootstrap at 400 people, up to 10 % narrow at 60 people; a test
holds the two against each other. The same ``weights`` for every arm, site and seed make differences
paired.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from common.metrics.verification import (
    FARS,
    LEAST_IMPOSTORS,
    Floats,
    Pairs,
    Scores,
    allowed_impostors,
    threshold_at_rank,
)

Doubles = NDArray[np.float64]

# The thresholds tried in a resample accept FAR / 3 to 3 FAR of the impostors; the ends are clamped.
REACH = 3.0
STEPS = 6  # thresholds on each side of the one at FAR itself


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class OperatingStatistics:
    """What each of P people adds to the rates at T falling thresholds around one FAR.

    Enough to re-estimate threshold and TAR under any weights of the people; holds no score.
    ``centre`` is the index of the threshold at FAR itself.
    """

    centre: int
    genuine_pairs: Doubles  # (P,)
    genuine_accepted: Doubles  # (P, T)
    impostor_pairs: Doubles  # (P,) pairs with this person on either side
    impostor_accepted: Doubles  # (P, T)

    @property
    def tar(self) -> float:
        """The estimate itself: every person once."""
        return float(self.genuine_accepted[:, self.centre].sum() / self.genuine_pairs.sum())


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Estimate:
    """TAR at F rates with B resamples of each; NaN where the rate cannot be estimated."""

    tar: Doubles  # (F,)
    draws: Doubles  # (F, B)


def person_weights(people: int, draws: int, seed: int | Sequence[int]) -> Doubles:
    """How often each person comes in each resample: (B, P), rows sum to P.

    People measured separately (folds) need different seeds; the same people always the same one.
    """
    rng = np.random.default_rng(seed)
    return rng.multinomial(people, np.full(people, 1 / people), size=draws).astype(np.float64)


def estimate(
    embeddings: ArrayLike | Scores, pairs: Pairs, weights: Doubles, fars: Sequence[float] = FARS
) -> Estimate:
    """TAR at each of ``fars`` for ``embeddings`` (N, E), and under ``weights`` (B, P).

    Where the scores of ``pairs`` are known already, they may be given instead of the embeddings.
    Columns of ``weights`` are the people in ascending order of their ids. Where a site tests only
    some of a fold's people, give it their columns of the fold's weights: arms stay paired.
    """
    found = operating_statistics(embeddings, pairs, fars)
    tar = np.full(len(fars), np.nan)
    draws = np.full((len(fars), len(weights)), np.nan)
    for index, far in enumerate(fars):
        statistics = found[far]
        if statistics is not None:
            tar[index] = statistics.tar
            draws[index] = bootstrap_tar(statistics, weights)
    return Estimate(tar, draws)


def operating_statistics(
    embeddings: ArrayLike | Scores, pairs: Pairs, fars: Sequence[float] = FARS
) -> Mapping[float, OperatingStatistics | None]:
    """The statistics around each FAR; ``None`` exactly where ``tar_at_far`` has none."""
    scores = embeddings if isinstance(embeddings, Scores) else pairs.score(embeddings)
    ordered = np.sort(scores.impostor)
    ranks = {far: _ranks(far, len(ordered)) for far in fars}
    if not len(pairs.genuine) or not any(ranks.values()):
        return dict.fromkeys(fars)
    tried = sorted({rank for around in ranks.values() for rank in around})
    thresholds = np.array([threshold_at_rank(ordered, rank) for rank in tried], np.float32)
    genuine, impostor = _accepted(scores.genuine, scores.impostor, thresholds, pairs)
    genuine_pairs, impostor_pairs = _pairs_of_people(pairs)
    found: dict[float, OperatingStatistics | None] = {}
    for far, around in ranks.items():
        columns = np.searchsorted(tried, around)
        found[far] = (
            OperatingStatistics(
                around.index(allowed_impostors(far, len(ordered))),
                genuine_pairs,
                genuine[:, columns],
                impostor_pairs,
                impostor[:, columns],
            )
            if around
            else None
        )
    return found


def bootstrap_tar(statistics: OperatingStatistics, weights: Doubles) -> Doubles:
    """TAR (B,) under each row of ``weights`` (B, P), at the threshold of that resample.

    The threshold is interpolated where the resampled FMR passes the FMR of the estimate, so
    weights of one give exactly ``statistics.tar``. NaN where a resample has no genuine pair.
    """
    genuine = _columns(statistics.genuine_pairs, statistics.genuine_accepted)
    impostor = _columns(statistics.impostor_pairs, statistics.impostor_accepted)
    sums = weights @ np.hstack([genuine, impostor])  # (B, 2 + 2 T)
    own, other = sums[:, : genuine.shape[1]], sums[:, genuine.shape[1] :]
    # Sum over pairs of w_i + w_j - 1: every pair is counted at both of its people.
    other = np.maximum(other - impostor.sum(axis=0) / 2, 0)
    fmr = other[:, 1:] / np.maximum(other[:, :1], 1)
    np.maximum.accumulate(fmr, axis=1, out=fmr)  # first-order counts may dip where true ones rise
    with np.errstate(invalid="ignore"):
        tar = own[:, 1:] / own[:, :1]
    everyone = statistics.impostor_pairs.sum()
    target = statistics.impostor_accepted[:, statistics.centre].sum() / everyone
    return _crossing(fmr, tar, target)


def bootstrap_share(right: ArrayLike, person: ArrayLike, weights: Doubles) -> Doubles:
    """The share (B,) of N trials that came out ``right`` (N,) under ``weights`` (B, P).

    Each trial belongs to one ``person`` (N,), numbered 0..P-1 as the columns are. NaN where a
    resample has no trial.
    """
    belongs, people = np.asarray(person), weights.shape[1]
    trials = np.bincount(belongs, minlength=people)
    hits = np.bincount(belongs, np.asarray(right, np.float64), minlength=people)
    with np.errstate(invalid="ignore"):
        share: Doubles = (weights @ hits) / (weights @ trials)
    return share


def interval(values: ArrayLike, level: float = 0.95) -> tuple[float, float]:
    """The central ``level`` share of the draws (B,); NaN draws are left out."""
    tail = (1 - level) / 2
    kept = np.asarray(values, np.float64)
    kept = kept[np.isfinite(kept)]
    if not len(kept):
        return float("nan"), float("nan")
    low, high = np.quantile(kept, [tail, 1 - tail])
    return float(low), float(high)


def _ranks(far: float, pairs: int) -> list[int]:
    """Ascending numbers of accepted impostors to try around ``far``; empty if it has too few."""
    allowed = allowed_impostors(far, pairs)
    if allowed < LEAST_IMPOSTORS:
        return []
    factors = REACH ** (np.arange(-STEPS, STEPS + 1) / STEPS)
    return sorted({min(pairs, round(allowed * factor)) for factor in factors})


def _accepted(
    genuine: Floats, impostor: Floats, thresholds: Floats, pairs: Pairs
) -> tuple[Doubles, Doubles]:
    """Accepted pairs of each person (P, T) at falling ``thresholds`` (T,)."""
    n, tried = len(pairs.person), len(thresholds)
    close = np.flatnonzero(impostor >= thresholds[-1])
    # Level t: refused by thresholds 0..t-1 and accepted by all from t on.
    level = tried - np.searchsorted(thresholds[::-1], impostor[close], side="right")
    row, column = np.divmod(pairs.impostor[close], n)
    counts = _count(pairs.person[row], level, pairs.people, tried)
    counts += _count(pairs.person[column], level, pairs.people, tried)
    level = tried - np.searchsorted(thresholds[::-1], genuine, side="right")
    kept = level < tried
    own = _count(pairs.person[pairs.genuine[kept] // n], level[kept], pairs.people, tried)
    return np.cumsum(own, axis=1), np.cumsum(counts, axis=1)


def _count(person: NDArray[np.intp], level: NDArray[np.intp], people: int, levels: int) -> Doubles:
    flat = np.bincount(person * levels + level, minlength=people * levels)
    return flat.reshape(people, levels).astype(np.float64)


def _pairs_of_people(pairs: Pairs) -> tuple[Doubles, Doubles]:
    pictures = np.bincount(pairs.person, minlength=pairs.people).astype(np.float64)
    return pictures * (pictures - 1) / 2, pictures * (len(pairs.person) - pictures)


def _columns(pairs: Doubles, accepted: Doubles) -> Doubles:
    """(P,) beside (P, T): (P, 1 + T)."""
    return np.hstack([pairs[:, None], accepted])


def _crossing(fmr: Doubles, tar: Doubles, target: float) -> Doubles:
    """TAR (B,) where each rising row of ``fmr`` (B, T) passes ``target``; clamped at the ends."""
    last = fmr.shape[1] - 1
    rows = np.arange(len(fmr))
    within = np.count_nonzero(fmr <= target * (1 + 1e-12), axis=1) - 1
    low = np.clip(within, 0, last)
    high = np.minimum(low + 1, last)
    step = fmr[rows, high] - fmr[rows, low]
    share = np.where(within < 0, 0, (target - fmr[rows, low]) / np.where(step > 0, step, 1))
    share = np.where(step > 0, np.clip(share, 0, 1), 0)
    found: Doubles = tar[rows, low] + share * (tar[rows, high] - tar[rows, low])
    return found
