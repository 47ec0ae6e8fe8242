"""Comparisons of different people: the highest scores, and who was compared how often.

Only what an operating point needs is kept, so a site may compare a billion pairs.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from common.metrics.intervals import Doubles
from common.metrics.verification import Floats, allowed_impostors, unit_rows

Numbers = NDArray[np.int32]

MOST = 1e-2  # the highest share of the comparisons that may be asked for
_ROWS = 512  # pictures compared with all others at a time


@dataclass(frozen=True, kw_only=True, eq=False, repr=False, slots=True)
class GroupedScores:
    """The K highest impostor scores, falling, and the two people of each, numbered 0..P-1.

    ``met`` (P,) are the comparisons that each person takes part in. ``squares`` is the sum over
    the ``person_pairs`` of the squared number of comparisons of one.
    """

    score: Floats  # (K,)
    first: Numbers  # (K,)
    second: Numbers  # (K,)
    met: Doubles  # (P,)
    comparisons: int
    person_pairs: int
    squares: float

    @property
    def people(self) -> int:
        return len(self.met)


def among(embeddings: ArrayLike, person: ArrayLike, *, most: float = MOST) -> GroupedScores:
    """Each picture of ``embeddings`` (N, E) with all of other people; ``person`` (N,) any ids.

    The highest share ``most`` of the cosines is kept, and one more. ``ModelError`` where an
    embedding is not finite.
    """
    unit = unit_rows(embeddings)
    number, pictures = _numbered(person, len(unit))
    squared = pictures**2
    comparisons = int((pictures.sum() ** 2 - squared.sum()) / 2)
    best = _Highest(_kept(most, comparisons))
    for start in range(0, len(unit), _ROWS):
        rows = np.arange(start, min(start + _ROWS, len(unit)))
        scores = unit[rows] @ unit[start:].T
        other = number[rows][:, None] != number[None, start:]
        later = np.arange(start, len(unit))[None, :] > rows[:, None]
        row, column = np.nonzero(other & later & (scores >= best.floor))
        best.add(scores[row, column], number[rows[row]], number[start + column])
    people = len(pictures)
    score, first, second = best.falling()
    return GroupedScores(
        score=score,
        first=first,
        second=second,
        met=pictures * (pictures.sum() - pictures),
        comparisons=comparisons,
        person_pairs=people * (people - 1) // 2,
        squares=float((squared.sum() ** 2 - (squared**2).sum()) / 2),
    )


def between(own: "Faces", strangers: "Faces", *, most: float = MOST) -> GroupedScores:
    """Each picture of ``own`` with each of ``strangers``; nobody is in both. As ``among``."""
    here, there = unit_rows(own.embeddings), unit_rows(strangers.embeddings)
    number, pictures = _numbered(own.person, len(here))
    other, others = _numbered(strangers.person, len(there))
    other = other + np.int32(len(pictures))
    comparisons = len(here) * len(there)
    best = _Highest(_kept(most, comparisons))
    for start in range(0, len(here), _ROWS):
        scores = here[start : start + _ROWS] @ there.T
        row, column = np.nonzero(scores >= best.floor)
        best.add(scores[row, column], number[start + row], other[column])
    score, first, second = best.falling()
    return GroupedScores(
        score=score,
        first=first,
        second=second,
        met=np.concatenate([pictures * len(there), others * len(here)]),
        comparisons=comparisons,
        person_pairs=len(pictures) * len(others),
        squares=float((pictures**2).sum() * (others**2).sum()),
    )


def claims_among(
    faces: "Faces", *, most: float = MOST, enrolled: "Faces | None" = None
) -> GroupedScores:
    """Each picture of ``faces`` as a claim to be each of the other people, one comparison a claim.

    Its score is that with the best of the person's pictures, as where a claim is decided: more
    pictures of a person are more chances to be taken for them. Where people are ``enrolled`` by
    something else than their pictures, that is what is compared with. The rest is as in ``among``.
    """
    here, unit = _Claimed(faces if enrolled is None else enrolled), unit_rows(faces.embeddings)
    number, pictures = _numbered(faces.person, len(unit))
    people, total = here.people, float(pictures.sum())
    comparisons = len(unit) * max(people - 1, 0)
    best = _Highest(_kept(most, comparisons))
    for start in range(0, len(unit), _ROWS):
        scores = here.scores(unit[start : start + _ROWS])
        whose = number[start : start + _ROWS]
        claimed = scores >= best.floor
        claimed[np.arange(len(whose)), whose] = False  # their own
        row, column = np.nonzero(claimed)
        best.add(scores[row, column], whose[row], column.astype(np.int32))
    score, first, second = best.falling()
    return GroupedScores(
        score=score,
        first=first,
        second=second,
        met=pictures * (people - 1) + (total - pictures),
        comparisons=comparisons,
        person_pairs=people * (people - 1) // 2,
        squares=float((people - 2) * (pictures**2).sum() + total**2),
    )


def claims_between(own: "Faces", strangers: "Faces", *, most: float = MOST) -> GroupedScores:
    """Each picture of ``strangers`` as a claim to be each person of ``own``; nobody is in both.

    As ``claims_among``.
    """
    here, there = _Claimed(own), unit_rows(strangers.embeddings)
    other, others = _numbered(strangers.person, len(there))
    people, comparisons = here.people, here.people * len(there)
    best = _Highest(_kept(most, comparisons))
    for start in range(0, len(there), _ROWS):
        scores = here.scores(there[start : start + _ROWS])
        row, column = np.nonzero(scores >= best.floor)
        whose = other[start + row] + np.int32(people)
        best.add(scores[row, column], column.astype(np.int32), whose)
    score, first, second = best.falling()
    return GroupedScores(
        score=score,
        first=first,
        second=second,
        met=np.concatenate([np.full(people, float(len(there))), others * people]),
        comparisons=comparisons,
        person_pairs=people * len(others),
        squares=float(people * (others**2).sum()),
    )


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Faces:
    """Embeddings (N, E) of pictures and whose they are (N,), as any integers."""

    embeddings: Floats
    person: NDArray[np.integer]

    def __len__(self) -> int:
        return len(self.person)

    @property
    def people(self) -> int:
        return len(np.unique(self.person))


def by_person(person: ArrayLike) -> list[NDArray[np.intp]]:
    """The pictures of each person of ``person`` (N,), ascending by id."""
    ids = np.asarray(person)
    order = np.argsort(ids, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(ids[order])) + 1) if len(order) else []


class _Claimed:
    """The pictures of each person, side by side."""

    def __init__(self, faces: Faces) -> None:
        groups = by_person(faces.person)
        order = np.concatenate([np.empty(0, np.intp), *groups])
        self.people = len(groups)
        self._starts = np.cumsum([0, *(len(group) for group in groups)])[:-1]
        self._rows = unit_rows(faces.embeddings)[order]

    def scores(self, probes: Floats) -> Floats:
        """(Q, P): each of ``probes`` (Q, E) with the best picture of each person."""
        if not self.people:
            return np.empty((len(probes), 0), np.float32)
        found: Floats = np.maximum.reduceat(probes @ self._rows.T, self._starts, axis=1)
        return found


class _Highest:
    """Keeps the ``most`` highest of all scores it is given."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held = 0
        self._parts: list[tuple[Floats, Numbers, Numbers]] = []
        self.floor = np.float32(-np.inf)  # below it nothing need be given any more

    def add(self, score: Floats, first: Numbers, second: Numbers) -> None:
        self._parts.append((score, first, second))
        self._held += len(score)
        if self._held > 2 * self._most + _ROWS * _ROWS:
            self._shrink()

    def falling(self) -> tuple[Floats, Numbers, Numbers]:
        """The scores and both their people, from the highest on; ties in order of people."""
        self._shrink()
        score, first, second = self._parts[0]
        order = np.lexsort((second, first, -score))
        return score[order], first[order], second[order]

    def _shrink(self) -> None:
        empty = np.empty(0, np.float32), np.empty(0, np.int32), np.empty(0, np.int32)
        parts = [empty, *self._parts]
        score, first, second = (np.concatenate(column) for column in zip(*parts, strict=True))
        if len(score) > self._most:
            kept = np.argpartition(-score, self._most - 1)[: self._most]
            score, first, second = score[kept], first[kept], second[kept]
            self.floor = score.min()
        self._parts, self._held = [(score, first, second)], len(score)


def _kept(most: float, comparisons: int) -> int:
    if not 0 < most <= 1:
        raise ValueError(f"most must be in (0, 1], got {most}")
    return min(comparisons, allowed_impostors(most, comparisons) + 1)


def _numbered(person: ArrayLike, pictures: int) -> tuple[Numbers, Doubles]:
    _, number, count = np.unique(np.asarray(person), return_inverse=True, return_counts=True)
    if len(number) != pictures:
        raise ValueError(f"{pictures} embeddings for {len(number)} pictures")
    return number.astype(np.int32), count.astype(np.float64)
