"""A site's door for programs: enrol, verify, identify and all else that may be asked there.

    with Recognition.at(socket, token) as door:
        band = door.verify(person, picture)

Answers are bands. Whatever is refused is raised as the error of ``common.errors`` that the site
raised, by its reason; its words are this side's own.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from client.door.answers import (
    CalibrationTold,
    Described,
    Enrolled,
    Identification,
    Listed,
    Looked,
    LookedFor,
    Said,
    State,
    Sureness,
)
from client.door.proofs import TOKEN
from client.door.thresholds import Band
from client.serving.refusals import refused
from client.serving.tls import Tls
from client.vault.consent import Consent
from client.vault.identity import PersonId
from client.vault.labels import AGE, NOTHING, Told
from common import wire
from common.errors import LabelError
from common.text.vocabulary import Language
from protos.gen import recognition_pb2 as pb
from protos.gen import recognition_pb2_grpc as rpc

MOST = 20 * 2**20  # bytes of a message
SECONDS, LONG = 60.0, 600.0  # that an answer may take; LONG: what looks at everybody
PAGE = 5_000  # people of one answer
_BANDS = {pb.BAND_MATCH: Band.MATCH, pb.BAND_NEAR: Band.NEAR, pb.BAND_NO: Band.NO}
_STATES: dict[int, State] = {
    pb.STANDING_CONFIRMED: "confirmed",
    pb.STANDING_PENDING: "pending",
    pb.STANDING_UNKNOWN: "unknown",
}
_SURENESS: dict[int, Sureness] = {
    pb.SURENESS_PROBABLE: "probable",
    pb.SURENESS_LIKELY: "likely",
    pb.SURENESS_CERTAIN: "certain",
}
_OPTIONS = (
    ("grpc.max_receive_message_length", MOST),
    ("grpc.max_send_message_length", MOST),
    ("grpc.enable_http_proxy", 0),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """Which release decides, and how the staged one does beside it; see ``ReleaseStatus``."""

    active: str
    staged: str
    previous: str
    calibrated: bool
    staged_calibrated: bool
    outgrown: bool
    alike: float | None
    probes: int
    changes: tuple[tuple[Band, Band, int], ...]
    progress: float | None
    active_heads: str
    staged_heads: str
    previous_heads: str
    heads: str
    kinds: tuple[str, ...]


class Recognition:
    """One connection to one door; safe among threads. Every call may raise a ``MascaronError``."""

    def __init__(self, channel: grpc.Channel, token: str = "") -> None:
        self._channel = channel
        self._stub = rpc.RecognitionStub(channel)  # type: ignore[no-untyped-call]
        self._metadata = ((TOKEN, token),) if token else ()

    @classmethod
    def at(cls, socket: Path, token: str) -> "Recognition":
        """The door at ``socket`` of this machine, as the caller whose ``token`` it is."""
        return cls(grpc.insecure_channel(f"unix://{socket.absolute()}", _OPTIONS), token)

    @classmethod
    def over(cls, address: str, tls: Tls) -> "Recognition":
        """The door at ``address`` (host:port), as the caller whose certificate ``tls`` holds."""
        return cls(tls.channel(address, _OPTIONS))

    def begin(self, consent: Consent | None = None, label: str = "", person: bytes = b"") -> bytes:
        """Begins an enrolment by ``consent``, or of ``person`` again; the id of its session."""
        agreed = None if consent is None else _consent(consent)
        request = pb.BeginEnrolRequest(consent=agreed, label=label, person=person)
        return bytes(self._ask("BeginEnrol", request).session)

    def add(self, session: bytes, picture: bytes, labels: Told = NOTHING) -> Looked:
        """Shows one picture of the person; it may well be refused, with reasons.

        ``labels`` say what is to be seen in it, by their consent: {"glasses": True, "age": 40}.
        """
        request = pb.AddPictureRequest(session=session, picture=picture, labels=_labels(labels))
        told = self._ask("AddPicture", request)
        return Looked(
            accepted=told.accepted, reasons=tuple(told.reasons), pictures=int(told.pictures)
        )

    def commit(self, session: bytes, *, despite_duplicate: bool = False) -> Enrolled:
        """Enrols the person. ``DuplicatePersonError`` if they look enrolled already."""
        request = pb.CommitEnrolRequest(session=session, despite_duplicate=despite_duplicate)
        told = self._ask("CommitEnrol", request)
        return Enrolled(person=PersonId(told.person), checked=not told.unchecked)

    def abort(self, session: bytes) -> None:
        """Forgets an enrolment that was begun."""
        self._ask("AbortEnrol", pb.AbortEnrolRequest(session=session))

    def verify(self, person: bytes, picture: bytes) -> Band:
        """Whether ``picture`` is of ``person``; of nobody enrolled it never is."""
        told = self._ask("Verify", pb.VerifyRequest(person=person, picture=picture))
        return _BANDS[told.band]

    def identify(self, picture: bytes, top: int = 1) -> Identification:
        """Who ``picture`` is of, among those enrolled: at most ``top`` of them."""
        return _identification(
            self._ask("Identify", pb.IdentifyRequest(picture=picture, top=top), LONG)
        )

    def review(self, ticket: bytes) -> Identification:
        """Whom a human who confirms is asked about."""
        return _identification(self._ask("Review", pb.TicketRequest(ticket=ticket)))

    def confirm(self, ticket: bytes, person: bytes | None) -> None:
        """Says that it is ``person``, or nobody of those under review."""
        self._ask("Confirm", pb.ConfirmRequest(ticket=ticket, person=person or b""))

    def outcome(self, ticket: bytes) -> Identification:
        """What became of a search that was to be confirmed."""
        return _identification(self._ask("Outcome", pb.TicketRequest(ticket=ticket)))

    def describe(self, picture: bytes, language: Language = "en") -> Described:
        """What is to be seen of the one face in ``picture``."""
        request = pb.DescribeRequest(picture=picture, language=language)
        told = self._ask("Describe", request)
        said = (
            Said(name=one.name, present=one.present, sureness=_SURENESS[one.sureness])
            for one in told.said
        )
        return Described(sentence=told.sentence, said=tuple(said))

    def search(self, query: str, top: int = 5) -> LookedFor:
        """Who of those who agreed to it looks as ``query`` says; at most ``top``, up to 20."""
        told = self._ask("Search", pb.SearchRequest(query=query, top=top), LONG)
        persons = ((PersonId(one.person), _BANDS[one.band]) for one in told.candidates)
        return LookedFor(persons=tuple(persons), unasked=tuple(told.unasked))

    def erase(self, persons: Sequence[bytes]) -> str:
        """Destroys the keys of ``persons``; the receipt, to be given to them."""
        return str(self._ask("Erase", pb.EraseRequest(persons=persons), LONG).receipt)

    def export(self, person: bytes) -> dict[str, Any]:
        """What is held of ``person``, for them to read."""
        told = self._ask("Export", pb.ExportRequest(person=person))
        record: dict[str, Any] = json.loads(told.record)
        return record

    def renew(self, person: bytes, consent: Consent) -> None:
        """Puts another consent in the place of the one there is."""
        self._ask("Renew", pb.RenewRequest(person=person, consent=_consent(consent)))

    def relabel(self, person: bytes, label: str) -> None:
        """Puts another word for ``person`` in the place of the one there is."""
        self._ask("Relabel", pb.RelabelRequest(person=person, label=label))

    def set_labels(self, person: bytes, labels: Told) -> None:
        """Says this of all pictures that are kept of ``person``; nothing: none any more."""
        self._ask("SetLabels", pb.SetLabelsRequest(person=person, labels=_labels(labels)))

    def people(self) -> Iterator[Listed]:
        """Everybody enrolled, by id."""
        after = b""
        while True:
            page = self._ask("List", pb.ListRequest(after=after, most=PAGE), LONG).people
            for one in page:
                yield Listed(
                    person=PersonId(one.person),
                    label=one.label,
                    expires=one.expires,
                    templates=one.templates,
                    trunks=tuple(one.trunks),
                )
            if len(page) < PAGE:
                return
            after = page[-1].person

    def calibrate(self, fmr: float | None = None, fpir: float | None = None) -> CalibrationTold:
        """Finds thresholds for these rates, or for those of `site.toml` where neither is named.

        ``InsufficientCalibrationError`` says how many people are missing.
        """
        told = self._ask("Calibrate", pb.CalibrateRequest(fmr=fmr or 0.0, fpir=fpir or 0.0), LONG)
        return CalibrationTold(
            release=told.release, fmr=told.fmr, fpir=told.fpir or None, made=told.made
        )

    def stage(self, tail: bytes) -> Standing:
        """Puts the release in ``tail``, the bytes of its file, beside the one that decides."""
        return _standing(self._ask("StageRelease", pb.StageReleaseRequest(tail=tail), LONG))

    def stage_signed(self, release: bytes) -> Standing:
        """The same for a signed release with its evidence, which the site checks itself."""
        return _standing(self._ask("StageRelease", pb.StageReleaseRequest(signed=release), LONG))

    def promote(self) -> Standing:
        """Lets the staged release decide."""
        return _standing(self._ask("PromoteRelease", pb.ReleaseRequest(), LONG))

    def rollback(self) -> Standing:
        """Lets the release before it decide again."""
        return _standing(self._ask("RollbackRelease", pb.ReleaseRequest(), LONG))

    def unstage(self) -> Standing:
        """Forgets the staged release."""
        return _standing(self._ask("UnstageRelease", pb.ReleaseRequest(), LONG))

    def retire(self) -> Standing:
        """Lets the old trunk go, with every feature it made; refused while somebody needs it."""
        return _standing(self._ask("RetireTrunk", pb.ReleaseRequest(), LONG))

    def status(self) -> Standing:
        """Which release decides."""
        return _standing(self._ask("Status", pb.ReleaseRequest()))

    def audit_head(self) -> pb.AuditHeadResponse:
        """The signed end of the audit log."""
        told: pb.AuditHeadResponse = self._ask("AuditHead", pb.AuditHeadRequest())
        return told

    def audit_rows(self, after: int = 0, most: int = 1000) -> Sequence[pb.AuditRow]:
        """At most ``most`` rows of the audit log that come after number ``after``."""
        rows: Sequence[pb.AuditRow] = self._ask(
            "AuditRows", pb.AuditRowsRequest(after=after, most=most)
        ).rows
        return rows

    def rotate(self) -> None:
        """New keys for everybody enrolled."""
        self._ask("Rotate", pb.RotateRequest(), LONG)

    def close(self) -> None:
        """Ends the connection."""
        self._channel.close()

    def __enter__(self) -> "Recognition":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(self, method: str, request: Any, seconds: float = SECONDS) -> Any:
        request.protocol = wire.PROTOCOL
        try:
            return getattr(self._stub, method)(request, timeout=seconds, metadata=self._metadata)
        except grpc.RpcError as error:
            raise refused(error) from None


def _consent(consent: Consent) -> pb.Consent:
    return pb.Consent(
        purposes=sorted(consent.purposes),
        text_hash=consent.text_hash,
        given=consent.given,
        expires=consent.expires,
    )


def _labels(told: Told) -> pb.Labels:
    shown = {name: said for name, said in told.items() if name != AGE}
    if not all(isinstance(said, bool) for said in shown.values()):
        raise LabelError("a picture shows what is named, or does not: True or False")
    try:
        made = pb.Labels(age=told.get(AGE))
    except (TypeError, ValueError):
        raise LabelError("an age is in whole years") from None
    for name, said in shown.items():
        made.shown.add(name=name, present=bool(said))
    return made


def _identification(told: pb.IdentifyResponse) -> Identification:
    return Identification(
        ticket=told.ticket,
        state=_STATES[told.standing],
        persons=tuple((PersonId(one.person), _BANDS[one.band]) for one in told.candidates),
        labels=tuple(one.label for one in told.candidates),
    )


def _standing(told: pb.ReleaseResponse) -> Standing:
    return Standing(
        active=told.active,
        staged=told.staged,
        previous=told.previous,
        calibrated=told.calibrated,
        staged_calibrated=told.staged_calibrated,
        outgrown=told.outgrown,
        alike=told.alike if told.HasField("alike") else None,
        probes=told.probes,
        changes=tuple((_BANDS[one.active], _BANDS[one.staged], one.probes) for one in told.changes),
        progress=told.progress if told.HasField("progress") else None,
        active_heads=told.active_heads,
        staged_heads=told.staged_heads,
        previous_heads=told.previous_heads,
        heads=told.heads,
        kinds=tuple(told.kinds),
    )
