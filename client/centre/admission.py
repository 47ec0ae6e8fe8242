"""How this site stands with its federation: asked of the centre, believed only as far as signed.

Guarantee: what is kept in `trust/` was signed by the one centre that the pinned CA certified, is
about this site's own key, and is never older than what was there. A server that lost its TLS key
can withhold news, and cannot make any.
Leaks: to the centre, that this site asked, and when. With each question goes a commitment to the
audit log, which says nothing of it and always has one size.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from cryptography import x509

from client.audit.commitments import Commitments, Parties, Seen
from client.centre.contact import Centre
from client.home import SiteHome
from common.errors import (
    AdmissionError,
    AuditError,
    ConfigError,
    DeploymentError,
    SignatureError,
    WireError,
)
from common.trust import storing
from common.trust.admission import Question, send_question
from common.trust.certificates import (
    Role,
    check_ca,
    check_current,
    check_issued,
    fingerprint,
    key_of,
    life_left,
    read_certificate,
    read_revocations,
)
from common.trust.keys import PublicKey, SigningKey
from common.trust.refusals import refused
from common.trust.roster import Roster, SiteEntry, read_roster
from common.trust.signed import Signed

log = logging.getLogger(__name__)

RENEW_AT = 1 / 3  # of a certificate's life left
_FORGOTTEN = (
    "the centre has forgotten this site, which its own roster held: it was restored from an old "
    "backup; the administrator restores a newer one"
)
_INIT = "run `mascaron-site init` first"


@dataclass(frozen=True, kw_only=True, slots=True)
class AdmissionState:
    """How the site stands. ``node_known``: False if the roster has another node key than this home
    (which only the courier's user can see, where that is not the agent's)."""

    state: Literal["waiting", "admitted", "revoked"]
    reason: str = ""  # of a revocation
    expires: float = 0.0  # of the certificate, unix seconds
    roster: int = 0  # its number
    node_known: bool = False


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a member is told, verified."""

    centre: PublicKey
    signed: Signed
    roster: Roster
    entry: SiteEntry
    certificate: x509.Certificate | None


def fetch(home: SiteHome, clock: Callable[[], float]) -> AdmissionState:
    """Asks the centre how this site stands, keeps what it says, renews a certificate that is due.

    Raises ``AdmissionError`` if the centre refuses, ``DeploymentError`` if it cannot be reached,
    ``SignatureError`` if what it says cannot be believed; nothing is kept then.
    """
    key, centre, ca = SigningKey.load(home.identity_key), centre_of(home), _ca(home)
    check_ca(ca, clock())
    answer = _ask(home, key, centre, "status", clock())
    if answer is None:
        return AdmissionState(state="waiting")
    due = answer.certificate is not None and life_left(answer.certificate, clock()) < RENEW_AT
    if due:
        try:
            answer = _ask(home, key, centre, "renew", clock()) or answer
        except (AdmissionError, DeploymentError) as error:
            log.warning("the certificate is not renewed yet: %s", error.reason)
    return _state(answer, home)


def centre_of(home: SiteHome) -> Centre:
    """The gateway this home was made for; ``DeploymentError`` before first contact."""
    config, ca = home.config(), storing.read(home.ca)
    config.check_member()
    if ca is None:
        raise DeploymentError(f"this home has not met its centre yet: {_INIT}, without --later")
    return Centre(config.host, config.port, ca)


def known_roster(home: SiteHome) -> Roster | None:
    """The roster in `trust/`, verified; None before admission."""
    content, centre = storing.read(home.roster), storing.read(home.centre_key)
    if content is None or centre is None:
        return None
    key = PublicKey.of(centre.decode("ascii", "replace").strip())
    founding = Roster(federation=fingerprint(_ca(home)))
    return read_roster(Signed.from_json(content.decode("utf-8", "replace")), key, founding)


def countersigned(home: SiteHome, own: PublicKey) -> Seen:
    """What the centre vouches for of the audit log of this site, whose identity is ``own``; nothing
    before it was ever asked, nor after the site left.

    ``AuditError`` if the centre saw another log, or the record of what it saw was altered.
    """
    pinned = storing.read(home.centre_key)
    if pinned is None:
        return Seen(heads=())
    centre = PublicKey.of(pinned.decode("ascii", "replace").strip())
    return Commitments(home.commitments).seen(_parties(home, centre, own))


def _ask(
    home: SiteHome,
    key: SigningKey,
    centre: Centre,
    ask: Literal["status", "renew"],
    now: float,
) -> _Answer | None:
    known = known_roster(home)
    member = known is not None and known.holder(key.public) is not None
    shown = _commit(home) if member else ""
    question = Question(federation=fingerprint(_ca(home)), ask=ask, time=int(now), audit=shown)
    try:
        table = centre.ask(ask, send_question(question, key).to_json())
    except AdmissionError as error:
        if error.reason == "NOT_KNOWN" and member:
            raise SignatureError(_FORGOTTEN) from None
        raise
    if table.get("state") == "waiting":
        if member:
            raise SignatureError(_FORGOTTEN)
        return None
    answer = _verify(home, key.public, table)
    if answer.certificate is not None:
        check_life(answer.certificate, now)
    _keep(home, answer, table)
    if shown and "countersigned" in table:
        _keep_word(home, _parties(home, answer.centre, key.public), shown, table)
    return answer


