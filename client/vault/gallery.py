"""Who is this? Embedded templates of a release, in memory only, and the search among them.

A search is exact: scores are those of the float16 rows, equal scores are ordered by the bytes of
the person's id, and no answer depends on what else was asked at the same time. Only where a
prefilter was asked for, and for as long as it proves itself, may an answer below its threshold
be incomplete (``Hits.exact`` says so).

Guarantee: rows of a removed person, and arrays that were outgrown, are zeroed before the call
returns; nothing is written, and the object can be neither pickled, copied nor printed.
Leaks: whoever reads the process's memory reads the rows, and scores tell rows after about E
searches, so neither leaves the agent.
"""

import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray

from client.vault import scan
from client.vault.bitmap import Bitmap
from client.vault.identity import PersonId, TemplateId
from client.vault.matrix import Doubles, Matrix, unit
from client.vault.prefilter import Prefilter
from common.errors import GalleryFullError, UnknownPersonError

MOST = 1 << 20  # templates
TOP = 5  # persons named by a search, at most
FEW = 512  # rows that are scored without looking at codes
SINGLES = 4  # probes at once for which a shortlist pays

Mask = NDArray[np.bool_]
Found = tuple[tuple[PersonId, ...], scan.Scores, scan.Index]  # best persons, scores, rows


@dataclass(frozen=True, kw_only=True, eq=False, repr=False, slots=True)
class Hits:
    """For each of Q probes the k best persons, best first; k is the same for all.

    Prints as nothing: scores must not get into a log.
    """

    persons: tuple[tuple[PersonId, ...], ...]  # (Q, k)
    scores: NDArray[np.float32]  # (Q, k) cosine of the best template of each
    exact: bool  # False: nobody at or above the prefilter's threshold is missing, but for 1e-4


