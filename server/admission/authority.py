"""The federation's own CA: it certifies the server, the centre's signing key, and the sites.

It has no name constraints: only mascaron believes it, and a centre that moves to another host
must not become another federation.
"""

import datetime as dt
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from common.errors import DeploymentError
from common.trust import storing
from common.trust.certificates import Role, fingerprint, life_left, moment, read_certificate, to_pem
from common.trust.keys import PublicKey
from server.home import CentreHome

CA_DAYS, SERVER_DAYS, SITE_DAYS, LIST_DAYS = 3650, 397, 90, 30
RENEW_AT = 1 / 3  # of a certificate's life left
LOCAL = ("localhost", "127.0.0.1", "::1")
_EARLY = dt.timedelta(hours=1)  # clocks of sites that are a little behind still believe it


@dataclass(frozen=True, slots=True)
class Revoked:
    """One line of the revocation list."""

    serial: int
    since: float  # unix seconds
    reason: x509.ReasonFlags


class Authority:
    """The CA's key and certificate. ``Guarantee:`` the key stays in `keys/ca.key`, mode 0600."""

    def __init__(self, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
        self._key = key
        self.certificate = certificate

    @classmethod
    def make(cls, name: str, now: float) -> "Authority":
        """A new CA for the federation called ``name``, for ten years, of path length 0."""
        key = ec.generate_private_key(ec.SECP384R1())
        subject = _name("mascaron CA", name)
        builder = _begin(subject, subject, key.public_key(), now, CA_DAYS)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        builder = builder.add_extension(_usage(sign=False, issue=True), True)
        builder = builder.add_extension(
            x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False
        )
        return cls(key, builder.sign(key, hashes.SHA384()))

    @classmethod
    def load(cls, home: CentreHome) -> "Authority":
        """The CA of ``home``; ``DeploymentError`` if its files are not there or not private."""
        key = load_private(home.ca_key)
        certificate = read_certificate(storing.read(home.ca) or b"")
        if certificate.public_key() != key.public_key():
            raise DeploymentError(f"{home.ca} is not of {home.ca_key}: restore both from a backup")
        return cls(key, certificate)

    @property
    def federation(self) -> str:
        """The name of the federation: SHA-256 of this CA's certificate."""
        return fingerprint(self.certificate)

    def key_pem(self) -> bytes:
        """For `keys/ca.key` alone."""
        return private_pem(self._key)

    def issue_server(
        self, key: ec.EllipticCurvePublicKey, hosts: Iterable[str], now: float
    ) -> x509.Certificate:
        """For the TLS of the centre under ``hosts``, 397 days."""
        names = list(dict.fromkeys((*hosts, *LOCAL)))
        builder = self._begin("mascaron server", key, now, SERVER_DAYS)
        builder = builder.add_extension(
            x509.SubjectAlternativeName([_host(name) for name in names]), False
        )
        usages = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
        return builder.add_extension(usages, False).sign(self._key, hashes.SHA384())

    def issue_centre(self, key: PublicKey, now: float) -> x509.Certificate:
        """Binds the key that signs rosters and charters to this CA, for as long as the CA lasts."""
        left = self.certificate.not_valid_after_utc - moment(now)
        builder = self._begin("mascaron centre", _ed25519(key), now, max(1, left.days))
        usages = x509.ExtendedKeyUsage([Role.CENTRE.value])
        return builder.add_extension(usages, False).sign(self._key, hashes.SHA384())

    def issue_site(self, key: PublicKey, name: str, now: float) -> x509.Certificate:
        """For the agent of the site called ``name``, 90 days. Nothing of a CSR but its key is
        taken over: what a site may be is the administrator's to say."""
        builder = self._begin(name, _ed25519(key), now, SITE_DAYS)
        usages = x509.ExtendedKeyUsage([Role.SITE.value, ExtendedKeyUsageOID.CLIENT_AUTH])
        return builder.add_extension(usages, False).sign(self._key, hashes.SHA384())

    def revocations(self, revoked: Iterable[Revoked], now: float) -> bytes:
        """The signed list of ``revoked`` certificates in PEM, good for 30 days."""
        builder = x509.CertificateRevocationListBuilder(
            issuer_name=self.certificate.subject,
            last_update=moment(now),
            next_update=moment(now) + dt.timedelta(days=LIST_DAYS),
        )
        for line in sorted(revoked, key=lambda line: line.serial):
            entry = x509.RevokedCertificateBuilder(line.serial, moment(line.since))
            entry = entry.add_extension(x509.CRLReason(line.reason), False)
            builder = builder.add_revoked_certificate(entry.build())
        builder = builder.add_extension(x509.CRLNumber(int(now)), False)
        builder = builder.add_extension(self._identifier(), False)
        return builder.sign(self._key, hashes.SHA384()).public_bytes(serialization.Encoding.PEM)

    def _begin(
        self, name: str, key: ec.EllipticCurvePublicKey | Ed25519PublicKey, now: float, days: int
    ) -> x509.CertificateBuilder:
        subject, issuer = _name(name), self.certificate.subject
        builder = _begin(subject, issuer, key, now, days)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
        builder = builder.add_extension(_usage(sign=True, issue=False), True)
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key), False)
        return builder.add_extension(self._identifier(), False)

    def _identifier(self) -> x509.AuthorityKeyIdentifier:
        own = self.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)


def renew_server(home: CentreHome, now: float, hosts: Iterable[str] = (), *, due: bool) -> bool:
    """Replaces the server's certificate, for the names it had and ``hosts``; the key stays.

    With ``due`` only if under a third of its life is left or a host is missing. Says whether it
    did. A running gateway shows the new one within seconds, by itself.
    """
    authority = Authority.load(home)
    old = read_certificate(storing.read(home.server_certificate) or b"")
    names = old.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    known = [str(name.value) for name in names]
    wanted = list(dict.fromkeys((*hosts, home.config().host)))
    if due and life_left(old, now) >= RENEW_AT and set(wanted) <= set(known):
        return False
    key = load_private(home.server_key)
    new = authority.issue_server(key.public_key(), (*wanted, *known), now)
    storing.replace(home.server_certificate, to_pem(new))
    return True


def private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """PKCS 8 without a passphrase, for a private file."""
    form, none = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, form, none)


def load_private(path: Path) -> ec.EllipticCurvePrivateKey:
    """The EC key in ``path``; ``DeploymentError`` if it is not there, or others may read it."""
    try:
        if path.stat().st_mode & 0o077:
            raise DeploymentError(f"others may read the key {path}: chmod 600 {path}")
        key = serialization.load_pem_private_key(path.read_bytes(), None)
    except OSError as error:
        raise DeploymentError(f"cannot read the key {path}: {error.strerror}") from None
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise DeploymentError(f"{path} is not an EC private key: restore it from a backup")
    return key


def _begin(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey | Ed25519PublicKey,
    now: float,
    days: int,
) -> x509.CertificateBuilder:
    return x509.CertificateBuilder(
        subject_name=subject,
        issuer_name=issuer,
        public_key=key,
        serial_number=x509.random_serial_number(),
        not_valid_before=moment(now) - _EARLY,
        not_valid_after=moment(now) + dt.timedelta(days=days),
    )


def _usage(*, sign: bool, issue: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=sign,
        key_cert_sign=issue,
        crl_sign=issue,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common: str, organisation: str = "") -> x509.Name:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, common)]
    if organisation:
        parts.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation))
    return x509.Name(parts)


def _host(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _ed25519(key: PublicKey) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(key.raw)
