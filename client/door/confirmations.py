"""Four eyes: whom a search found is told to nobody before two people have said so, each alone.

Guarantee (Regulation (EU) 2024/1689, Article 14(5)): a ticket is confirmed by two callers of
different names, neither of them the one who asked, who both looked and both named the same person.
Whoever spoke cannot speak again or take it back, sees nothing of what another said, and one of them
who says "nobody", or names another, ends it: then it is nobody.
Leaks: ``pending`` tells who asked that the face looks like somebody's. Two callers stand for two
people only where the site gives each person a token of their own.
"""

import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from client.door.answers import State
from client.door.thresholds import Band
from client.vault.identity import BYTES, PersonId, Random
from common.errors import BusyError, OpenLimitError, RoleError, SessionError, WireError

LIFE = 600.0  # seconds
MOST = 256  # open at once
OWN = 32  # of them, of one who asks: no caller keeps the others from searching
EYES = 2  # pairs of them

Found = tuple[tuple[PersonId, Band], ...]


@dataclass(eq=False, repr=False, slots=True)
class Ticket:
    """One search that waits. ``votes`` are by the caller's name; None is a vote for nobody."""

    asker: str
    began: float
    found: Found
    looked: set[str] = field(default_factory=set)
    votes: dict[str, PersonId | None] = field(default_factory=dict)
    told: State = "pending"  # what the asker was told last

    @property
    def state(self) -> State:
        """Confirmed by equal votes for somebody, unknown by any others, pending before."""
        if len(self.votes) < EYES:
            return "pending"
        first, *others = self.votes.values()
        agreed = first is not None and all(vote == first for vote in others)
        return "confirmed" if agreed else "unknown"

    def named(self) -> Found:
        """Whom the votes name."""
        if self.state != "confirmed":
            return ()
        person = next(iter(self.votes.values()))
        return tuple(one for one in self.found if one[0] == person)


class Confirmations:
    """All tickets that are open, in memory alone; safe among threads."""

    def __init__(self, clock: Callable[[], float], random: Random) -> None:
        self._clock, self._random = clock, random
        self._lock = threading.Lock()
        self._open: dict[bytes, Ticket] = {}

    def __len__(self) -> int:
        with self._lock:
            return len(self._open)

    def check_room(self, asker: str) -> None:
        """``BusyError`` where no further ticket may be opened, ``OpenLimitError`` where ``OWN`` of
        what this caller asked wait for two people."""
        self.tidy()
        with self._lock:
            self._check_room(asker)

    def open(self, asker: str, found: Found) -> bytes:
        """The id of a new one; raises as ``check_room``."""
        with self._lock:
            self._check_room(asker)
            made = self._random(BYTES)
            self._open[made] = Ticket(asker, self._clock(), found)
            return made

    def review(self, name: str, ticket: bytes) -> Found:
        """The candidates, to one who may confirm; ``RoleError`` to who asked or spoke already."""
        with self._lock:
            found = self._for_other(name, ticket)
            found.looked.add(name)
            return found.found

    @contextmanager
    def voting(self, name: str, ticket: bytes, person: bytes | None) -> Iterator[Ticket]:
        """The ticket as it is once ``name`` has spoken; nothing was said if the block fails.

        ``RoleError`` for one who did not look, ``WireError`` for a person who is not under review.
        """
        with self._lock:
            found = self._for_other(name, ticket)
            if name not in found.looked:
                raise RoleError("look at the candidates first, then confirm")
            said = None if person is None else _among(found.found, person)
            spoken = Ticket(found.asker, found.began, found.found, found.looked)
            spoken.votes = {**found.votes, name: said}
            yield spoken
            found.votes = spoken.votes

    def outcome(self, name: str, ticket: bytes) -> Ticket:
        """The ticket, for who asked; ``SessionError`` for anybody else."""
        with self._lock:
            found = self._alive(ticket)
            if found.asker != name:
                raise _none()
            return found

    def forget(self, persons: Collection[PersonId]) -> None:
        """Takes everybody of ``persons`` out of every ticket."""
        gone = frozenset(persons)
        with self._lock:
            for ticket in self._open.values():
                ticket.found = tuple(one for one in ticket.found if one[0] not in gone)
                ticket.votes = {
                    name: None if vote in gone else vote for name, vote in ticket.votes.items()
                }

    def close(self) -> None:
        """Forgets all of them."""
        with self._lock:
            self._open.clear()

    def tidy(self) -> None:
        """Forgets those that are over."""
        with self._lock:
            now = self._clock()
            over = [made for made, ticket in self._open.items() if not _alive(ticket, now)]
            for made in over:
                del self._open[made]

    def _check_room(self, asker: str) -> None:
        waiting = [one for one in self._open.values() if one.state == "pending"]
        if sum(one.asker == asker for one in waiting) >= OWN:
            raise OpenLimitError(
                f"{OWN} searches of yours wait for two people: have some confirmed"
            )
        if len(self._open) >= MOST:
            raise BusyError("too many searches wait for two people: have some confirmed first")

    def _for_other(self, name: str, ticket: bytes) -> Ticket:
        found = self._alive(ticket)
        if name == found.asker or name in found.votes:
            raise RoleError("two others confirm: neither who asked, nor anybody twice")
        if len(found.votes) >= EYES:
            raise _none()
        return found

    def _alive(self, ticket: bytes) -> Ticket:
        found = self._open.get(ticket)
        if found is None or not _alive(found, self._clock()):
            raise _none()
        return found


def _alive(ticket: Ticket, now: float) -> bool:
    return ticket.began <= now < ticket.began + LIFE


def _among(found: Found, person: bytes) -> PersonId:
    for known, _ in found:
        if known == person:
            return known
    raise WireError("a person is confirmed who is one of the candidates, or nobody")


def _none() -> SessionError:
    return SessionError("no search of yours waits under this ticket: it may be over")
