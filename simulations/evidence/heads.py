"""What released heads read of people who took no part, beside those they began as: a section.

Both are asked about the same pictures, and people are redrawn for both alike, so that what was lost
has an interval of its own.
"""

import dataclasses
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from client.agent.labels import SiteLabels, labels_of
from common.attacks.attributes import DRAWS, Inferred, inferred
from common.errors import ModelError
from common.evidence.section import Section
from common.faces.labels import MISSING
from common.heads.attributes import AttributesHead
from common.heads.head import Head
from common.heads.heads import Heads
from common.heads.heads_file import heads_bytes, read_heads
from common.heads.judging import even_scores, nearer
from common.heads.labelled import labelled
from common.heads.words import WordsHead
from common.metrics.intervals import person_weights
from common.privacy.heads import GENDER, WORDS
from common.text.encoding import encoder_with
from simulations.evidence.marks import LEAST
from simulations.evidence.subject import Subject

MEASURED = ("attributes", "age", GENDER, WORDS)

Figures = dict[str, Any]
Doubles = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class Compared:
    """Heads of a release, and the public ones that their run began with.

    ``ModelError`` unless each of them is of the same trunk and says the same things.
    """

    released: Heads
    public: Heads

    def __post_init__(self) -> None:
        if self.released.trunk != self.public.trunk:
            raise ModelError("the heads and those they began as are of two trunks")
        for head in self.released.heads:
            before = self.public.head(head.kind)
            if before is None or before.table() != head.table():
                raise ModelError(f"the {head.kind} head did not begin as one of the others")

    @classmethod
    def read(cls, released: Path, public: Path) -> "Compared":
        """Those in two files; ``ModelError`` as above, or for no files of heads."""
        return cls(read_heads(released), read_heads(public))

    @property
    def files(self) -> tuple[str, str]:
        """SHA-256 of both, as they travel."""
        both = (heads_bytes(heads) for heads in (self.released, self.public))
        first, second = (hashlib.sha256(content).hexdigest() for content in both)
        return first, second


def heads_section(subject: Subject, heads: Compared, seed: int, command: str) -> Section:
    """The section of ``subject``'s tested people, by what their face set says of them.

    A head that it says too little for is ``None`` among the figures, and in ``unmeasured``: fewer
    than ``LEAST`` people with something, or without it, say nothing. ``ModelError`` for heads of
    another trunk.
    """
    if heads.released.trunk != subject.trunk.hash:
        raise ModelError("these heads read the features of another trunk; name it with --trunk")
    labels = labels_of(subject.tested) or SiteLabels()
    kinds = [head.kind for head in heads.released.heads if head.kind in MEASURED]
    judge = _Judge(subject, heads, labels, seed)
    told = {kind: judge.told(kind) for kind in kinds}
    released, public = heads.files
    figures = {
        "file": released,
        "public": public,
        **told,
        "unmeasured": [kind for kind, found in told.items() if found is None],
    }
    section = subject.section("heads", figures, seed=seed, command=command)
    people = max((found["people"] for found in told.values() if found), default=0)
    return dataclasses.replace(section, about=dataclasses.replace(section.about, people=people))


