"""The threshold of a search that may answer "nobody", at the size the gallery really has.

A stranger is taken for somebody as soon as the *best* of all scores reaches the threshold, so what
counts is the highest score of each search. Strangers are everybody enrolled, searched for among all
others (leave one person out), and people who are not enrolled at all. FPIR and FNIR are those of
``identification``; bounds redraw the people who search, for the gallery is what it is.

A gallery that grows raises the FPIR: each person added is one more who may be taken for a stranger,
so m times as many people bring at most m times the FPIR. Nothing better is promised; calibrate
again instead.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from common.errors import InsufficientCalibrationError
from common.metrics.impostors import Faces, by_person
from common.metrics.rarity import Rate, lowest_threshold, ratio_variance, trials_needed
from common.metrics.verification import Floats, allowed_impostors, unit_rows

Indices = NDArray[np.int64]

_ROWS = 512  # searches at a time


@dataclass(frozen=True, kw_only=True, eq=False, repr=False, slots=True)
class OpenSearches:
    """The best score of S searches by people not in the gallery, and of M by people in it.

    People enrolled are numbered from 0, others from ``gallery`` on. A mated search that ranks
    somebody else first, or as high, has found nobody: -inf.
    """

    stranger: Floats  # (S,)
    stranger_person: Indices  # (S,)
    mated: Floats  # (M,)
    mated_person: Indices  # (M,)
    gallery: int  # people enrolled

    @property
    def people(self) -> int:
        """How many searched as strangers."""
        return len(np.unique(self.stranger_person))

    def by_enrolled(self) -> "OpenSearches":
        """Without the people who are not enrolled."""
        own = self.stranger_person < self.gallery
        return replace(self, stranger=self.stranger[own], stranger_person=self.stranger_person[own])

    def rate(self, threshold: float) -> Rate:
        """The FPIR at ``threshold``."""
        return _rate(self.stranger >= np.float32(threshold), self.stranger_person)


@dataclass(frozen=True, kw_only=True, repr=False, slots=True)
class OpenThreshold:
    """A threshold for a target ``fpir`` against ``gallery`` people.

    ``estimate`` is the FPIR seen and ``bound`` the upper 95 % bound on it; ``fnir`` is the FNIR
    there, with its own, None where nobody enrolled has two pictures.
    """

    value: float
    fpir: float
    estimate: float
    bound: float
    fnir: float | None
    fnir_bound: float | None
    gallery: int
    searches: int
    people: int


def search_open(
    enrolled: Faces, strangers: Faces | None = None, pooled: Faces | None = None
) -> OpenSearches:
    """Every picture of ``enrolled`` searched for among all others, and all of ``strangers``.

    A person's score is that of their best picture; or of their one row in ``pooled``, which no
    picture of theirs can be searched for in, being part of it: so then nobody is mated. Raises
    ``ValueError`` for fewer than two people enrolled, who cannot search for each other.
    """
    groups = by_person(enrolled.person)
    if len(groups) < 2:
        raise ValueError("a search that leaves one person out needs two people enrolled")
    order = np.concatenate(groups)
    starts = np.cumsum([0, *(len(group) for group in groups[:-1])])
    gallery = unit_rows(enrolled.embeddings)[order]
    owner = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
    if pooled is None:
        best, own = _leave_one_out(gallery, owner, starts)
        again = np.isin(owner, np.flatnonzero(np.bincount(owner) > 1))
    else:
        pictures, gallery = gallery, unit_rows(pooled.embeddings)[np.argsort(pooled.person)]
        best = _among_others(pictures, owner, gallery)
        own, again = np.full_like(best, -np.inf), np.zeros(len(best), bool)
    mated = np.where(own > best, own, np.float32(-np.inf)).astype(np.float32)
    person = owner.astype(np.int64)
    if strangers is not None and len(strangers):
        best = np.concatenate([best, _best(unit_rows(strangers.embeddings), gallery)])
        _, other = np.unique(strangers.person, return_inverse=True)
        person = np.concatenate([person, other.astype(np.int64) + len(groups)])
    return OpenSearches(
        stranger=best,
        stranger_person=person,
        mated=mated[again],
        mated_person=owner[again].astype(np.int64),
        gallery=len(groups),
    )


def open_threshold(searches: OpenSearches, fpir: float) -> OpenThreshold:
    """The lowest threshold at which the upper bound on the FPIR is at most ``fpir``.

    Raises ``InsufficientCalibrationError`` where 3 / ``fpir`` people did not search, which is what
    it takes if none of them is taken for anybody.
    """
    if not 0 < fpir < 1:
        raise ValueError(f"a false positive identification rate is in (0, 1), got {fpir}")
    order = np.argsort(-searches.stranger, kind="stable")
    falling, person = searches.stranger[order], searches.stranger_person[order]
    trials = _of_person(person)
    missing = trials_needed(fpir) - len(trials)
    if missing > 0:
        each = len(falling) / max(len(trials), 1)
        raise InsufficientCalibrationError(
            comparisons=max(missing, math.floor(missing * each)), people=missing
        )

    def rate(accepted: int) -> Rate:
        return _rate(np.arange(len(person)) < accepted, person)

    found = lowest_threshold(
        falling, allowed_impostors(fpir, len(falling)), lambda count: rate(count).bound <= fpir
    )
    if found is None:  # pragma: no cover - refused above
        raise InsufficientCalibrationError(comparisons=1, people=1)
    value, accepted = found
    missed = _rate(searches.mated < np.float32(value), searches.mated_person)
    mated = len(searches.mated) > 0
    return OpenThreshold(
        value=value,
        fpir=fpir,
        estimate=rate(accepted).value,
        bound=rate(accepted).bound,
        fnir=missed.value if mated else None,
        fnir_bound=missed.bound if mated else None,
        gallery=searches.gallery,
        searches=len(falling),
        people=len(trials),
    )


def _rate(events: NDArray[np.bool_], person: Indices) -> Rate:
    """The share of ``events`` (S,), where ``person`` (S,) searched several times."""
    trials = _of_person(person)
    if not len(trials):
        return Rate(value=0.0, variance=0.0, people=0, independent=0)
    _, number = np.unique(person, return_inverse=True)
    counts = np.bincount(number, events, minlength=len(trials)).astype(np.float64)
    value = float(events.mean())
    variance = ratio_variance(counts, trials, value, float(len(person)))
    if len(trials) > 1:
        variance *= len(trials) / (len(trials) - 1)
    return Rate(value=value, variance=variance, people=len(trials), independent=len(trials))


def _of_person(person: Indices) -> NDArray[np.float64]:
    return np.unique(person, return_counts=True)[1].astype(np.float64)


def _leave_one_out(
    gallery: Floats, owner: NDArray[np.intp], starts: NDArray[np.intp]
) -> tuple[Floats, Floats]:
    """The best score of each picture (N,) among other people, and among its person's others."""
    best = np.empty(len(gallery), np.float32)
    own = np.empty(len(gallery), np.float32)
    for start in range(0, len(gallery), _ROWS):
        rows = np.arange(start, min(start + _ROWS, len(gallery)))
        scores = gallery[rows] @ gallery.T
        scores[np.arange(len(rows)), rows] = -np.inf
        people = np.maximum.reduceat(scores, starts, axis=1)
        own[rows] = people[np.arange(len(rows)), owner[rows]]
        people[np.arange(len(rows)), owner[rows]] = -np.inf
        best[rows] = people.max(axis=1)
    return best, own


def _among_others(probes: Floats, owner: NDArray[np.intp], gallery: Floats) -> Floats:
    """The best score of each probe (N,) of person ``owner`` among the others' rows (P, E)."""
    best = np.empty(len(probes), np.float32)
    for start in range(0, len(probes), _ROWS):
        scores = probes[start : start + _ROWS] @ gallery.T
        scores[np.arange(len(scores)), owner[start : start + _ROWS]] = -np.inf
        best[start : start + _ROWS] = scores.max(axis=1)
    return best


def _best(probes: Floats, gallery: Floats) -> Floats:
    parts = [
        (probes[start : start + _ROWS] @ gallery.T).max(axis=1)
        for start in range(0, len(probes), _ROWS)
    ]
    return np.concatenate([np.empty(0, np.float32), *parts])
