"""What the gateway answers a site that wants in, asks how it stands, or needs a certificate.

Guarantee: nobody without the token's secret gets into the waiting room, and nobody without the
identity key of a site learns how that site stands. No answer names a site to another one, but for
the roster, releases and their history, which are for members; refusals are codes, of a closed list.
Leaks: to holders of the token, whether the waiting room is full; to all, the centre's clock.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from common.errors import AdmissionError, MascaronError, SignatureError, VersionError, WireError
from common.evidence.asking import ASKS, ReleaseQuestion, read_release_question
from common.trust import storing
from common.trust.admission import (
    WINDOW,
    Envelope,
    Question,
    read_envelope,
    read_question,
    read_request,
)
from common.trust.certificates import to_pem
from common.trust.keys import PublicKey
from common.trust.refusals import REFUSALS, refused
from common.trust.roster import SiteEntry
from common.trust.token import Token
from server.admission.authority import Authority
from server.admission.commitments import Countersigning
from server.admission.issued import Issued, is_over
from server.admission.membership import Membership
from server.admission.roster import RosterBook
from server.admission.waiting import WaitingRoom
from server.home import CentreHome
from server.release.answers import ReleaseDesk

log = logging.getLogger(__name__)

_QUIET = 60.0  # seconds between two lines in the log
_CODES: dict[type[MascaronError], str] = {
    VersionError: "PROTOCOL_VERSION",
    WireError: "INVALID_REQUEST",
    SignatureError: "SIGNATURE_INVALID",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class AdmissionLimits:
    """How often one may ask: so many at once, and one more every so many seconds."""

    requests: int = 64  # with the token, of all sites together
    request_seconds: float = 1.0
    questions: int = 30  # of one site
    question_seconds: float = 5.0
    pieces: int = 64  # of releases, of one site; the largest release has fewer
    piece_seconds: float = 1.0


class Admission:
    """Answers `request`, `status`, `renew` and what is asked of releases; one at a time."""

    def __init__(
        self,
        home: CentreHome,
        clock: Callable[[], float],
        limits: AdmissionLimits | None = None,
    ) -> None:
        self._home, self._clock = home, clock
        self._limits = limits or AdmissionLimits()
        self._book = RosterBook(home)
        self._issued = Issued(home, Authority.load(home))
        self._room = WaitingRoom(home)
        self._members = Membership(home)
        self._countersigning = Countersigning(home, self._book.federation)
        self._releases = ReleaseDesk(home)
        self._centre = (storing.read(home.keys / "centre.crt") or b"").decode()
        self._buckets: dict[str, _Bucket] = {}
        self._told = -_QUIET
        self._members.settle(clock())

    def answer(self, name: str, body: bytes) -> tuple[int, dict[str, Any]]:
        """The HTTP status and the JSON object for the request ``name`` with ``body``."""
        now = self._clock()
        try:
            return 200, {**self._answer(name, body, now), "now": int(now)}
        except AdmissionError as error:
            code = error.reason if error.reason in REFUSALS else "UNAVAILABLE"
        except MascaronError as error:
            code = next((c for kind, c in _CODES.items() if isinstance(error, kind)), "UNAVAILABLE")
        if code == "UNAVAILABLE" and now - self._told >= _QUIET:
            self._told = now
            log.error("admission cannot answer; `mascaron-admin doctor` says why")
        return REFUSALS[code].status, {"refused": code, "now": int(now)}

    def _answer(self, name: str, body: bytes, now: float) -> dict[str, Any]:
        if name == "request":
            return self._request(read_envelope(body), now)
        if name in ASKS:
            return self._release(name, read_envelope(body), now)
        if name not in ("status", "renew"):
            raise WireError("no such request")
        identity, question = self._asker(name, read_envelope(body), now)
        if name == "renew":
            entry = self._book.read().holder(identity)
            if entry is None:
                raise refused("NOT_ADMITTED")
            if entry.state == "revoked":
                raise refused("REVOKED")
            if is_over(self._issued.in_force(entry), now):
                raise refused("CERTIFICATE_EXPIRED")
            self._members.renew(identity, now)
        return self._standing(identity, question, now)

    def _request(self, envelope: Envelope, now: float) -> dict[str, Any]:
        token = Token.parse((storing.read(self._home.token) or b"").decode("ascii", "replace"))
        if not token.proves(envelope.proven, envelope.proof):
            raise refused("TOKEN_WRONG")
        limits = self._limits
        self._take("requests", limits.requests, limits.request_seconds, now)
        request = read_request(envelope)
        if request.federation != self._book.federation:
            raise refused("OTHER_FEDERATION")
        entry = self._book.read().holder(request.identity)
        if entry is not None and entry.state == "revoked":
            raise refused("REVOKED")
        if entry is not None and entry.node == request.entry().node:
            return {"state": "admitted"}
        self._room.put(envelope, request, now)
        return {"state": "waiting"}

    def _asker(self, name: str, envelope: Envelope, now: float) -> tuple[PublicKey, Question]:
        """Who asks, and what: somebody known, just now, and not too often."""
        identity, question = read_question(envelope)
        self._check(question, name, now)
        known = self._book.read().holder(identity) or self._room.find(identity, now)
        if known is None:
            raise refused("NOT_KNOWN")
        limits = self._limits
        self._take(identity.text, limits.questions, limits.question_seconds, now)
        return identity, question

    def _release(self, name: str, envelope: Envelope, now: float) -> dict[str, Any]:
        """For admitted sites only, and from places of their own."""
        identity, question = read_release_question(envelope)
        self._check(question, name, now)
        roster = self._book.read()
        entry = roster.holder(identity)
        if entry is None:
            raise refused("NOT_ADMITTED" if self._room.find(identity, now) else "NOT_KNOWN")
        if entry.state == "revoked":
            raise refused("REVOKED")
        limits = self._limits
        self._take(f"{identity.text} {name}", limits.pieces, limits.piece_seconds, now)
        return self._releases.answer(entry, question, roster, now)

    def _check(self, question: Question | ReleaseQuestion, name: str, now: float) -> None:
        if question.ask != name:
            raise WireError("asked for something else")
        if question.federation != self._book.federation:
            raise refused("OTHER_FEDERATION")
        if abs(question.time - now) > WINDOW:
            raise refused("CLOCK_SKEW")

    def _standing(self, identity: PublicKey, question: Question, now: float) -> dict[str, Any]:
        signed = self._book.signed()
        roster = self._book.read(signed)
        entry = roster.holder(identity)
        if entry is None:
            return {"state": "waiting"}
        signs = bool(question.audit) and entry.state == "admitted"
        return {
            "state": entry.state,
            "centre": self._centre,
            "roster": signed.to_json(),
            "crl": self._issued.revocations(roster, now).decode(),
            "certificate": self._certificate(entry),
            **(self._countersigning.answer(identity, question.audit, now) if signs else {}),
        }

    def _certificate(self, entry: SiteEntry) -> str:
        return to_pem(self._issued.in_force(entry)).decode() if entry.state == "admitted" else ""

    def _take(self, who: str, most: int, seconds: float, now: float) -> None:
        """Raises ``AdmissionError`` if ``who`` asked too often. Only known keys get a bucket."""
        bucket = self._buckets.setdefault(who, _Bucket(float(most), now))
        bucket.left = min(most, bucket.left + max(0.0, now - bucket.at) / seconds)
        bucket.at = now
        if bucket.left < 1:
            raise refused("RATE_LIMITED")
        bucket.left -= 1


@dataclass(slots=True)
class _Bucket:
    left: float
    at: float  # unix seconds
