"""Enrolment: pictures of one person, each good enough and like the others, by their consent.

Guarantee: nobody is enrolled without a consent in force, no longer than the site's rule, and three
good pictures of what looks like one person; all of it is kept, with its row in the log, or nothing.
Leaks: to whoever may enrol, one bit a commit: that the person looks like somebody enrolled. Of whom
is not said.
"""

from collections.abc import Sequence
from contextlib import suppress

import numpy as np

from client.audit.events import Kind
from client.door.answers import Enrolled, Looked
from client.door.callers import Caller
from client.door.eye import Seen
from client.door.parts import Parts
from client.door.recording import DONE, Recorder
from client.door.retention import check_term
from client.door.sessions import Session, Sessions
from client.door.thresholds import Band
from client.vault.consent import Consent
from client.vault.identity import PersonId, new_person
from client.vault.records import NewTemplate, Particulars
from common.errors import (
    DuplicatePersonError,
    MascaronError,
    NotReadyError,
    PictureError,
    QualityError,
)

INSISTED = "done_despite_duplicate"  # outcome of a commit that a human insisted on
UNLIKE, TOO_MANY, TOO_FEW = "unlike_the_others", "too_many_pictures", "too_few_pictures"


class Enrolling:
    """Begin, look, commit or abort; safe among threads."""

    def __init__(self, parts: Parts, recorder: Recorder) -> None:
        self._parts, self._recorder = parts, recorder
        self.sessions = Sessions(parts.clock, parts.random)

    def begin(self, caller: Caller, consent: Consent, label: str) -> bytes:
        """The id of a session; ``ConsentError`` or ``ModelError`` for what could not be kept."""
        now = self._parts.clock()
        check_term(consent, self._parts.rules, now)
        Particulars(consent, now, label)  # so that a label that cannot be kept is refused now
        return self.sessions.begin(caller.name, consent, label)

    def look(self, caller: Caller, session: bytes, picture: bytes) -> Looked:
        """Takes one picture, or says why not; a picture that is refused changes nothing."""
        rules = self._parts.rules
        with self.sessions.using(caller.name, session) as going:
            taken = len(going.seen)
            if taken >= rules.most_pictures:
                return Looked(accepted=False, reasons=(TOO_MANY,), pictures=taken)
            try:
                seen = self._parts.eye.see(picture, rules.enrol_quality)
            except QualityError as error:
                reasons: tuple[str, ...] = error.reasons or (error.reason.lower(),)
                return Looked(accepted=False, reasons=reasons, pictures=taken)
            except PictureError as error:
                reasons = (error.reason.lower(),)
                return Looked(accepted=False, reasons=reasons, pictures=taken)
            if self._unlike(seen, going.seen):
                seen.wipe()
                return Looked(accepted=False, reasons=(UNLIKE,), pictures=taken)
            going.seen.append(seen)
            return Looked(accepted=True, reasons=seen.quality.reasons, pictures=taken + 1)

    def commit(self, caller: Caller, session: bytes, despite_duplicate: bool) -> Enrolled:
        """Enrols the person and ends the session, which an error leaves open.

        ``DuplicatePersonError`` if they look like somebody enrolled and nobody insists;
        ``QualityError`` with too few pictures.
        """
        least, person = self._parts.rules.least_pictures, new_person(self._parts.random)
        kept = False
        with self.sessions.using(caller.name, session) as going:
            if len(going.seen) < least:
                raise QualityError(f"an enrolment takes {least} pictures or more", (TOO_FEW,))
            try:
                with self._recorder.change(caller, Kind.ENROL) as note:
                    note.reference = self._recorder.reference(self._release())
                    duplicate = self._duplicate(going.seen)
                    if duplicate and not despite_duplicate:
                        raise DuplicatePersonError("this looks like somebody who is enrolled")
                    self._keep(person, going)
                    kept = True
                    self._parts.releases.enrolled(person)
                    note.subject = self._recorder.subject(person)
                    note.outcome = INSISTED if duplicate else DONE
            except BaseException:
                if kept:
                    self._undo(person)
                raise
            going.close()
        return Enrolled(person=person, checked=duplicate is not None)

    def abort(self, caller: Caller, session: bytes) -> None:
        """Ends the session; nothing was kept."""
        with self.sessions.using(caller.name, session) as going:
            going.close()

    def _keep(self, person: PersonId, going: Session) -> None:
        templates = [
            NewTemplate(trunk=trunk, feature=feature.astype(np.float16), quality=one.quality.score)
            for one in going.seen
            for trunk, feature in one.features.items()
        ]
        now = self._parts.clock()
        check_term(going.consent, self._parts.rules, now)
        try:
            self._parts.vault.enrol(person, templates, going.consent, now=now, label=going.label)
        finally:
            for template in templates:
                template.feature.fill(0)

    def _undo(self, person: PersonId) -> None:
        """Nobody was told of this person, and no row tells: nobody of that id was enrolled."""
        with suppress(MascaronError):
            self._parts.vault.erase([person], self._parts.clock())
        self._parts.releases.erased([person])

    def _unlike(self, seen: Seen, others: Sequence[Seen]) -> bool:
        """Whether no other picture shows the same person, as far as anything is calibrated."""
        serving = self._parts.releases.galleries.active
        if serving is None or serving.calibration is None or not others:
            return False
        if serving.trunk not in seen.features:
            return False
        rows = serving.embed(np.stack([one.features[serving.trunk] for one in (seen, *others)]))
        decide = serving.calibration.decide
        unlike = all(decide(score) == Band.NO for score in (rows[1:] @ rows[0]).tolist())
        rows.fill(0)
        return unlike

    def _duplicate(self, seen: Sequence[Seen]) -> bool | None:
        """Whether any picture looks like somebody enrolled; None where nothing can tell yet."""
        galleries = self._parts.releases.galleries
        try:
            return any(galleries.resembles(one.features) for one in seen)
        except NotReadyError:
            return None

    def _release(self) -> str | None:
        active = self._parts.releases.galleries.active
        return None if active is None else active.release
