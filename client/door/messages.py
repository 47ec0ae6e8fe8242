"""Messages at the door: what is asked, checked before anybody looks at it, and answers as told."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from client.audit.chain import Entry
from client.door.answers import Described, Identification, Listed, LookedFor
from client.door.calibrating import Target
from client.door.standing import ReleaseStatus
from client.door.thresholds import Band
from client.vault.consent import Consent
from client.vault.identity import BYTES, PersonId
from client.vault.labels import AGE
from common import wire
from common.errors import VersionError, WireError
from common.text.vocabulary import Language
from protos.gen import recognition_pb2 as pb

MOST_PICTURE = 16 * 2**20  # bytes
MOST_TOP = 5  # people of one search
MOST_LOOKING = 20  # people of one search by how they look
MOST_QUERY = 400  # characters
MOST_ERASED = 1_000  # people of one call
MOST_LISTED, MOST_ROWS = 10_000, 1_000  # of one page
MOST_LABEL = 64  # characters, also of the name of one of
MOST_LABELS = 64  # of one picture

BANDS = {Band.MATCH: pb.BAND_MATCH, Band.NEAR: pb.BAND_NEAR, Band.NO: pb.BAND_NO}
STANDINGS = {
    "confirmed": pb.STANDING_CONFIRMED,
    "pending": pb.STANDING_PENDING,
    "unknown": pb.STANDING_UNKNOWN,
}
SURENESS = {
    "probable": pb.SURENESS_PROBABLE,
    "likely": pb.SURENESS_LIKELY,
    "certain": pb.SURENESS_CERTAIN,
}
_REQUEST = re.compile(r"[0-9a-f]{0,32}")
_HANDLE = 64  # bytes that a session's or a ticket's id has at most


def check(request: Any) -> None:
    """Refuses another version of the protocol, and an id that is not one."""
    if request.protocol != wire.PROTOCOL:
        raise VersionError(f"speaks {request.protocol}, not {wire.PROTOCOL}")
    if not _REQUEST.fullmatch(request.request):
        raise WireError("a request's id is at most 32 of 0-9 and a-f")


def person_of(content: bytes) -> PersonId:
    """``content``, if somebody could be named by it."""
    if len(content) != BYTES:
        raise WireError(f"a person is named by {BYTES} bytes")
    return PersonId(content)


def persons_of(contents: Sequence[bytes]) -> tuple[PersonId, ...]:
    """As many as one call may be about."""
    if not 1 <= len(contents) <= MOST_ERASED:
        raise WireError(f"1 to {MOST_ERASED} people at a time")
    return tuple(person_of(content) for content in contents)


def handle_of(content: bytes) -> bytes:
    """``content``, if it could be the id of a session or a ticket."""
    if not 1 <= len(content) <= _HANDLE:
        raise WireError("an id is missing or malformed")
    return content


def picture_of(content: bytes) -> bytes:
    """``content``, if it could be a picture."""
    if not 1 <= len(content) <= MOST_PICTURE:
        raise WireError(f"a picture has 1 to {MOST_PICTURE} bytes")
    return content


def number_of(value: int, most: int) -> int:
    """``value``, if it is in 1..``most``."""
    if not 1 <= value <= most:
        raise WireError(f"ask for 1 to {most}")
    return value


def index_of(value: int) -> int:
    """``value``, if a log could have so many rows."""
    if value >= 2**63:
        raise WireError("no log has so many rows")
    return value


def label_of(text: str) -> str:
    """``text``, if a terminal can show it."""
    if len(text) > MOST_LABEL or not text.isprintable():
        raise WireError(f"a label is at most {MOST_LABEL} printable characters")
    return text


def labels_of(told: pb.Labels) -> dict[str, bool | int]:
    """What is said of a picture, by name; nobody looked at the names yet."""
    if len(told.shown) > MOST_LABELS or any(len(one.name) > MOST_LABEL for one in told.shown):
        raise WireError(f"at most {MOST_LABELS} labels, of names of {MOST_LABEL} characters")
    shown = {one.name: one.present for one in told.shown}
    if len(shown) < len(told.shown) or AGE in shown:
        raise WireError("a label is said twice, or an age is no number of years")
    return {**shown, **({AGE: told.age} if told.HasField("age") else {})}


def target_of(fmr: float, fpir: float) -> Target | None:
    """The rates to keep; 0 for the second: none. Both 0: those of `site.toml`."""
    if not fmr and not fpir:
        return None
    try:
        return Target(fmr=fmr, fpir=fpir or None)
    except ValueError as error:
        raise WireError(str(error)) from None


def consent_of(told: pb.Consent) -> Consent:
    """What a person agreed to; ``ConsentError`` for what is not a consent."""
    if len(told.purposes) > len(set(told.purposes)):
        raise WireError("a purpose is said twice")
    return Consent(
        purposes=frozenset(told.purposes),
        text_hash=told.text_hash,
        given=told.given,
        expires=told.expires,
    )


def enrolment_of(request: pb.BeginEnrolRequest) -> tuple[Consent | None, str, bytes]:
    """Consent and label of a new person, or the id of somebody who comes again."""
    label = label_of(request.label)
    if request.person and not request.HasField("consent"):
        return None, label, person_of(request.person)
    return consent_of(request.consent), label, request.person


def identified(found: Identification) -> pb.IdentifyResponse:
    """Bands and persons, and labels for who is to confirm."""
    labels = found.labels or ("",) * len(found.persons)
    answer = pb.IdentifyResponse(ticket=found.ticket, standing=STANDINGS[found.state])
    for (person, band), label in zip(found.persons, labels, strict=True):
        answer.candidates.add(person=person, band=BANDS[band], label=label)
    return answer


def query_of(text: str) -> str:
    """``text``, if it could be a query; what it asks for is nobody's business but the parser's."""
    if not 1 <= len(text) <= MOST_QUERY:
        raise WireError(f"a query has 1 to {MOST_QUERY} characters")
    return text


def language_of(text: str) -> Language:
    """English, where nothing is asked for."""
    if text in ("", "en"):
        return "en"
    if text != "zh":
        raise WireError("a face is described in en or zh")
    return "zh"


def described(told: Described) -> pb.DescribeResponse:
    """The sentence, and what it says one by one."""
    answer = pb.DescribeResponse(sentence=told.sentence)
    for one in told.said:
        answer.said.add(name=one.name, present=one.present, sureness=SURENESS[one.sureness])
    return answer


def looking(found: LookedFor) -> pb.SearchResponse:
    """Bands and persons, and what nobody could answer."""
    answer = pb.SearchResponse(unasked=found.unasked)
    for person, band in found.persons:
        answer.candidates.add(person=person, band=BANDS[band])
    return answer


def listed(people: Iterable[Listed]) -> pb.ListResponse:
    """A page of who is enrolled."""
    answer = pb.ListResponse()
    for one in people:
        answer.people.add(
            person=one.person,
            label=one.label,
            expires=one.expires,
            templates=one.templates,
            trunks=one.trunks,
        )
    return answer


def standing(status: ReleaseStatus) -> pb.ReleaseResponse:
    """Which release decides, and how one beside it does."""
    answer = pb.ReleaseResponse(
        active=status.active or "",
        staged=status.staged or "",
        previous=status.previous or "",
        calibrated=status.calibrated,
        outgrown=status.outgrown,
        alike=status.alike,
        probes=status.probes,
        progress=status.progress,
        staged_calibrated=status.staged_calibrated,
        active_heads=status.active_heads or "",
        staged_heads=status.staged_heads or "",
        previous_heads=status.previous_heads or "",
        heads=status.heads or "",
        kinds=status.kinds,
    )
    for active, staged, probes in status.changes:
        answer.changes.add(active=BANDS[active], staged=BANDS[staged], probes=probes)
    return answer


def rows(entries: Iterable[Entry]) -> pb.AuditRowsResponse:
    """Rows of the log, as they are kept."""
    answer = pb.AuditRowsResponse()
    for entry in entries:
        event = entry.event
        answer.rows.add(
            index=entry.index,
            kind=event.kind,
            began=event.began,
            ended=event.ended,
            reference=event.reference,
            subject=event.subject,
            input=event.input,
            outcome=event.outcome,
            actors=event.actors,
            signature=entry.signature,
        )
    return answer
