"""How well an embedder finds a person in a gallery, and leaves strangers alone.

Words of ISO/IEC 19795-1:2021: a *mated* search is by somebody enrolled, a *non-mated* one by a
stranger. FNIR at rank k is the share of mated searches whose right answer is not among the k best
that reach the threshold; FPIR the share of non-mated searches that return anybody at all. The
detection and identification rate is 1 - FNIR (Phillips, Grother & Micheals 2011, Handbook of Face
Recognition, ch. 21). Closed-set rank-k is the share of mated searches whose right answer is among
the k best, whatever the score; over all k it is the cumulative match characteristic.

A tie is counted against the embedder: whoever scores as high as the right answer is ahead of it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from common.metrics.verification import Floats, threshold_at_far, unit_rows

Indices = NDArray[np.int64]

_STEP = 1024  # probes searched at a time


@dataclass(frozen=True, kw_only=True, eq=False, repr=False, slots=True)
class Roles:
    """Which pictures are enrolled, which search as somebody enrolled, which as strangers."""

    gallery: Indices
    probes: Indices
    strangers: Indices


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Searches:
    """What M mated and S non-mated searches of a gallery of P people brought."""

    person: NDArray[np.int64]  # (M,) whose mated search it is, a row of the gallery
    rank: NDArray[np.int64]  # (M,) place of the right answer, from 1
    score: Floats  # (M,) of the right answer
    stranger: Floats  # (S,) the best score a stranger reached
    people: int

    def rank_k(self, k: int) -> float | None:
        """Closed-set identification rate at rank ``k``; ``None`` without mated searches."""
        return float(np.mean(self.rank <= k)) if len(self.rank) else None

    def cmc(self, most: int) -> list[float]:
        """Identification rates at ranks 1..``most``, or as many as there are people enrolled."""
        ranks = range(1, min(most, self.people) + 1) if len(self.rank) else ()
        return [float(np.mean(self.rank <= k)) for k in ranks]

    def threshold(self, fpir: float) -> float | None:
        """The lowest threshold at which at most ``fpir`` of the strangers are taken for anybody.

        ``None`` where FPIR x non-mated searches < 10: too few strangers to say.
        """
        return threshold_at_far(np.sort(self.stranger), fpir)

    def dir_at_fpir(self, fpir: float, rank: int = 1) -> float | None:
        """Detection and identification rate; ``None`` where FPIR cannot be told, or no probes."""
        threshold = self.threshold(fpir)
        if threshold is None or not len(self.rank):
            return None
        return float(np.mean((self.rank <= rank) & (self.score >= np.float32(threshold))))

    def fnir_at_fpir(self, fpir: float, rank: int = 1) -> float | None:
        """False negative identification rate; ``None`` as ``dir_at_fpir``."""
        found = self.dir_at_fpir(fpir, rank)
        return None if found is None else 1 - found


def deal_roles(person: ArrayLike, *, seed: int, enrolled: int = 1, strangers: float = 0.5) -> Roles:
    """Deals the pictures of ``person`` (N,) to roles; the same seed deals the same.

    A share ``strangers`` of all people is never enrolled, and each of their pictures searches.
    Of everybody else ``enrolled`` pictures go to the gallery and the others search; who has none
    left to search with is enrolled all the same, and makes the search harder.
    """
    if enrolled < 1 or not 0 <= strangers <= 1:
        raise ValueError(f"cannot enrol {enrolled} pictures with {strangers} of people strangers")
    ids = np.asarray(person)
    rng = np.random.default_rng(seed)
    people = rng.permutation(np.unique(ids))
    unknown = np.isin(ids, people[: round(strangers * len(people))])
    gallery, probes = [], []
    for known in np.sort(people[round(strangers * len(people)) :]):
        pictures = rng.permutation(np.flatnonzero(ids == known))
        gallery.append(pictures[:enrolled])
        probes.append(pictures[enrolled:])
    nobody = np.empty(0, np.int64)
    return Roles(
        gallery=np.sort(np.concatenate([nobody, *gallery])),
        probes=np.sort(np.concatenate([nobody, *probes])),
        strangers=np.flatnonzero(unknown),
    )


def search(embeddings: ArrayLike, person: ArrayLike, roles: Roles) -> Searches:
    """Every search of ``roles`` by the cosine between ``embeddings`` (N, E) and the templates.

    A template is the mean of the person's enrolled embeddings, each of length 1. Raises
    ``ValueError`` where nobody is enrolled, or a probe's person is not.
    """
    unit, ids = unit_rows(embeddings), np.asarray(person)
    names, row = np.unique(ids[roles.gallery], return_inverse=True)
    if not len(names):
        raise ValueError("a gallery needs at least one person")
    if not np.isin(ids[roles.probes], names).all():
        raise ValueError("somebody who searches as enrolled is not in the gallery")
    sums = np.zeros((len(names), unit.shape[1]))
    np.add.at(sums, row, unit[roles.gallery])
    templates = unit_rows(sums)
    mate = np.searchsorted(names, ids[roles.probes])
    rank, score = _mated(unit[roles.probes], templates, mate)
    return Searches(mate, rank, score, _best(unit[roles.strangers], templates), len(names))


def _mated(probes: Floats, templates: Floats, mate: Indices) -> tuple[Indices, Floats]:
    rank, score = np.empty(len(probes), np.int64), np.empty(len(probes), np.float32)
    for start in range(0, len(probes), _STEP):
        part = slice(start, start + _STEP)
        scores = probes[part] @ templates.T
        own = scores[np.arange(len(scores)), mate[part]]
        score[part] = own
        rank[part] = (scores >= own[:, None]).sum(axis=1)  # itself and whoever is as good
    return rank, score


def _best(probes: Floats, templates: Floats) -> Floats:
    parts = [
        (probes[start : start + _STEP] @ templates.T).max(axis=1)
        for start in range(0, len(probes), _STEP)
    ]
    return np.concatenate([np.empty(0, np.float32), *parts])
