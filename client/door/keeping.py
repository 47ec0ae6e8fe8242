"""What a person may ask for (erasure, a copy, another term), and what an operator asks of people.

Guarantee: an erasure has a row before it, in case of a crash, and one after it, which its receipt
names; who is erased is in no gallery, under no ticket and in no session when the receipt leaves.
Somebody unknown and somebody erased are refused in the same words.
"""

from collections.abc import Collection
from typing import Any

from client.audit import receipts
from client.audit.events import Kind
from client.door.answers import Listed
from client.door.callers import Caller
from client.door.confirmations import Confirmations
from client.door.parts import Parts
from client.door.recording import Recorder
from client.door.retention import check_term, overdue
from client.door.sessions import Sessions
from client.door.steadiness import Steadiness
from client.vault.consent import Consent
from client.vault.identity import PersonId
from client.vault.labels import PURPOSE as LABELS
from client.vault.labels import Told
from client.vault.store import Erasure
from common.errors import ConsentError, UnknownPersonError, WireError
from common.trust.signed import Signed


class Keeping:
    """All that is done with what is kept of people; safe among threads."""

    def __init__(
        self, parts: Parts, recorder: Recorder, tickets: Confirmations, sessions: Sessions
    ) -> None:
        self._parts, self._recorder = parts, recorder
        self._tickets, self._sessions = tickets, sessions
        head = parts.log.head()
        self._steady = Steadiness(parts.clock, parts.uptime, head.at if head.index else None)

    def erase(self, caller: Caller, persons: Collection[bytes]) -> Signed:
        """Destroys all that is kept of ``persons``; the receipt is for them.

        ``UnknownPersonError`` if any of them is not enrolled, and then nobody is erased.
        """
        chosen = tuple(sorted({PersonId(person) for person in persons}))
        if not chosen:
            raise WireError("somebody is erased, or nothing is asked")
        with self._recorder.row(caller, Kind.ERASE) as note:
            subjects = [self._recorder.subject(person) for person in chosen]
            note.subject = subjects[0]
            erasure = self._destroy(caller, Kind.ERASE, chosen)
            note.reference = self._recorder.reference(None)
        return receipts.issue(
            erasure, subjects, note.index, self._parts.vault.site, self._parts.identity
        )

    def expire(self) -> None:
        """Erases whose consent has run out, in one rotation, by a clock that did not leap."""
        steady, due = self._steady.trusted(), overdue(self._parts.vault, self._parts.clock())
        if due and steady:
            with self._recorder.row(None, Kind.EXPIRE):
                self._destroy(None, Kind.EXPIRE, due)

    def export(self, caller: Caller, person: bytes) -> dict[str, Any]:
        """What is held of a person, for them to read."""
        with self._recorder.row(caller, Kind.EXPORT) as note:
            known = PersonId(person)
            note.subject = self._recorder.subject(known)
            return self._parts.vault.export(known)

    def renew(self, caller: Caller, person: bytes, consent: Consent) -> None:
        """Puts another consent in the place of the one there is, from now on."""
        now, known = self._parts.clock(), PersonId(person)
        check_term(consent, self._parts.rules, now)
        with self._recorder.row(caller, Kind.RENEW) as note:
            note.subject = self._recorder.subject(known)
            self._recorder.intend(caller, Kind.RENEW, note.subject)
            self._parts.vault.renew(known, consent, now=now)

    def relabel(self, caller: Caller, person: bytes, label: str) -> None:
        """Puts another word for a person in the place of the one there is; rows hold neither."""
        with self._recorder.row(caller, Kind.RELABEL) as note:
            known = PersonId(person)
            note.subject = self._recorder.subject(known)
            self._recorder.intend(caller, Kind.RELABEL, note.subject)
            self._parts.vault.relabel(known, label)

    def set_labels(self, caller: Caller, person: bytes, told: Told) -> None:
        """Says ``told`` of all pictures that are kept of a person, in place of what was said.

        ``ConsentError``, in the same words, for somebody unknown, erased, whose consent ran out,
        and who did not agree to labels. For what is not taken raises as ``LabelRules.kept``.
        """
        with self._recorder.row(caller, Kind.LABELS) as note:
            labels, now = self._parts.labels.kept(told), self._parts.clock()
            known = PersonId(person)
            try:
                if known not in self._parts.vault.people(purpose=LABELS, now=now):
                    raise UnknownPersonError
                note.subject = self._recorder.subject(known)
                self._recorder.intend(caller, Kind.LABELS, note.subject)
                if labels is None:
                    self._parts.vault.labels.take_away(known)
                else:
                    self._parts.vault.labels.put(known, labels, now=now)
            except (UnknownPersonError, ConsentError):  # also where it happens meanwhile
                raise ConsentError("nobody of this id agreed to labels") from None

    def people(self, caller: Caller, after: bytes, most: int) -> list[Listed]:
        """At most ``most`` people by their ids, from the first behind ``after``."""
        with self._recorder.row(caller, Kind.LIST):
            now = self._parts.clock()
            known = self._parts.vault.people(now=now) | self._parts.vault.expired(now)
            chosen = sorted(person for person in known if person > after)[: max(0, most)]
            return [one for person in chosen for one in self._listed(person)]

    def rotate(self, caller: Caller) -> None:
        """New keys for everybody."""
        with self._recorder.change(caller, Kind.ROTATE):
            self._parts.vault.rotate(self._parts.clock())

    def _listed(self, person: PersonId) -> list[Listed]:
        try:
            held = self._parts.vault.export(person)
        except UnknownPersonError:  # erased meanwhile
            return []
        one = Listed(
            person=person,
            label=held["label"],
            expires=held["expires"],
            templates=held["templates"],
            trunks=tuple(held["trunks"]),
        )
        return [one]

    def _destroy(self, caller: Caller | None, kind: Kind, persons: tuple[PersonId, ...]) -> Erasure:
        """Rows of what is going to happen, then keys, then what is in memory."""
        for person in persons:
            self._recorder.intend(caller, kind, self._recorder.subject(person))
        erasure = self._parts.vault.erase(persons, self._parts.clock())
        self._parts.releases.erased(persons)
        self._tickets.forget(persons)
        self._sessions.forget(persons)
        return erasure