def _commit(home: SiteHome) -> str:
    """A commitment to the audit log as it is; "" for one that is broken or cannot be kept: that the
    site is a member does not hang on it."""
    try:
        return Commitments(home.commitments).make(home.audit, home.config().name)
    except (AuditError, DeploymentError) as error:
        log.error("nothing is shown of the audit log: %s", error.reason)
        return ""


def _keep_word(home: SiteHome, parties: Parties, shown: str, table: dict[str, Any]) -> None:
    word, before = _texts(table, "countersigned", "before")
    try:
        Commitments(home.commitments).keep(shown, word, before, parties)
    except (AuditError, DeploymentError) as error:
        log.error("the centre's word on the audit log is not kept: %s", error.reason)


def _parties(home: SiteHome, centre: PublicKey, own: PublicKey) -> Parties:
    return Parties(centre=centre, identity=own, federation=fingerprint(_ca(home)))


def _verify(home: SiteHome, own: PublicKey, table: dict[str, Any]) -> _Answer:
    """Everything in ``table`` that counts, or ``SignatureError``."""
    ca = _ca(home)
    bound, roster_text, crl, pem = _texts(table, "centre", "roster", "crl", "certificate")
    certified = read_certificate(bound.encode())
    check_issued(certified, ca, Role.CENTRE)
    centre = key_of(certified)
    pinned = storing.read(home.centre_key)
    if pinned is not None and pinned.decode("ascii", "replace").strip() != centre.text:
        raise SignatureError(
            f"the centre signs with another key than before: compare {home.centre_key} with the "
            "administrator's before you remove it"
        )
    signed = Signed.from_json(roster_text)
    known = known_roster(home) or Roster(federation=fingerprint(ca))
    roster = read_roster(signed, centre, known)
    entry = roster.holder(own)
    if entry is None:
        raise SignatureError("the centre's roster does not hold this site's key")
    listed = read_revocations(crl.encode(), ca)
    if entry.state == "revoked":
        return _Answer(centre, signed, roster, entry, None)
    certificate = read_certificate(pem.encode())
    check_issued(certificate, ca, Role.SITE)
    if key_of(certificate) != own or fingerprint(certificate) != entry.certificate:
        raise SignatureError("the certificate is not the one the roster names for this site")
    if listed.get_revoked_certificate_by_serial_number(certificate.serial_number) is not None:
        raise SignatureError("the certificate is on the revocation list, against the roster")
    return _Answer(centre, signed, roster, entry, certificate)


def _keep(home: SiteHome, answer: _Answer, table: dict[str, Any]) -> None:
    """Writes `trust/`. The roster is last: what is newer than it is only waiting to be named."""
    storing.replace(home.centre_key, f"{answer.centre.text}\n".encode(), storing.PUBLIC)
    storing.replace(home.trust / "crl.pem", table["crl"].encode(), storing.PUBLIC)
    if answer.certificate is not None:
        storing.replace(home.certificate, table["certificate"].encode(), storing.PUBLIC)
    storing.replace(home.roster, answer.signed.to_json().encode(), storing.PUBLIC)


def check_life(certificate: x509.Certificate, now: float) -> None:
    """Raises ``AdmissionError`` for a certificate that has expired, with what to do."""
    if life_left(certificate, now) < 0:
        raise refused("CERTIFICATE_EXPIRED")
    check_current(certificate, now)


def _state(answer: _Answer, home: SiteHome) -> AdmissionState:
    ends = answer.certificate.not_valid_after_utc.timestamp() if answer.certificate else 0.0
    return AdmissionState(
        state=answer.entry.state,
        reason=answer.entry.reason,
        expires=ends,
        roster=answer.roster.number,
        node_known=_knows_node(home, answer.entry),
    )


def _knows_node(home: SiteHome, entry: SiteEntry) -> bool:
    """Whether ``entry`` has this home's node key, as far as this user may look."""
    try:
        line = home.node_public.read_text("ascii", "replace")
    except FileNotFoundError:
        return False
    except PermissionError:  # the courier's folder is another user's, who compares them
        return True
    return entry.node.split() == line.split()[:2]


def _ca(home: SiteHome) -> x509.Certificate:
    content = storing.read(home.ca)
    if content is None:
        raise ConfigError(f"there is no {home.ca}: {_INIT}")
    return read_certificate(content)


def _texts(table: dict[str, Any], *names: str) -> tuple[str, ...]:
    found = tuple(table.get(name) for name in names)
    if not all(isinstance(value, str) for value in found):
        raise WireError("the centre's answer lacks what it must have")
    return found  # type: ignore[return-value]
