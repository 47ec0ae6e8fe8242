"""The release that is staged, tried on the probes of the day: how often would it answer otherwise?

Each probe is decided by both. What is kept is how often which answers met: no probe, no person, no
score, no order of events.
"""

import threading
from collections import Counter
from collections.abc import Collection

from client.door.galleries import Features, Galleries
from client.door.serving import Serving
from client.door.thresholds import Band
from client.vault.identity import PersonId
from common.errors import UnknownPersonError

Answer = tuple[Band, PersonId | None]
Change = tuple[Band, Band, int]  # the active answer, the staged one, and for how many probes


class Shadow:
    """Counts of agreement since the release was staged, in memory alone; safe among threads.

    Leaks: to the operator, how many probes came by while a release was staged, and in how many of
    them the releases differed.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._alike = 0
        self._changed: Counter[tuple[Band, Band]] = Counter()

    @property
    def probes(self) -> int:
        with self._lock:
            return self._alike + self._changed.total()

    @property
    def alike(self) -> float | None:
        """The share of probes that both answered alike; None before the first."""
        with self._lock:
            probes = self._alike + self._changed.total()
            return self._alike / probes if probes else None

    @property
    def changes(self) -> tuple[Change, ...]:
        """How many probes are answered otherwise, the most frequent change first.

        Two equal bands: as sure as before, of somebody else.
        """
        with self._lock:
            return tuple((old, new, count) for (old, new), count in self._changed.most_common())

    def note(self, active: Answer, staged: Answer) -> None:
        """Counts one probe."""
        with self._lock:
            if active == staged:
                self._alike += 1
            else:
                self._changed[active[0], staged[0]] += 1


def answers(
    galleries: Galleries,
    seen: Features,
    person: PersonId | None,
    allowed: Collection[PersonId] | None,
) -> tuple[Answer, Answer] | None:
    """What the active and the staged release say of one picture; None where one cannot be asked.

    ``person`` is who the picture claims to show; None for a search among ``allowed`` (None: all).
    Under another trunk only people are asked about who were enrolled again.
    """
    active, staged = galleries.active, galleries.staged
    if active is None or staged is None or not seen.keys() >= {active.trunk, staged.trunk}:
        return None
    both = [one.calibration for one in (active, staged)]
    if any(found is None or (person is None and found.search is None) for found in both):
        return None
    if person is not None:
        return _claim(active, staged, seen, person)
    if allowed is not None or active.trunk != staged.trunk:
        known = active.gallery.people & staged.gallery.people
        allowed = known if allowed is None else known.intersection(allowed)
    return _best(active, seen, allowed), _best(staged, seen, allowed)


def _claim(
    active: Serving, staged: Serving, seen: Features, person: PersonId
) -> tuple[Answer, Answer] | None:
    try:
        old, new = (one.verify(seen[one.trunk], person) for one in (active, staged))
    except UnknownPersonError:
        return None
    return (old, person), (new, person)


def _best(serving: Serving, seen: Features, allowed: Collection[PersonId] | None) -> Answer:
    chosen = None if allowed is None else serving.filter(allowed)
    found = serving.search(seen[serving.trunk], 1, chosen)
    return (found[0][1], found[0][0]) if found else (Band.NO, None)
