"""Every certificate a site was ever given, and the revocation list that follows from them."""

from collections.abc import Iterator
from pathlib import Path

from cryptography import x509

from common.errors import DeploymentError, SignatureError
from common.trust import storing
from common.trust.certificates import (
    fingerprint,
    key_of,
    life_left,
    read_certificate,
    read_revocations,
    to_pem,
)
from common.trust.keys import PublicKey
from common.trust.roster import Roster, SiteEntry
from server.admission.authority import Authority, Revoked
from server.home import CentreHome

_FLAGS = {
    "left": x509.ReasonFlags.cessation_of_operation,
    "key-compromised": x509.ReasonFlags.key_compromise,
    "rules-broken": x509.ReasonFlags.privilege_withdrawn,
    "superseded": x509.ReasonFlags.superseded,
}
_REFRESH = 2 / 3  # of a list's life left: sites never hold one that is over


class Issued:
    """The folder `certificates/`: one file a certificate, named by site and fingerprint.

    The roster names the one in force by its fingerprint, so a file here counts only once the
    roster says so.
    """

    def __init__(self, home: CentreHome, authority: Authority) -> None:
        self._home = home
        self._authority = authority

    def issue(self, key: PublicKey, name: str, now: float) -> str:
        """Makes and keeps a certificate; returns the fingerprint for the roster."""
        made = self._authority.issue_site(key, name, now)
        storing.replace(self._path(name, fingerprint(made)), to_pem(made))
        return fingerprint(made)

    def in_force(self, entry: SiteEntry) -> x509.Certificate:
        """The certificate of ``entry``; ``DeploymentError`` if its file is gone or another."""
        path = self._path(entry.name, entry.certificate)
        try:
            found = read_certificate(storing.read(path) or b"")
        except SignatureError:
            raise DeploymentError(f"{path} is gone: restore it from a backup") from None
        if fingerprint(found) != entry.certificate:
            raise DeploymentError(f"{path} was altered: restore it from a backup")
        return found

    def is_current(self, entry: SiteEntry, now: float) -> bool:
        """Whether ``entry`` has a certificate, here and in force at ``now``."""
        try:
            return not is_over(self.in_force(entry), now)
        except DeploymentError:
            return False

    def revocations(self, roster: Roster, now: float) -> bytes:
        """The list in PEM, made anew if it lacks somebody or a third of its life is over."""
        content = storing.read(self._home.revocations) or b""
        known, fresh = self._known(content, now)
        wanted = {cert.serial_number: self._reason(cert, roster) for cert in self._revoked(roster)}
        if fresh and known.keys() == wanted.keys():
            return content
        lines = [Revoked(serial, known.get(serial, now), why) for serial, why in wanted.items()]
        content = self._authority.revocations(lines, now)
        storing.replace(self._home.revocations, content)
        return content

    def _known(self, content: bytes, now: float) -> tuple[dict[int, float], bool]:
        """Serial numbers on the list with their dates, and whether the list is young."""
        try:
            found = read_revocations(content, self._authority.certificate)
        except SignatureError:
            return {}, False
        ends, begins = found.next_update_utc, found.last_update_utc.timestamp()
        left = 0.0 if ends is None else (ends.timestamp() - now) / (ends.timestamp() - begins)
        dates = {line.serial_number: line.revocation_date_utc.timestamp() for line in found}
        return dates, _REFRESH <= left <= 1

    def _revoked(self, roster: Roster) -> Iterator[x509.Certificate]:
        """Whatever was issued to a key that is not admitted: a revoked site's, or one that a
        crash left without its place in the roster."""
        admitted = {entry.identity for entry in roster.admitted}
        for path in sorted(self._home.certificates.glob("*.crt")):
            found = read_certificate(storing.read(path) or b"")
            if key_of(found).text not in admitted:
                yield found

    @staticmethod
    def _reason(certificate: x509.Certificate, roster: Roster) -> x509.ReasonFlags:
        entry = roster.holder(key_of(certificate))
        return _FLAGS[entry.reason] if entry and entry.reason else x509.ReasonFlags.superseded

    def _path(self, name: str, digest: str) -> Path:
        return self._home.certificates / f"{name}.{digest}.crt"


def is_over(certificate: x509.Certificate, now: float) -> bool:
    """Whether ``certificate`` has expired at ``now``."""
    return life_left(certificate, now) < 0
