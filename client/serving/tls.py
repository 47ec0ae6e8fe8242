"""Mutual TLS: each end shows a certificate that the other end was given as a file."""

import datetime
import threading
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


Material = tuple[bytes, bytes, bytes]  # PEM of key, certificate and all that are trusted


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
        first = self._material()
        return grpc.dynamic_ssl_server_credentials(
            _configuration(first),
            _Changes(self._material, first),
            require_client_authentication=True,
        )

    def channel(self, address: str, options: Sequence[tuple[str, Any]] = ()) -> grpc.Channel:
        """To the agent at ``address``, as this end; ``ConfigError`` if a file cannot be read."""
        own = _read(self.key), _read(self.certificate)
        credentials = grpc.ssl_channel_credentials(_read(self.peer), *own)
        return grpc.secure_channel(address, credentials, (*OPTIONS, *options))

    def _material(self) -> Material:
        own = _read(self.certificate)  # its holder looks after this site: `status`, `doctor`
        peers = sorted(self.peer.glob("*.crt")) if self.peer.is_dir() else [self.peer]
        trusted = own + b"".join(storing.read(peer) or b"" for peer in peers)
        return _read(self.key), own, trusted


class _Changes:
    """What a server shows from now on where it is another than before, else None.

    gRPC asks at every handshake, and frees what it was told before while another handshake may
    still use it (grpc/grpc#36693): told the same each time, a crowd at the port crashes it.
    """

    def __init__(self, read: Callable[[], Material], first: Material) -> None:
        self._read, self._last, self._lock = read, first, threading.Lock()

    def __call__(self) -> grpc.ServerCertificateConfiguration | None:
        now = self._read()
        with self._lock:
            if now == self._last:
                return None
            told = _configuration(now)
            self._last = now  # only now: what could not be told is told again
        return told


def _configuration(material: Material) -> grpc.ServerCertificateConfiguration:
    key, own, trusted = material
    return grpc.ssl_server_certificate_configuration([(key, own)], trusted)


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
