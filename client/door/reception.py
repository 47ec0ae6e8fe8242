"""The reception: all that can be asked at the door, by whom, and in which order it is answered.

Role, switch, budget, work, row, answer. What is behind lies in rooms of its own; here it is decided
who may go in.

Guarantee: no call is answered without its role; what is switched off in `site.toml` nobody may do;
whatever is told of people, or changed, has its row in the audit log before the answer leaves.
Leaks: refusals for want of a role or budget leave no row, for they say nothing of anybody.
"""

from collections.abc import Collection
from contextlib import suppress
from dataclasses import replace
from typing import Any

from client.audit.chain import AuditHead, Entry
from client.audit.events import Kind
from client.door.answers import (
    CalibrationTold,
    Described,
    Enrolled,
    Identification,
    Listed,
    Looked,
    LookedFor,
)
from client.door.calibrating import Target
from client.door.callers import Caller, Role
from client.door.claims import Claims
from client.door.describing import Describing
from client.door.enrolling import Enrolling
from client.door.keeping import Keeping
from client.door.parts import Parts
from client.door.recognising import Recognising
from client.door.recording import Recorder
from client.door.standing import ReleaseStatus
from client.door.thresholds import Band
from client.door.wording import Brought
from client.vault.consent import Consent
from client.vault.labels import NOTHING, Told
from common.errors import InsufficientCalibrationError, ModelError, RoleError
from common.evidence.bundle import HEADS
from common.models.tail import Tail
from common.text.vocabulary import Language
from common.trust.signed import Signed

MOST_LISTED = 10_000
MOST_ROWS = 1_000


