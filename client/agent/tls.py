"""Mutual TLS on loopback: each end shows a certificate that the other end was given as a file."""

import datetime
from dataclasses import dataclass
from pathlib import Path

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from common.errors import ConfigError
from common.trust import storing

NAME = "mascaron-agent"  # that the certificate is for; a courier asks for it whatever the port
DAYS = 3650


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Tls:
    """PEM files of one end: its own key and certificate, and the one certificate it trusts.

    Guarantee: who cannot prove to hold the key of ``peer`` is refused before a byte of a request
    is read.
    """

    key: Path
    certificate: Path
    peer: Path

    def server(self) -> grpc.ServerCredentials:
        """What the agent listens with; ``ConfigError`` if a file cannot be read."""
        pair = (_read(self.key), _read(self.certificate))
        return grpc.ssl_server_credentials([pair], _read(self.peer), require_client_auth=True)


def make_end(folder: Path, name: str) -> None:
    """A new EC P-256 key and a certificate by itself, ``name.key`` (0600) and ``name.crt``.

    The two public halves are what an operator copies to the other end.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"mascaron {name}")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    private = key.private_bytes(serialization.Encoding.PEM, form, plain)
    storing.replace(folder / f"{name}.key", private)
    public = certificate.public_bytes(serialization.Encoding.PEM)
    storing.replace(folder / f"{name}.crt", public, storing.PUBLIC)


def _read(path: Path) -> bytes:
    content = storing.read(path)
    if content is None:
        raise ConfigError(f"no file {path}: `serve --make-tls` makes keys and certificates")
    return content