class Gallery:
    """(N, E) unit rows, several a person, at most ``most`` of them; safe among threads.

    One lock: a search sees all of an addition or nothing of it.
    """

    def __init__(self, dim: int, capacity: int = 1024, most: int = MOST) -> None:
        self._matrix = Matrix(dim, capacity)
        self._most_rows = most
        self._lock = threading.Lock()
        self._prefilter: Prefilter | None = None
        self._next = 0  # slot of the next new person
        self._filter: tuple[frozenset[PersonId], int, Bitmap] | None = None  # the last bitmap
        self._largest = 1  # templates that one person had at some time
        self._forget()

    def __len__(self) -> int:
        return self._matrix.count

    def __contains__(self, person: PersonId) -> bool:
        """Whether there is a template of ``person``."""
        return person in self._slots

    @property
    def people(self) -> frozenset[PersonId]:
        """Of whom there is a template."""
        with self._lock:
            return frozenset(self._slots)

    def __repr__(self) -> str:
        return "<Gallery>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a gallery stays in the memory of its process")

    def add(self, person: PersonId, template: TemplateId, row: ArrayLike) -> None:
        """Takes one unit row (E,). Raises as ``extend``."""
        self.extend([person], [template], np.asarray(row)[None])

    def extend(
        self, persons: Sequence[PersonId], templates: Sequence[TemplateId], rows: ArrayLike
    ) -> None:
        """Takes (B, E) unit rows, all or none.

        Raises ValueError for a row that is not a finite unit vector or a template that is there
        already, GalleryFullError where they would be too many.
        """
        wide = unit(rows, self._matrix.dim)
        if not len(persons) == len(templates) == len(set(templates)) == len(wide):
            raise ValueError("expected a person and a template of its own for each row")
        with self._lock:
            if not self._row.keys().isdisjoint(templates):
                raise ValueError("a template with this id is in the gallery already")
            if len(wide) > self._most_rows - self._matrix.count:
                raise GalleryFullError(f"the gallery holds at most {self._most_rows} templates")
            owner = np.array([self._slot_of(person) for person in persons], np.int64)
            first = self._matrix.count
            self._matrix.append(wide, owner)
            self._order.extend(templates)
            self._row.update(zip(templates, range(first, self._matrix.count), strict=True))
            for slot, template in zip(owner.tolist(), templates, strict=True):
                self._templates[slot].add(template)
                self._largest = max(self._largest, len(self._templates[slot]))
        wide.fill(0)

    def remove(self, template: TemplateId) -> None:
        """Zeroes one row. Raises ValueError where there is none."""
        with self._lock:
            if template not in self._row:
                raise ValueError("no template with this id is in the gallery")
            self._drop(template)

    def remove_person(self, person: PersonId) -> int:
        """Zeroes all rows of a person; returns how many there were."""
        with self._lock:
            templates = list(self._templates.get(self._slots.get(person, -1), ()))
            for template in templates:
                self._drop(template)
            return len(templates)

    def clear(self) -> None:
        """Zeroes every row."""
        with self._lock:
            self._matrix.clear()
            self._forget()

    def bitmap(self, persons: Collection[PersonId]) -> Bitmap:
        """These people, as far as they are here, as a filter for ``search``.

        The same frozenset asked for again, with nobody added since, costs nothing.
        """
        with self._lock:
            if self._filter is not None and self._filter[:2] == (persons, self._next):
                return self._filter[2]
            slots = [self._slots[person] for person in persons if person in self._slots]
            made = Bitmap(self, np.array(slots, np.int64), self._next)
            self._filter = None
            if isinstance(persons, frozenset):  # so that it cannot become another set
                self._filter = persons, self._next, made
            return made

    def use(self, prefilter: Prefilter | None) -> None:
        """Lets searches use a shortlist once it has proved itself; None ends that."""
        with self._lock:
            self._matrix.sign(None if prefilter is None else prefilter.frame)
            self._prefilter = prefilter

    def search(
        self, probes: ArrayLike, top: int = TOP, allowed: Bitmap | None = None, exact: bool = False
    ) -> Hits:
        """The ``top`` (at most TOP) persons by their best template, for (Q, E) unit probes.

        ``exact`` forbids the prefilter: so look for duplicates and for people on a list.
        """
        if not 1 <= top <= TOP:
            raise ValueError(f"top must be in 1..{TOP}, got {top}")
        wide = unit(probes, self._matrix.dim)
        if len(wide) == 0:
            raise ValueError("expected at least one probe")
        with self._lock:
            rows = None if allowed is None else allowed.covers(self, self._matrix["owner"])
            found = None if exact or len(wide) > SINGLES else self._short(wide, top, rows)
            sure = found is None
            if found is None:
                found = self._search(wide, top, rows)
        return Hits(
            persons=tuple(persons for persons, _, _ in found),
            scores=np.array([scores for _, scores, _ in found], np.float32),
            exact=sure,
        )

    def best(self, probe: ArrayLike, person: PersonId, fusion: int = 1) -> float:
        """How near a unit probe (E,) is to a person: the mean of the ``fusion`` best templates.

        Raises UnknownPersonError where that person has none.
        """
        wide = unit(np.asarray(probe)[None], self._matrix.dim)[0]
        with self._lock:
            templates = self._templates.get(self._slots.get(person, -1))
            if templates is None:
                raise UnknownPersonError("no template of this person is in the gallery")
            index = np.array([self._row[template] for template in templates], np.intp)
            scores = np.sort(scan.exact(self._matrix, index, wide))
        return float(scores[-fusion:].astype(np.float64).mean())

    def _forget(self) -> None:
        self._filter = None
        self._slots: dict[PersonId, int] = {}  # never used again for another person
        self._people: dict[int, PersonId] = {}
        self._templates: dict[int, set[TemplateId]] = {}
        self._row: dict[TemplateId, int] = {}
        self._order: list[TemplateId] = []  # of row 0, 1, 2 ...

    def _slot_of(self, person: PersonId) -> int:
        slot = self._slots.get(person)
        if slot is None:
            slot, self._next = self._next, self._next + 1
            self._slots[person], self._people[slot] = slot, person
            self._templates[slot] = set()
        return slot

    def _drop(self, template: TemplateId) -> None:
        row = self._row.pop(template)
        slot = int(self._matrix["owner"][row])
        last = self._order.pop()
        if self._matrix.drop(row) != row:
            self._order[row], self._row[last] = last, row
        self._templates[slot].remove(template)
        if not self._templates[slot]:
            del self._templates[slot], self._slots[self._people.pop(slot)]

    def _search(self, probes: Doubles, top: int, allowed: Mask | None) -> list[Found]:
        rows = None if allowed is None else np.flatnonzero(allowed)
        found = []
        for start in range(0, len(probes), scan.PROBES):
            part = probes[start : start + scan.PROBES]
            if (self._matrix.count if rows is None else len(rows)) <= FEW:
                index = np.arange(self._matrix.count) if rows is None else rows
                found += [self._rank(index, probe, top) for probe in part]
            else:
                needed = top * self._largest
                near = scan.contenders(self._matrix, part, needed, allowed)
                found += [self._rank(i, probe, top) for i, probe in zip(near, part, strict=True)]
        if self._prefilter is not None and allowed is None:
            for probe, (_, scores, best) in zip(probes, found, strict=True):
                matches = best[scores >= self._prefilter.threshold]
                self._prefilter.learn(self._matrix, probe, matches)
        return found

    def _short(self, probes: Doubles, top: int, allowed: Mask | None) -> list[Found] | None:
        """Answers from shortlists; None where they are not trusted, or too short."""
        if self._prefilter is None or not self._prefilter.ready(self._matrix.count):
            return None
        shortlist = self._prefilter.shortlist
        found = [
            self._rank(shortlist(self._matrix, probe, allowed), probe, top) for probe in probes
        ]
        return found if all(len(persons) == top for persons, _, _ in found) else None

    def _rank(self, index: scan.Index, probe: Doubles, top: int) -> Found:
        """The best persons among the rows ``index``, each with its best score and row."""
        scores, owner = scan.exact(self._matrix, index, probe), self._matrix["owner"][index]
        best: dict[int, int] = {}  # slot: where in index
        last = scan.NOBODY
        for at in np.argsort(-scores, kind="stable").tolist():
            if len(best) < top:
                last = scores[at]
            elif scores[at] < last:
                break  # not even equal to the last
            best.setdefault(int(owner[at]), at)
        order = sorted(best.items(), key=lambda one: (-scores[one[1]], self._people[one[0]]))[:top]
        places = [at for _, at in order]
        return tuple(self._people[slot] for slot, _ in order), scores[places], index[places]
