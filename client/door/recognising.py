"""Verify, identify, and the two people who confirm whom a search found.

Guarantee: who is unknown, erased, without consent for the question or beyond it gets the answer of
a stranger, after the same work. Whatever is answered has its row in the audit log first. What a
probe showed is zeroed before that.
Leaks: a band a question, to callers who may ask, as often as their budget allows.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from client.audit.events import Kind
from client.door.answers import Identification, State
from client.door.callers import Caller
from client.door.claims import Claims
from client.door.confirmations import Confirmations, Found
from client.door.galleries import Features
from client.door.parts import Parts
from client.door.recording import PENDING, UNKNOWN, Note, Recorder
from client.door.thresholds import Band
from client.vault.gallery import TOP
from client.vault.identity import PersonId
from common.errors import UnknownPersonError, WireError


class Recognising:
    """All questions of who somebody is; safe among threads."""

    def __init__(self, parts: Parts, recorder: Recorder, claims: Claims) -> None:
        self._parts, self._recorder = parts, recorder
        self._claims = claims
        self.tickets = Confirmations(parts.clock, parts.random)

    def verify(self, caller: Caller, person: bytes, picture: bytes) -> Band:
        """Whether ``picture`` shows ``person``: NO for whoever may not be compared."""
        with (
            self._claims.asked(caller, Kind.VERIFY, picture, person) as asked,
            self._seen(picture) as seen,
        ):
            return self._claims.band(asked, PersonId(person), seen, "verify")

    def identify(self, caller: Caller, picture: bytes, top: int) -> Identification:
        """Who of those who agreed to be searched for ``picture`` shows, if anybody."""
        if not 1 <= top <= TOP:
            raise WireError(f"1 to {TOP} people are named at most")
        if self._parts.rules.four_eyes:
            self.tickets.check_room(caller.name)
        with self._claims.asked(caller, Kind.IDENTIFY, picture) as asked:
            with self._seen(picture) as seen:
                allowed = self._covered("identify")
                found = tuple(asked.galleries.search(seen, top, allowed))
                if self._parts.rules.shadow:
                    self._parts.releases.observe(seen, None, allowed)
            return self._told(caller, found, asked.note)

    def review(self, caller: Caller, ticket: bytes) -> Identification:
        """The candidates, and the words for them, to one of the two who may confirm."""
        found = self._still(self.tickets.review(caller.name, ticket))
        with self._recorder.row(caller, Kind.CONFIRM) as note:
            note.outcome = PENDING
            labels = tuple(self._label(person) for person, _ in found)
        return Identification(ticket=ticket, state="pending", persons=found, labels=labels)

    def confirm(self, caller: Caller, ticket: bytes, person: bytes | None) -> None:
        """One of two words: this candidate, or nobody."""
        actor = self._recorder.actor
        with (
            self.tickets.voting(caller.name, ticket, person) as spoken,
            self._recorder.row(caller, Kind.CONFIRM) as note,
        ):
            if person is not None:
                with suppress(UnknownPersonError):
                    note.subject = self._recorder.subject(PersonId(person))
            note.outcome = spoken.state
            if spoken.state != "pending":
                note.actors = (actor(spoken.asker), *map(actor, spoken.votes))

    def outcome(self, caller: Caller, ticket: bytes) -> Identification:
        """What became of a ticket, to who asked."""
        going = self.tickets.outcome(caller.name, ticket)
        if going.state == "pending":
            return Identification(ticket=ticket, state="pending")
        persons = self._still(going.named())
        state: State = "confirmed" if persons else "unknown"
        if state != going.told:  # the same answer again has its row
            with self._recorder.row(caller, Kind.CONFIRM) as note:
                note.outcome = state
                with suppress(UnknownPersonError):
                    note.subject = self._recorder.subject(persons[0][0]) if persons else b""
            going.told = state
        return Identification(ticket=ticket, state=state, persons=persons)

    @contextmanager
    def _seen(self, picture: bytes) -> Iterator[Features]:
        """What the eye makes of a probe, zeroed after the block."""
        seen = self._parts.eye.see(picture)
        try:
            yield seen.features
        finally:
            seen.wipe()

    def _told(self, caller: Caller, found: Found, note: Note) -> Identification:
        """A search names somebody only by a match, and to nobody yet where two must confirm."""
        note.outcome = UNKNOWN
        if not found or found[0][1] != Band.MATCH:
            return Identification(ticket=b"", state="unknown")
        with suppress(UnknownPersonError):  # erased at this very moment
            note.subject = self._recorder.subject(found[0][0])
            if self._parts.rules.four_eyes:
                note.outcome = PENDING
                return Identification(ticket=self.tickets.open(caller.name, found), state="pending")
            note.outcome = Band.MATCH.value
            return Identification(ticket=b"", state="confirmed", persons=found)
        return Identification(ticket=b"", state="unknown")

    def _covered(self, purpose: str) -> frozenset[PersonId]:
        return self._parts.vault.people(purpose=purpose, now=self._parts.clock())

    def _still(self, found: Found) -> Found:
        """Those of ``found`` who may be named now."""
        covered = self._covered("identify")
        return tuple(one for one in found if one[0] in covered)

    def _label(self, person: PersonId) -> str:
        with suppress(UnknownPersonError):
            return self._parts.vault.label(person)
        return ""