@dataclass(frozen=True, eq=False, repr=False)
class _Judge:
    """Asks both about the tested people of ``subject``, of whom ``labels`` tell."""

    subject: Subject
    heads: Compared
    labels: SiteLabels
    seed: int

    def told(self, kind: str) -> Figures | None:
        head = self.heads.released.head(kind)
        if kind == "age":
            return self._age()
        if isinstance(head, WordsHead):
            return self._words(head)
        if isinstance(head, AttributesHead):
            return self._lines(head, self.labels.named(head.names), head.names)
        gender = self.labels.gender
        told = None if gender is None else gender[:, None]
        return None if head is None else self._lines(head, told, (kind,))

    def _lines(
        self, head: Head, truth: NDArray[np.int8] | None, names: tuple[str, ...]
    ) -> Figures | None:
        """Balanced accuracy, of what enough people have and lack; None where that is nothing."""
        person = self.subject.tested.person
        judged = (
            [] if truth is None else [c for c in range(len(names)) if _enough(truth[:, c], person)]
        )
        if truth is None or not judged:
            return None
        asked = truth[:, judged]
        now, before = (
            self._inferred(heads, head, (judged, asked))
            for heads in (self.heads.released, self.heads.public)
        )
        each = zip((names[c] for c in judged), now.value, before.value, strict=True)
        known = (asked != MISSING).any(axis=1)
        one, other = _mean(now), _mean(before)
        return _figures(one, other, other - one) | {
            "each": {name: {"released": float(a), "public": float(b)} for name, a, b in each},
            "people": len(np.unique(person[known])),
        }

    def _inferred(
        self, heads: Heads, head: Head, asked: tuple[list[int], NDArray[np.int8]]
    ) -> Inferred:
        columns, truth = asked
        scores = even_scores(head, heads.arrays, heads.scaling(self.subject.features))
        return inferred(
            scores[:, columns] > 0,
            truth == 1,
            self.subject.tested.person,
            np.random.default_rng([self.seed, 31]),
            truth != MISSING,
        )

    def _words(self, head: WordsHead) -> Figures | None:
        """How often a picture lies nearer to its own sentence than to another that is said of
        somebody here; None where fewer than ``LEAST`` people have one, or nothing embeds texts."""
        try:
            encoder = encoder_with(head.encoder)
        except ModelError:
            return None
        tested = self.subject.tested
        told = labelled(tested, (WORDS,), encoder).labels.words
        texts = np.full((len(tested), head.size), np.nan) if told is None else told.numpy()
        known = np.isfinite(texts).all(axis=1)
        people, number = np.unique(tested.person[known], return_inverse=True)
        if len(people) < LEAST or (texts[known] == texts[known][:1]).all():
            return None
        now, before = (
            self._drawn(self._nearer(heads, texts[known], known), number)
            for heads in (self.heads.released, self.heads.public)
        )
        return _figures(now, before, before - now) | {"people": len(people)}

    def _nearer(
        self, heads: Heads, texts: NDArray[np.floating], known: NDArray[np.bool_]
    ) -> Doubles:
        alone = heads.only((WORDS,))
        assert alone is not None
        read = alone.read(self.subject.features[known]).words
        assert read is not None
        return nearer(read, texts)

    def _age(self) -> Figures | None:
        """Mean absolute error in years; None where fewer than ``LEAST`` people have an age."""
        years = np.full(len(self.subject.tested), np.nan)
        years = years if self.labels.age is None else np.asarray(self.labels.age, np.float64)
        known = np.isfinite(years)
        people, number = np.unique(self.subject.tested.person[known], return_inverse=True)
        if len(people) < LEAST:
            return None
        now, before = (
            self._drawn(self._off(heads, years, known), number)
            for heads in (self.heads.released, self.heads.public)
        )
        return _figures(now, before, now - before) | {"people": len(people)}

    def _drawn(self, values: Doubles, number: NDArray[np.int64]) -> Doubles:
        """The mean of ``values`` (K,) of people ``number`` (K,), and under each draw: (1 + B,)."""
        people = int(number.max()) + 1
        weights = person_weights(people, DRAWS, [self.seed, 31])
        once = np.vstack([np.ones(people), weights])
        total, count = once @ np.bincount(number, values), once @ np.bincount(number)
        return np.asarray(total / count, np.float64)

    def _off(self, heads: Heads, years: Doubles, known: NDArray[np.bool_]) -> Doubles:
        """How far off each known age is read, in years."""
        alone = heads.only(("age",))
        assert alone is not None
        read = alone.read(self.subject.features[known]).age
        assert read is not None
        return np.abs(read - years[known])


def _enough(truth: NDArray[np.int8], person: NDArray[np.int64]) -> bool:
    """Whether so many people show it, and so many do not, that it can be judged."""
    return all(len(np.unique(person[truth == side])) >= LEAST for side in (0, 1))


def _mean(found: Inferred) -> Doubles:
    """Over attributes: (1 + B,)."""
    return np.concatenate([[found.value.mean()], found.draws.mean(axis=1)])


def _figures(now: Doubles, before: Doubles, lost: Doubles) -> Figures:
    """Each with its interval: (1 + B,) the value, and under each draw of people."""
    told: Figures = {}
    for name, drawn in (("released", now), ("public", before), ("lost", lost)):
        low, high = np.quantile(drawn[1:], [0.025, 0.975])
        told[name] = {"value": float(drawn[0]), "ci95": [float(low), float(high)]}
    return told
