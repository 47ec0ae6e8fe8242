"""Enrolment: pictures of one person, each good enough and like the others, by their consent.

Somebody enrolled may come again: for a new trunk, or because faces change. Id, consent and label
stay; new templates push out the oldest. What is said of a picture is kept with it, of who agreed.

Guarantee: nobody is enrolled without a consent in force, no longer than the site's rule, and three
good pictures of what looks like one person; all of it is kept, with its row in the log, or nothing.
Nobody takes an id over: each new picture is at least near to who has it, most are a match, and each
is a question with its budget and its row. An id that is nobody's is refused as a stranger is.
Leaks: to whoever may enrol, one bit a commit: that the person looks like somebody enrolled. Of whom
is not said. Of somebody who comes again, whether a picture is a no, and at the end whether most are
a match; and then, where labels came with them, whether they agreed to any. Pictures that drift
slowly enough change who an id stands for, as faces do.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import numpy as np

from client.audit.events import Kind
from client.door.answers import Enrolled, Looked
from client.door.callers import Caller
from client.door.claims import Claims
from client.door.eye import Seen
from client.door.parts import Parts
from client.door.recording import DONE, Recorder
from client.door.retention import check_term
from client.door.sessions import Session, Sessions
from client.door.thresholds import Band
from client.vault.consent import Consent
from client.vault.identity import PersonId, new_person
from client.vault.labelling import check_covered
from client.vault.labels import PURPOSE as LABELS
from client.vault.labels import Told
from client.vault.records import NewTemplate, Particulars
from common.errors import (
    ConsentError,
    DuplicatePersonError,
    MascaronError,
    NotReadyError,
    PictureError,
    QualityError,
    UnknownPersonError,
    WireError,
)

INSISTED = "done_despite_duplicate"  # outcome of a commit that a human insisted on
AGAIN = "done_again"  # outcome of a commit of somebody who was enrolled
UNLIKE_PERSON = "unlike_the_person"
UNLIKE, TOO_MANY, TOO_FEW = "unlike_the_others", "too_many_pictures", "too_few_pictures"


class Enrolling:
    """Begin, look, commit or abort; safe among threads."""

    def __init__(self, parts: Parts, recorder: Recorder, claims: Claims) -> None:
        self._parts, self._recorder, self._claims = parts, recorder, claims
        self.sessions = Sessions(parts.clock, parts.random)

    def begin(self, caller: Caller, consent: Consent | None, label: str, person: bytes) -> bytes:
        """The id of a session, for a new person or, with neither consent nor label, ``person``.

        ``ConsentError`` or ``ModelError`` for what could not be kept. That somebody enrolled is
        not, is told by none of this.
        """
        if person:
            if consent is not None or label:
                raise WireError("who comes again keeps consent and label: name neither")
            return self.sessions.begin(caller.name, None, "", PersonId(person))
        if consent is None:
            raise ConsentError("nobody is enrolled without a consent")
        now = self._parts.clock()
        check_term(consent, self._parts.rules, now)
        Particulars(consent, now, label)  # so that a label that cannot be kept is refused now
        return self.sessions.begin(caller.name, consent, label)

    def look(self, caller: Caller, session: bytes, picture: bytes, told: Told) -> Looked:
        """Takes one picture and what is ``told`` of it, or says why not; a picture that is refused
        changes nothing.

        Of somebody who comes again each picture is a question, and raises as ``Claims.asked``. For
        labels that are not taken raises as ``LabelRules.kept``, and ``ConsentError`` where the
        consent of a new person does not cover any.
        """
        with self.sessions.using(caller.name, session) as going:
            labels, taken = self._parts.labels.kept(told), len(going.seen)
            if labels is not None and going.consent is not None:
                check_covered(going.consent, self._parts.clock())
            if taken >= self._parts.rules.most_pictures:
                return Looked(accepted=False, reasons=(TOO_MANY,), pictures=taken)
            try:
                seen = self._seen(caller, going, picture)
            except QualityError as error:
                reasons: tuple[str, ...] = error.reasons or (error.reason.lower(),)
                return Looked(accepted=False, reasons=reasons, pictures=taken)
            except PictureError as error:
                reasons = (error.reason.lower(),)
                return Looked(accepted=False, reasons=reasons, pictures=taken)
            going.seen.append(seen)
            going.said.append(labels)
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
            if going.person is not None:
                return self._commit_again(caller, going, going.person)
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

    def _seen(self, caller: Caller, going: Session, picture: bytes) -> Seen:
        """One picture that may be kept; ``QualityError`` for one that is unlike."""
        if going.person is not None:
            return self._seen_again(caller, going.person, picture)
        seen = self._parts.eye.see(picture, self._parts.rules.enrol_quality)
        with _wiped([seen]):
            if self._unlike(seen, going.seen):
                raise QualityError("the picture is unlike those before it", (UNLIKE,))
        return seen

    def _seen_again(self, caller: Caller, person: PersonId, picture: bytes) -> Seen:
        shown: list[Seen] = []
        with _wiped(shown):
            with self._claims.asked(caller, Kind.VERIFY, picture, person) as asked:
                shown.append(self._parts.eye.see(picture, self._parts.rules.enrol_quality))
                band = self._claims.band(asked, person, shown[0].features, None)
            if band == Band.NO:
                raise _unlike_the_person()
        return shown[0]

    def _commit_again(self, caller: Caller, going: Session, person: PersonId) -> Enrolled:
        """Adds what was shown to somebody's templates. What cannot be told from an error of theirs
        is refused in the words for a stranger: who was erased, or whose consent ran out.
        ``ConsentError`` for labels of who did not agree to any."""
        with self._recorder.row(caller, Kind.ENROL) as note:
            note.reference = self._recorder.reference(self._release())
            if not self._claims.all_of(person, [one.features for one in going.seen]):
                raise _unlike_the_person()
            try:
                note.subject = self._recorder.subject(person)
                agreed = self._agreed(person, going)
                if agreed:
                    self._recorder.intend(caller, Kind.ENROL, note.subject)
                    self._refresh(person, going)
            except (UnknownPersonError, ConsentError):
                raise _unlike_the_person() from None
            if not agreed:
                raise ConsentError("they did not agree to labels: leave these out, or ask them")
            self._parts.releases.enrolled(person)
            note.outcome = AGAIN
        going.close()
        return Enrolled(person=person, checked=True)

    def _keep(self, person: PersonId, going: Session) -> None:
        now, consent = self._parts.clock(), going.consent
        if consent is None:
            raise ConsentError("nobody is enrolled without a consent")
        check_term(consent, self._parts.rules, now)
        with self._templates(going) as templates:
            self._parts.vault.enrol(person, templates, consent, now=now, label=going.label)

    def _agreed(self, person: PersonId, going: Session) -> bool:
        """Whether what was said of the pictures may be kept. Of a consent that ran out nothing is
        told: it is, and the vault refuses."""
        consent, now = self._parts.vault.consent(person), self._parts.clock()
        if all(said is None for said in going.said):
            return True
        return consent.covers(LABELS, now) or not consent.covers(None, now)

    def _refresh(self, person: PersonId, going: Session) -> None:
        vault, most = self._parts.vault, self._parts.rules.most_pictures
        with self._templates(going) as templates:
            vault.refresh(person, templates, most=most, now=self._parts.clock())

    @contextmanager
    def _templates(self, going: Session) -> Iterator[list[NewTemplate]]:
        """What the vault takes of what was seen, zeroed after the block: by the site's own trunk,
        and by an older one for as long as it serves."""
        with self._parts.releases.taking() as serving:
            kept = {self._parts.eye.trunk.hash, *serving}
            made = [
                NewTemplate(
                    trunk=trunk,
                    feature=feature.astype(np.float16),
                    quality=one.quality.score,
                    labels=said,
                )
                for one, said in zip(going.seen, going.said, strict=True)
                for trunk, feature in one.features.items()
                if trunk in kept
            ]
            try:
                yield made
            finally:
                for template in made:
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


@contextmanager
def _wiped(shown: Sequence[Seen]) -> Iterator[None]:
    """Zeroes what was ``shown`` if the block fails."""
    try:
        yield
    except BaseException:
        for one in shown:
            one.wipe()
        raise


def _unlike_the_person() -> QualityError:
    return QualityError("this is not somebody who is enrolled under that id", (UNLIKE_PERSON,))
