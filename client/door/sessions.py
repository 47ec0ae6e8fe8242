"""Enrolments that are under way: in memory, for ten minutes, and then as if they had never been.

Guarantee: a session belongs to the caller who began it, and to nobody else there is none. When it
is committed, aborted or over, the numbers it held are zeroed and nothing refers to them any more;
``tidy`` sees to those that nobody comes back to. What is held of somebody who is erased is zeroed.
"""

import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from client.door.eye import Seen
from client.vault.consent import Consent
from client.vault.identity import BYTES, PersonId, Random
from client.vault.labels import Labels
from common.errors import BusyError, OpenLimitError, SessionError

LIFE = 600.0  # seconds
MOST = 32  # open at once
OWN = 8  # of them, of one caller: no caller keeps the others from enrolling


@dataclass(eq=False, repr=False, slots=True)
class Session:
    """One enrolment. Held by one call at a time. ``person`` is somebody enrolled who comes again,
    and who has a consent and a label."""

    owner: str
    consent: Consent | None
    label: str
    person: PersonId | None
    began: float
    seen: list[Seen] = field(default_factory=list)
    said: list[Labels | None] = field(default_factory=list)  # of what was seen, one by one
    closed: bool = False
    busy: threading.Lock = field(default_factory=threading.Lock)

    def alive(self, now: float) -> bool:
        """Whether it may be used at ``now``; one from the future is over."""
        return not self.closed and self.began <= now < self.began + LIFE

    def wipe(self) -> None:
        """Zeroes what was seen, and forgets what was said of it."""
        for one in self.seen:
            one.wipe()
        self.said = [None] * len(self.said)

    def close(self) -> None:
        """Zeroes and forgets what was seen."""
        self.wipe()
        self.seen.clear()
        self.said.clear()
        self.label, self.closed = "", True


class Sessions:
    """All that are open; safe among threads."""

    def __init__(self, clock: Callable[[], float], random: Random) -> None:
        self._clock, self._random = clock, random
        self._lock = threading.Lock()
        self._open: dict[bytes, Session] = {}

    def __len__(self) -> int:
        with self._lock:
            return len(self._open)

    def begin(
        self, owner: str, consent: Consent | None, label: str, person: PersonId | None = None
    ) -> bytes:
        """The id of a new one; ``BusyError`` where ``MOST`` are open, ``OpenLimitError`` where
        ``OWN`` are this owner's."""
        self.tidy()
        with self._lock:
            if sum(one.owner == owner for one in self._open.values()) >= OWN:
                raise OpenLimitError(f"{OWN} enrolments of yours are open: finish one first")
            if len(self._open) >= MOST:
                raise BusyError(f"{MOST} enrolments are under way: finish one, or wait")
            made = self._random(BYTES)
            self._open[made] = Session(owner, consent, label, person, self._clock())
            return made

    @contextmanager
    def using(self, owner: str, session: bytes) -> Iterator[Session]:
        """The session, for this call alone; ``SessionError`` unless it is ``owner``'s and open."""
        with self._lock:
            found = self._open.get(session)
        if found is None or found.owner != owner:
            raise SessionError("no enrolment of yours is open under this id: begin another")
        try:
            with found.busy:
                if not found.alive(self._clock()):
                    raise SessionError("no enrolment of yours is open under this id: begin another")
                yield found
        finally:
            self.tidy()

    def forget(self, persons: Collection[PersonId]) -> None:
        """Zeroes what was seen of everybody of ``persons`` who came again, once a call that uses it
        ends. Their sessions stay, and end as a stranger's do."""
        gone = frozenset(persons)
        with self._lock:
            going = [one for one in self._open.values() if one.person in gone]
        for session in going:
            with session.busy:
                session.wipe()

    def close(self) -> None:
        """Ends all of them; one that is in use, once its call does."""
        with self._lock:
            going = list(self._open.values())
            self._open.clear()
        for session in going:
            with session.busy:
                session.close()

    def tidy(self) -> None:
        """Ends those that are over; one that is in use ends when its call does."""
        with self._lock:
            now = self._clock()
            for made, session in list(self._open.items()):
                if not session.alive(now) and session.busy.acquire(blocking=False):
                    try:
                        session.close()
                    finally:
                        session.busy.release()
                    del self._open[made]
