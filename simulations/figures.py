"""Every figure of one embedder on one set of people, thresholds always fixed on other people."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from common.errors import ScenarioError
from common.metrics.classification import Decisions, operating_threshold
from common.metrics.clustering import Agreement, Tree, choose_similarity
from common.metrics.identification import deal_roles, search
from common.metrics.intervals import bootstrap_share, estimate, interval, person_weights
from common.metrics.pairs import PairList, lfw_protocol
from common.metrics.verification import FARS, Floats, Pairs, Scores, det_curve

RATES = (*FARS, 1e-4, 1e-5)
RANKS = (1, 5)
CMC = 20  # ranks told of the cumulative match characteristic
POINTS = 41  # told of the ROC curve
DECISIONS = ("accuracy", "precision", "recall", "specificity", "f1", "balanced_accuracy")
CLUSTERING = (
    *("pairwise_precision", "pairwise_recall", "pairwise_f1"),
    *("bcubed_precision", "bcubed_recall", "bcubed_f1", "mutual_information"),
)

Figures = dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """How figures are taken: the operating FMR, the seed of all draws, and their number."""

    fmr: float = 1e-3
    seed: int = 0
    draws: int = 400

    def __post_init__(self) -> None:
        if not 0 < self.fmr < 1:
            raise ScenarioError(f"fmr must be in (0, 1), got {self.fmr}")
        if self.seed < 0:
            raise ScenarioError(f"seed must not be negative, got {self.seed}")


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Embedded:
    """Embeddings (N, E) of pictures and whose they are (N,)."""

    embeddings: Floats
    person: NDArray[np.int64]

    @property
    def people(self) -> int:
        return len(np.unique(self.person))


def figures_of(tested: Embedded, others: Embedded, asked: Asked) -> Figures:
    """All figures of ``tested``; what needs a threshold takes it from ``others``.

    A figure that cannot be told is None. Intervals redraw people, never pictures. Raises
    ``ScenarioError`` where ``tested`` has nobody twice, or a single person.
    """
    pairs = Pairs.of(tested.person)
    if not len(pairs.genuine) or not len(pairs.impostor):
        raise ScenarioError("nothing to verify: it takes two people, one of them with two pictures")
    scores = pairs.score(tested.embeddings)
    return {
        "verification": _verification(tested, pairs, scores, asked),
        "classification": _classification(scores, others, asked),
        "identification": _identification(tested, asked),
        "clustering": _clustering(tested, others),
    }


def pair_figures(embeddings: ArrayLike, pairs: PairList) -> Figures:
    """The LFW protocol over ``pairs`` of the face set whose ``embeddings`` (N, E) these are."""
    found = lfw_protocol(pairs.score(embeddings), pairs.same, pairs.fold)
    return {
        "pairs": len(pairs),
        "folds": len(found.by_fold),
        "accuracy": found.accuracy,
        "standard_error": found.standard_error,
        "by_fold": list(found.by_fold),
        "area_under_roc": found.area,
        "eer": found.eer,
    }


def rate_key(rate: float) -> str:
    """``1e-3`` of 0.001, the way rates are written everywhere."""
    return f"{rate:.0e}".replace("e-0", "e-")


def _verification(tested: Embedded, pairs: Pairs, scores: Scores, asked: Asked) -> Figures:
    weights = person_weights(pairs.people, asked.draws, asked.seed)
    found = estimate(tested.embeddings, pairs, weights, RATES)
    curve = det_curve(scores)
    rates = np.geomspace(min(10 / len(scores.impostor), 1), 1, POINTS)
    return {
        "genuine_pairs": len(scores.genuine),
        "impostor_pairs": len(scores.impostor),
        "tar_at_far": {
            rate_key(rate): _measured(float(tar), draws)
            for rate, tar, draws in zip(RATES, found.tar, found.draws, strict=True)
        },
        "eer": curve.eer,
        "area_under_roc": curve.area,
        "roc": {"fmr": rates.tolist(), "tar": curve.tar_at(rates).tolist()},
    }


def _classification(scores: Scores, others: Embedded, asked: Asked) -> Figures:
    """Of all pairs of the tested people, at the threshold of the others."""
    told: Figures = {"fmr": asked.fmr, "threshold": None, "people_of_threshold": others.people}
    told |= dict.fromkeys(("pairs", *DECISIONS))
    fixed = Pairs.of(others.person).score(others.embeddings)
    threshold = operating_threshold(fixed, asked.fmr)
    if threshold is None:
        return told
    made = Decisions.of(scores, threshold)
    told |= {name: getattr(made, name) for name in ("pairs", *DECISIONS)}
    return told | {"threshold": threshold}


def _identification(tested: Embedded, asked: Asked) -> Figures | None:
    roles = deal_roles(tested.person, seed=asked.seed)
    if not len(roles.gallery):
        return None
    found = search(tested.embeddings, tested.person, roles)
    weights = person_weights(found.people, asked.draws, asked.seed)
    ranks: Figures = {}
    for k in RANKS:
        draws = bootstrap_share(found.rank <= k, found.person, weights)
        rate = found.rank_k(k)
        ranks[str(k)] = None if rate is None else _measured(rate, draws)
    return {
        "enrolled": found.people,
        "mated": len(found.rank),
        "non_mated": len(found.stranger),
        "rank": ranks,
        "cmc": found.cmc(CMC),
        "fnir_at_fpir": {rate_key(rate): found.fnir_at_fpir(rate) for rate in FARS},
    }


def _clustering(tested: Embedded, others: Embedded) -> Figures | None:
    similarity = choose_similarity(Tree.of(others.embeddings), others.person)
    if similarity is None:
        return None
    found = Agreement.of(Tree.of(tested.embeddings).cut(similarity), tested.person)
    told = {name: getattr(found, name) for name in ("clusters", "people", *CLUSTERING)}
    return {"similarity": similarity, **told}


def _measured(value: float, draws: NDArray[np.float64]) -> Figures | None:
    return None if np.isnan(value) else {"value": value, "ci95": list(interval(draws))}
