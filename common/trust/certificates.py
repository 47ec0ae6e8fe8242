"""Certificates of the federation's CA: who holds which key in which role, until when."""

import hashlib
from datetime import UTC, datetime
from enum import Enum

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from common.errors import SignatureError
from common.trust.keys import PublicKey

_DER, _PEM = serialization.Encoding.DER, serialization.Encoding.PEM
_MALFORMED = (x509.ExtensionNotFound, ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm)


class Role(Enum):
    """What an Ed25519 key is certified for; each value is the OID among the extended usages.

    Guarantee: a site's certificate is no centre's, though the same CA issued both.
    """

    CENTRE = x509.ObjectIdentifier("2.25.119105840799098044112730504802487428739")
    SITE = x509.ObjectIdentifier("2.25.22112201684646903760357448755073055505")


def read_certificate(pem: bytes) -> x509.Certificate:
    """The one certificate in ``pem``; ``SignatureError`` if it is none."""
    try:
        found = x509.load_pem_x509_certificates(pem)
        if len(found) == 1:
            return found[0]
    except ValueError:
        pass
    raise SignatureError("not one X.509 certificate in PEM")


def to_pem(certificate: x509.Certificate) -> bytes:
    """What ``read_certificate`` reads."""
    return certificate.public_bytes(_PEM)


def der(certificate: x509.Certificate) -> bytes:
    """The exact bytes that fingerprints and tokens are made of."""
    return certificate.public_bytes(_DER)


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256 of the certificate, hexadecimal; of the CA's: the name of the federation."""
    return hashlib.sha256(der(certificate)).hexdigest()


def key_of(certificate: x509.Certificate | x509.CertificateSigningRequest) -> PublicKey:
    """The Ed25519 key that is certified; ``SignatureError`` if it is of another kind."""
    try:
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise SignatureError("the certificate is not of an Ed25519 key")
    return PublicKey(key)


def check_ca(ca: x509.Certificate, now: float) -> None:
    """Raises ``SignatureError`` unless ``ca`` may issue certificates at ``now`` (unix seconds)."""
    try:
        limits = ca.extensions.get_extension_for_class(x509.BasicConstraints).value
        ca.verify_directly_issued_by(ca)
    except _MALFORMED:
        raise SignatureError("the CA certificate of the federation is malformed") from None
    if not limits.ca:
        raise SignatureError("the CA certificate of the federation is none of a CA")
    _check_time(ca, now, "the federation's CA certificate")


def check_issued(certificate: x509.Certificate, ca: x509.Certificate, role: Role) -> None:
    """Raises ``SignatureError`` unless ``ca`` issued ``certificate`` for ``role``, at any time."""
    try:
        certificate.verify_directly_issued_by(ca)
        limits = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
        usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except _MALFORMED:
        raise SignatureError("the federation's CA did not issue this certificate") from None
    if limits.ca or role.value not in list(usages):
        raise SignatureError(f"the certificate is not for a {role.name.lower()}")


def check_current(certificate: x509.Certificate, now: float) -> None:
    """Raises ``SignatureError`` unless ``certificate`` is in force at ``now`` (unix seconds)."""
    _check_time(certificate, now, "the certificate")


def life_left(certificate: x509.Certificate, now: float) -> float:
    """The share of its life that ``certificate`` has before it: 1 when new, below 0 when over."""
    begins = certificate.not_valid_before_utc.timestamp()
    ends = certificate.not_valid_after_utc.timestamp()
    return (ends - now) / (ends - begins)


def expiry(certificate: x509.Certificate) -> str:
    """When it ends, as people and JSON read it."""
    return certificate.not_valid_after_utc.isoformat()


def read_revocations(pem: bytes, ca: x509.Certificate) -> x509.CertificateRevocationList:
    """The CRL in ``pem``; ``SignatureError`` unless ``ca`` signed it."""
    key = ca.public_key()
    try:
        found = x509.load_pem_x509_crl(pem)
        if isinstance(key, ec.EllipticCurvePublicKey) and found.is_signature_valid(key):
            return found
    except (ValueError, TypeError, UnsupportedAlgorithm):
        pass
    raise SignatureError("the federation's CA did not sign this revocation list")


def moment(now: float) -> datetime:
    """``now`` (unix seconds) as X.509 has it."""
    return datetime.fromtimestamp(int(now), UTC)


def _check_time(certificate: x509.Certificate, now: float, what: str) -> None:
    if moment(now) < certificate.not_valid_before_utc:
        raise SignatureError(
            f"{what} is not in force yet: set the clock of this machine by NTP "
            "(`timedatectl set-ntp true`)"
        )
    if moment(now) > certificate.not_valid_after_utc:
        raise SignatureError(f"{what} expired at {expiry(certificate)}: it has to be renewed")
