"""Faces read by heads that other people taught, and queries whose right answers are known.

Leaks: names stay in the packs; queries are drawn from labels and mean nobody by name.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from common.faces.faceset import FaceSet
from common.heads.heads import Readings
from common.heads.joint import HeadTraining
from common.heads.labelled import labelled
from common.text.ages import Ages, about
from common.text.encoding import TextEncoder
from common.text.phrasing import Phrasing
from common.text.vocabulary import Language, contradiction
from server.heads import HeadsRequest, Pupils, fitted, heads_of
from simulations.benchmarks.heads_fitting import STOPPING, dealt

CONDITIONS = 3  # of a query
TAUGHT = HeadTraining()
SAID = ("plain", "negated", "chinese")  # kinds of queries
_TELL_OF_AGE = ("young", "elderly")

Indices = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Gallery:
    """N pictures: what heads read of each, and what is true of it, ``truth`` (N, A) of ``names``
    in {1, 0, MISSING}; ``age`` (N,) in years or None."""

    readings: Readings
    names: tuple[str, ...]
    truth: NDArray[np.int8]
    age: NDArray[np.float32] | None

    def right(self, wanted: dict[str, bool], age: Ages | None) -> NDArray[np.bool_]:
        """(N,) which pictures have all of it."""
        found = np.ones(len(self.truth), bool)
        for name, so in wanted.items():
            found &= self.truth[:, self.names.index(name)] == int(so)
        if age is not None and self.age is not None:
            found &= (self.age >= age[0]) & (self.age <= age[1])
        return found


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Asked:
    """A query in words, what it means, and (N,) which pictures are right."""

    text: str
    wanted: dict[str, bool]
    right: NDArray[np.bool_]


def gallery_of(
    faces: FaceSet, features: NDArray[np.float32], trunk: str, encoder: TextEncoder, parts: int
) -> Gallery:
    """Each picture read by heads that the people of all other parts taught; one picture a person.

    Attributes that some part had too few of to teach are left out.
    """
    told = labelled(faces, ("attributes", "age", "words"), encoder)
    pupils = Pupils(
        trunk=trunk, features=features, person=faces.person, labels=told.labels, names=told.names
    )
    kinds = ("attributes", "words") if faces.age is None else ("attributes", "age", "words")
    part, shown = dealt(faces.person, parts, 0), _one_each(faces.person)
    read = []
    for number in range(parts):
        rest = np.flatnonzero(part != number)
        stops = dealt(faces.person[rest], STOPPING, number) == 0
        asked = HeadsRequest(kinds=kinds, training=TAUGHT)
        heads, labels = heads_of(pupils, asked, rest[~stops], encoder)
        parted = (rest[~stops], rest[stops])
        made, _ = fitted(replace(pupils, labels=labels), asked, heads, parted)
        read.append((shown[part[shown] == number], made.read))
    readings = [(rows, reader(features[rows])) for rows, reader in read]
    names = tuple(n for n in told.names if all(n in one.names for _, one in readings))
    rows = np.concatenate([rows for rows, _ in readings])
    said = told.labels.attributes
    truth = np.empty((len(features), 0), np.int8) if said is None else said.numpy()
    columns = [told.names.index(name) for name in names]
    return Gallery(
        readings=_joined([one for _, one in readings], names),
        names=names,
        truth=truth[rows][:, columns],
        age=None if faces.age is None else faces.age[rows],
    )


def queries(gallery: Gallery, kind: str, many: int, seed: int) -> list[Asked]:
    """``many`` queries that are each true of a picture drawn for it, in words of ``Phrasing``.

    ``plain`` asks for what is there, ``negated`` for one or two things that are not besides,
    ``chinese`` for both.
    """
    rng = np.random.default_rng([seed, SAID.index(kind)])
    phrasing = Phrasing(rng)
    language: Language = "zh" if kind == "chinese" else "en"
    found: list[Asked] = []
    while len(found) < many:
        row = int(rng.integers(len(gallery.truth)))
        lacking = 0 if kind == "plain" else int(rng.integers(1, CONDITIONS))
        wanted = _true_of(gallery, row, lacking, rng)
        age = None
        if gallery.age is not None and rng.uniform() < 0.3:
            age = about(5.0 * round(float(gallery.age[row]) / 5))
        right = gallery.right(wanted, age)
        if wanted and right.any() and contradiction(wanted) is None:
            text = phrasing.say(wanted, age, language)
            found.append(Asked(text=text, wanted=wanted, right=right))
    return found


def _true_of(gallery: Gallery, row: int, lacking: int, rng: np.random.Generator) -> dict[str, bool]:
    """Up to ``CONDITIONS`` attributes of a picture, ``lacking`` of which it has not."""
    truth = gallery.truth[row]
    free = [c for c, name in enumerate(gallery.names) if name not in _TELL_OF_AGE]
    there = [column for column in free if truth[column] == 1]
    absent = [column for column in free if truth[column] == 0]
    chosen: dict[str, bool] = {}
    for columns, count in ((there, CONDITIONS - lacking), (absent, lacking)):
        for column in rng.permutation(columns)[:count].tolist():
            chosen[gallery.names[int(column)]] = bool(truth[int(column)] == 1)
    return chosen


def _one_each(person: Indices) -> Indices:
    """The first picture of everybody."""
    return np.sort(np.unique(person, return_index=True)[1]).astype(np.int64)


def _joined(read: list[Readings], names: tuple[str, ...]) -> Readings:
    """The readings of several parts one after the other, of ``names`` alone."""

    def rows(field: str) -> NDArray[np.float64] | None:
        values = [getattr(one, field) for one in read]
        return None if any(value is None for value in values) else np.concatenate(values)

    columns = [[one.names.index(name) for name in names] for one in read]
    kept = [
        one.attributes[:, order]
        for one, order in zip(read, columns, strict=True)
        if one.attributes is not None
    ]
    words = rows("words")
    return Readings(
        names=names,
        attributes=np.concatenate(kept),
        age=rows("age"),
        age_range=rows("age_range"),
        words=None if words is None else words.astype(np.float32),
    )
