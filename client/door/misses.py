"""How often one claim may be made in a day, and how often it may fail: then it is left alone.

A caller that chooses its pictures learns about one bit of a template an answer, so budgets of
callers, which are for a whole door's day, are no wall around one person. This is: a claim that
fails again and again is no door's day.
"""

import hashlib
import logging
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from client.door.thresholds import Band
from common.errors import QueryBudgetError

DAY = 86_400.0  # seconds

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Claim:
    """One question under way; ``band`` is its answer, once there is one."""

    band: Band | None = None


class Misses:
    """The last day's answers by whom they were about; safe among threads.

    Guarantee: of any day no more than ``claims`` answers are about one id, and no more than
    ``misses`` of them are not a match, whoever asks and whether anybody has that id or not. Kept in
    memory only: a restart, which no caller can cause, forgets them.
    Leaks: to a caller, that others asked about this id as well. Who holds a token can keep somebody
    from being verified for a day.
    """

    def __init__(self, clock: Callable[[], float], misses: int, claims: int) -> None:
        self._clock, self._most, self._all = clock, misses, claims
        self._lock = threading.Lock()
        self._asked: dict[bytes, deque[tuple[float, bool]]] = {}  # when, and whether it was a miss
        self._under_way: Counter[bytes] = Counter()

    @contextmanager
    def claim(self, person: bytes) -> Iterator[Claim]:
        """Lets the block answer one claim to be ``person``; ``QueryBudgetError`` for one too many.

        Until the block has said that it is a match it may be a miss, and counts as one.
        """
        name, claim = hashlib.sha256(person).digest(), Claim()
        with self._lock:
            self._forget()
            self._check(name)
            self._under_way[name] += 1
        try:
            yield claim
        finally:
            with self._lock:
                self._under_way[name] -= 1
                if not self._under_way[name]:
                    del self._under_way[name]
                if claim.band is not None:
                    answer = self._clock(), claim.band is not Band.MATCH
                    self._asked.setdefault(name, deque()).append(answer)

    def _check(self, name: bytes) -> None:
        asked, going = self._asked.get(name, ()), self._under_way[name]
        missed = sum(miss for _, miss in asked)
        if missed + going >= self._most or len(asked) + going >= self._all:
            log.warning("one claim was made too often in a day: is somebody trying?")
            raise QueryBudgetError("this claim was made too often today: wait, or look yourself")

    def _forget(self) -> None:
        """Drops what is older than a day; what is kept is bounded by what callers may ask."""
        since = self._clock() - DAY
        for name in [name for name, asked in self._asked.items() if asked[-1][0] <= since]:
            del self._asked[name]
        for asked in self._asked.values():
            while asked[0][0] <= since:
                asked.popleft()
