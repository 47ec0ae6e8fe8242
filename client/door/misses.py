"""How often somebody may be claimed to be there and not be: then the claim is left alone for a day.

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
    """The last day's answers other than a match, by whom they were about; safe among threads.

    Guarantee: of any day no more than ``most`` answers about one id are not a match, whoever asks
    and whether anybody has that id or not. Kept in memory only: a restart, which no caller can
    cause, forgets them.
    Leaks: to a caller, that others asked about this id as well. Who holds a token can keep somebody
    from being verified for a day.
    """

    def __init__(self, clock: Callable[[], float], most: int) -> None:
        self._clock, self._most = clock, most
        self._lock = threading.Lock()
        self._missed: dict[bytes, deque[float]] = {}
        self._under_way: Counter[bytes] = Counter()

    @contextmanager
    def claim(self, person: bytes) -> Iterator[Claim]:
        """Lets the block answer one claim to be ``person``; ``QueryBudgetError`` for one too many.

        Until the block has said that it is a match it may be a miss, and counts as one.
        """
        name, claim = hashlib.sha256(person).digest(), Claim()
        with self._lock:
            self._forget()
            if len(self._missed.get(name, ())) + self._under_way[name] >= self._most:
                log.warning("one claim failed %d times in a day: is somebody trying?", self._most)
                raise QueryBudgetError("this claim failed too often today: wait, or look yourself")
            self._under_way[name] += 1
        try:
            yield claim
        finally:
            with self._lock:
                self._under_way[name] -= 1
                if not self._under_way[name]:
                    del self._under_way[name]
                if claim.band not in (None, Band.MATCH):
                    self._missed.setdefault(name, deque()).append(self._clock())

    def _forget(self) -> None:
        """Drops what is older than a day; what is kept is bounded by what callers may ask."""
        since = self._clock() - DAY
        for name in [name for name, times in self._missed.items() if times[-1] <= since]:
            del self._missed[name]
        for times in self._missed.values():
            while times[0] <= since:
                times.popleft()
