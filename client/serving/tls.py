"""Mutual TLS: each end shows a certificate that the other end was given as a file."""

import datetime
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from common.errors import ConfigError
from common.trust import storing

NAME = "mascaron-agent"  # that the certificate is for; a courier asks for it whatever the port
DAYS = 3650
OPTIONS = (
    ("grpc.ssl_target_name_override", NAME),
    ("grpc.enable_http_proxy", 0),  # this machine is not reached through another one
)


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Tls:
    """PEM files of one end: its own key and certificate, and the one certificate it trusts; or, for
    a server, a folder ``peer`` with one file (.crt) of each that it trusts.

    Guarantee: who can prove to hold neither the key of ``peer`` nor that of this end itself is
    refused before a byte of a request is read. A certificate that is replaced counts from the next
    connection on.
    """

    key: Path
    certificate: Path
    peer: Path

    def server(self) -> grpc.ServerCredentials:
        """What the agent listens with; ``ConfigError`` if its own files cannot be read.

        A peer that has made no certificate yet is let in as soon as it has.
        """
        return grpc.dynamic_ssl_server_credentials(
            self._identity(), self._identity, require_client_authentication=True
        )

    def channel(self, address: str, options: Sequence[tuple[str, Any]] = ()) -> grpc.Channel:
        """To the agent at ``address``, as this end; ``ConfigError`` if a file cannot be read."""
        own = _read(self.key), _read(self.certificate)
        credentials = grpc.ssl_channel_credentials(_read(self.peer), *own)
        return grpc.secure_channel(address, credentials, (*OPTIONS, *options))

    def _identity(self) -> grpc.ServerCertificateConfiguration:
        own = _read(self.certificate)  # its holder looks after this site: `status`, `doctor`
        peers = sorted(self.peer.glob("*.crt")) if self.peer.is_dir() else [self.peer]
        trusted = own + b"".join(storing.read(peer) or b"" for peer in peers)
        return grpc.ssl_server_certificate_configuration([(_read(self.key), own)], trusted)


def make_end(folder: Path, name: str, clock: Callable[[], float] = time.time) -> None:
    """A new EC P-256 key and a certificate by itself, ``name.key`` (0600) and ``name.crt``.

    The two public halves are what is given to the other end.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"mascaron {name}")])
    now = datetime.datetime.fromtimestamp(clock(), datetime.UTC)
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
        raise ConfigError(f"there is no {path}: `mascaron-site serve` and `join` make such files")
    return content