class Reception:
    """Every method takes first who calls; safe among threads.

    All raise ``RoleError``, and ``AuditError`` where no row can be written.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._recorder = Recorder(parts.vault, parts.log, parts.clock)
        claims = Claims(parts, self._recorder)
        self._enrolling = Enrolling(parts, self._recorder, claims)
        self._recognising = Recognising(parts, self._recorder, claims)
        self._describing = Describing(parts, self._recorder, claims.budgets)
        self._keeping = Keeping(
            parts, self._recorder, self._recognising.tickets, self._enrolling.sessions
        )

    def begin(
        self, caller: Caller, consent: Consent | None, label: str = "", person: bytes = b""
    ) -> bytes:
        """Begins to enrol somebody, or ``person`` again; see ``Enrolling``. The id of a session of
        ten minutes."""
        _check(caller, Role.ENROL)
        return self._enrolling.begin(caller, consent, label, person)

    def look(self, caller: Caller, session: bytes, picture: bytes, told: Told = NOTHING) -> Looked:
        """Shows one picture of the person, of which so much is ``told``."""
        _check(caller, Role.ENROL)
        return self._enrolling.look(caller, session, picture, told)

    def commit(self, caller: Caller, session: bytes, despite_duplicate: bool = False) -> Enrolled:
        """Enrols the person; ``DuplicatePersonError`` for a likeness, unless a human insists."""
        _check(caller, Role.ENROL)
        return self._enrolling.commit(caller, session, despite_duplicate)

    def abort(self, caller: Caller, session: bytes) -> None:
        """Forgets what was shown."""
        _check(caller, Role.ENROL)
        self._enrolling.abort(caller, session)

    def verify(self, caller: Caller, person: bytes, picture: bytes) -> Band:
        """Whether the picture shows that person; a stranger's answer for whoever is not there."""
        _check(caller, Role.VERIFY)
        _check_switch(self._parts.rules.verify, "verify")
        return self._recognising.verify(caller, person, picture)

    def identify(self, caller: Caller, picture: bytes, top: int = 1) -> Identification:
        """Who the picture shows, if anybody; under four eyes a ticket."""
        _check(caller, Role.IDENTIFY)
        _check_switch(self._parts.rules.identify, "identify")
        return self._recognising.identify(caller, picture, top)

    def review(self, caller: Caller, ticket: bytes) -> Identification:
        """The candidates of a search, to one of the two who may confirm it."""
        _check(caller, Role.CONFIRM)
        return self._recognising.review(caller, ticket)

    def confirm(self, caller: Caller, ticket: bytes, person: bytes | None) -> None:
        """Says that it is this candidate, or nobody."""
        _check(caller, Role.CONFIRM)
        self._recognising.confirm(caller, ticket, person)

    def outcome(self, caller: Caller, ticket: bytes) -> Identification:
        """What two people said, to who asked."""
        _check(caller, Role.IDENTIFY)
        return self._recognising.outcome(caller, ticket)

    def describe(self, caller: Caller, picture: bytes, language: Language = "en") -> Described:
        """What is to be seen of the face in the picture; nobody is looked up."""
        _check(caller, Role.DESCRIBE)
        _check_switch(self._parts.rules.describe, "describe")
        return self._describing.describe(caller, picture, language)

    def search(self, caller: Caller, query: str, top: int = 5) -> LookedFor:
        """Who of those who agreed to `text` looks as ``query`` says."""
        _check(caller, Role.SEARCH)
        _check_switch(self._parts.rules.search, "search")
        return self._describing.search(caller, query, top)

    def erase(self, caller: Caller, persons: Collection[bytes]) -> Signed:
        """Destroys what is kept of people; a receipt. ``UnknownPersonError`` if one is not here."""
        _check(caller, Role.ERASE)
        return self._keeping.erase(caller, persons)

    def export(self, caller: Caller, person: bytes) -> dict[str, Any]:
        """What is held of a person; ``UnknownPersonError`` if nothing is."""
        _check(caller, Role.ERASE, Role.OPERATE)
        return self._keeping.export(caller, person)

    def renew(self, caller: Caller, person: bytes, consent: Consent) -> None:
        """Another consent in the place of the one there is: longer, or for less."""
        _check(caller, Role.OPERATE)
        self._keeping.renew(caller, person, consent)

    def relabel(self, caller: Caller, person: bytes, label: str) -> None:
        """Another word for a person in the place of the one there is."""
        _check(caller, Role.OPERATE)
        self._keeping.relabel(caller, person, label)

    def set_labels(self, caller: Caller, person: bytes, told: Told) -> None:
        """Says this of all pictures that are kept of a person; ``ConsentError`` unless somebody of
        this id is here who agreed to it."""
        _check(caller, Role.ENROL)
        self._keeping.set_labels(caller, person, told)

    def people(self, caller: Caller, after: bytes = b"", most: int = MOST_LISTED) -> list[Listed]:
        """Who is enrolled, by id, from the first behind ``after``."""
        _check(caller, Role.OPERATE)
        return self._keeping.people(caller, after, min(most, MOST_LISTED))

    def rotate(self, caller: Caller) -> None:
        """Puts everybody's keys under a new epoch."""
        _check(caller, Role.OPERATE)
        self._keeping.rotate(caller)

    def calibrate(self, caller: Caller, target: Target | None = None) -> CalibrationTold:
        """Fixes thresholds for ``target``, or for the rates of `site.toml`.

        ``InsufficientCalibrationError`` tells how many people are missing.
        """
        _check(caller, Role.OPERATE)
        rules, now = self._parts.rules, self._parts.clock()
        wanted = target or Target(fmr=rules.fmr, fpir=rules.fpir if rules.identify else None)
        with self._recorder.change(caller, Kind.CALIBRATE) as note:
            if self._parts.releases.galleries.active is None:
                self._check_next()  # the staged one begins to decide
            made = self._parts.releases.calibrate(wanted, now)
            note.reference = self._recorder.reference(made.release)
        return CalibrationTold(
            release=made.release, fmr=wanted.fmr, fpir=wanted.fpir, made=made.made
        )

    def stage(self, caller: Caller, tail: Tail, trunk: str) -> None:
        """Puts a tail beside the release that decides; ``ReleaseError`` if it does not fit, or if
        in a federation nobody vouches for it."""
        _check(caller, Role.OPERATE)
        with self._recorder.change(caller, Kind.STAGE) as note:
            note.reference = self._recorder.reference(tail.hash)
            self._parts.vouching.check_plain()
            self._parts.releases.stage(tail, trunk)

    def stage_signed(self, caller: Caller, content: bytes) -> None:
        """The same for the signed release in ``content``; its row has the whole digest."""
        _check(caller, Role.OPERATE)
        with self._recorder.change(caller, Kind.STAGE) as note:
            release = self._parts.vouching.read(content)
            tail = release.tail
            note.reference = f"{self._recorder.reference(tail.hash)}:{release.digest}"
            heads = release.files.get(HEADS)
            self._check_heads(heads, release.manifest.trunk)
            self._parts.releases.stage(tail, release.manifest.trunk, heads)

    def promote(self, caller: Caller) -> None:
        """Lets the staged release decide; ``ReleaseError`` if the centre put another in its
        place."""
        _check(caller, Role.OPERATE)
        with self._recorder.change(caller, Kind.PROMOTE) as note:
            self._check_next()
            self._parts.releases.promote()
            note.reference = self._recorder.reference(self._parts.releases.active.release)

    def rollback(self, caller: Caller) -> None:
        """Lets the release before it decide again; ``ReleaseError`` for one withdrawn since."""
        _check(caller, Role.OPERATE)
        with self._recorder.change(caller, Kind.ROLLBACK) as note:
            before = self._parts.releases.before
            if before is not None:
                self._parts.vouching.check_back(before.release, before.heads or "")
            self._parts.releases.rollback()
            note.reference = self._recorder.reference(self._parts.releases.active.release)

    def unstage(self, caller: Caller) -> None:
        """Takes the staged release away."""
        _check(caller, Role.OPERATE)
        with self._recorder.change(caller, Kind.STAGE) as note:
            self._parts.releases.unstage()
            note.outcome = "undone"

    def retire(self, caller: Caller) -> None:
        """Lets the old trunk go, with all features of it; ``ReleaseError`` while it is needed."""
        _check(caller, Role.OPERATE)
        with self._recorder.change(caller, Kind.PROMOTE) as note:
            self._parts.releases.retire()
            note.reference = self._recorder.reference(self._parts.releases.active.release)
            note.outcome = "retired"

    def status(self, caller: Caller) -> ReleaseStatus:
        """Which release decides, how the staged one would, and which heads are read."""
        _check(caller, Role.OPERATE)
        told, read = self._parts.releases.status(), None
        if self._parts.rules.describes:
            with suppress(ModelError):  # of an encoder that is gone: nothing is read then
                read = self._parts.words.now(self._parts.releases.brought)
        return told if read is None else replace(told, heads=read.name, kinds=read.kinds)

    def audit_head(self, caller: Caller) -> AuditHead:
        """The signed end of the log."""
        _check(caller, Role.AUDIT)
        return self._parts.log.head()

    def audit_rows(self, caller: Caller, after: int = 0, most: int = MOST_ROWS) -> list[Entry]:
        """Rows behind number ``after``; looking at them is a row, too."""
        _check(caller, Role.AUDIT)
        with self._recorder.row(caller, Kind.AUDIT):
            return list(self._parts.log.entries(after, min(most, MOST_ROWS)))

    def tidy(self) -> None:
        """Erases whose consent has run out, and forgets sessions and tickets that are over.

        Thresholds that the people enrolled have outgrown are fixed again.
        """
        self._enrolling.sessions.tidy()
        self._recognising.tickets.tidy()
        self._keeping.expire()
        if self._parts.releases.due:
            with self._recorder.change(None, Kind.CALIBRATE) as note:
                if not self._parts.releases.tend():
                    note.outcome = InsufficientCalibrationError.reason

    def close(self) -> None:
        """Forgets every session and ticket; nothing of them outlives the door."""
        self._enrolling.sessions.close()
        self._recognising.tickets.close()

    def _check_next(self) -> None:
        staged = self._parts.releases.staged
        if staged is not None:
            self._parts.vouching.check_next(staged.release, staged.heads)

    def _check_heads(self, heads: bytes | None, trunk: str) -> None:
        """``ReleaseError`` for heads that this site, which would read by them, cannot read."""
        if heads is not None and self._parts.rules.describes:
            self._parts.words.check(Brought.of(heads, trunk))


def _check(caller: Caller, *roles: Role) -> None:
    if caller.roles.isdisjoint(roles):
        raise RoleError(f"this caller may not do that; its role would be {roles[0]}")


def _check_switch(on: bool, name: str) -> None:
    if not on:
        raise RoleError(f"[door] {name} is switched off in site.toml")
