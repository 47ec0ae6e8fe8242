"""Who trained a model: an attacker who trains models of their own, with and without each person.

``signals`` (M, N) say how well model m knows person i, in logarithms of a likelihood; ``members``
(M, N) who trained it. Every model is attacked in turn, and all others are the attacker's shadows:
the model that is attacked never tells who trained it.
"""

import numpy as np
from numpy.typing import NDArray

from common.attacks.bounds import counted_bound

LEAST_VARIANCE = 1e-12
_THRESHOLDS = 64

Signals = NDArray[np.float64]
Members = NDArray[np.bool_]


def lira(signals: Signals, members: Members) -> Signals:
    """The likelihood ratio of Carlini et al. 2022, arXiv:2112.03570, with one variance for all.

    (M, N) scores: high where the model knows the person as models do that were trained on them.
    """
    scores = np.zeros_like(signals)
    for model in range(len(signals)):
        rest = np.arange(len(signals)) != model
        inside = _fitted(signals[rest], members[rest])
        outside = _fitted(signals[rest], ~members[rest])
        scores[model] = _log_normal(signals[model], *inside)
        scores[model] -= _log_normal(signals[model], *outside)
    return scores


def rmia(signals: Signals, members: Members, population: Signals) -> Signals:
    """The pairwise ratios of Zarifzadeh et al. 2024, arXiv:2312.03262, with gamma = 1.

    ``population`` (M, Z) are the signals of people who trained none of the models. (M, N) scores:
    the share of them whom the model exceeds the shadows' average for by less than for the person.
    """
    scores = np.zeros_like(signals)
    for model in range(len(signals)):
        rest = np.arange(len(signals)) != model
        theirs = population[model] - _log_mean(population[rest])
        halves = [
            _log_mean(np.where(chosen, signals[rest], -np.inf), chosen.sum(axis=0))
            for chosen in (members[rest], ~members[rest])
        ]
        mine = signals[model] - _log_mean(np.stack(halves))
        scores[model] = (mine[:, None] >= theirs).mean(axis=1)
    return scores


def area(scores: Signals, members: Members) -> float:
    """Under the ROC: how often a member scores above somebody who is not; half where they tie."""
    from scipy.stats import rankdata

    ranks, inside = rankdata(scores), int(members.sum())
    below = float(ranks[members].sum()) - inside * (inside + 1) / 2
    return below / (inside * (len(scores) - inside))


def caught_at(scores: Signals, members: Members, rate: float, least: float = 5.0) -> float | None:
    """The share of members above a threshold that ``rate`` of the others exceed.

    None where fewer than ``least`` of the others are that many.
    """
    others = np.sort(scores[~members])[::-1]
    allowed = int(rate * len(others))
    if rate * len(others) < least:
        return None
    return float((scores[members] > others[allowed]).mean())


def empirical_epsilon(scores: Signals, members: Members, delta: float, chance: float) -> float:
    """A lower bound of epsilon by one threshold, (M, N) each.

    Half of the people choose the threshold, the other half are counted, so that it is chosen
    without looking. Trials are taken as independent, as is usual; see ``bounds.one_run_bound``
    for one that does not need it.
    """
    chosen, counted = (slice(begin, None, 2) for begin in (0, 1))

    def bound(people: slice, threshold: float) -> float:
        counts = _counts(scores[:, people], members[:, people], threshold)
        return counted_bound(*counts, delta, chance)

    tried = np.quantile(scores[:, chosen], np.linspace(0.002, 0.998, _THRESHOLDS))
    best = max(tried.tolist(), key=lambda threshold: bound(chosen, threshold))
    return bound(counted, best)


def _counts(
    scores: Signals, members: Members, threshold: float
) -> tuple[tuple[int, int], tuple[int, int]]:
    said = scores > threshold
    return (
        (int(said[members].sum()), int(members.sum())),
        (int(said[~members].sum()), int((~members).sum())),
    )


def _fitted(signals: Signals, chosen: Members) -> tuple[Signals, float]:
    """The mean of each person over the ``chosen`` models (N,), and the variance around it.

    Somebody whom no model, or all, were trained on gets the mean of everybody.
    """
    count = chosen.sum(axis=0)
    sums = np.where(chosen, signals, 0).sum(axis=0)
    means = np.where(count > 0, sums / np.maximum(count, 1), sums.sum() / max(int(count.sum()), 1))
    away = np.square(np.where(chosen, signals - means, 0)).sum()
    freedom = max(int(count.sum() - (count > 0).sum()), 1)
    return means, max(float(away) / freedom, LEAST_VARIANCE)


def _log_normal(values: Signals, mean: Signals, variance: float) -> Signals:
    return np.asarray(-np.square(values - mean) / (2 * variance) - np.log(variance) / 2)


def _log_mean(values: Signals, count: NDArray[np.int64] | None = None) -> Signals:
    """log of the mean of exp over the first axis; ``count`` (N,) of them where some are -inf.

    Of none it is -inf.
    """
    peak = values.max(axis=0)
    safe = np.where(np.isfinite(peak), peak, 0)
    total = np.exp(values - safe).sum(axis=0)
    of = len(values) if count is None else np.maximum(count, 1)
    with np.errstate(divide="ignore"):
        return np.asarray(safe + np.log(total / of))
