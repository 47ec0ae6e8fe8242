"""A certificate authority and server certificates of any age and for any host."""

import datetime
import ipaddress
import time
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

DAY = 86400.0


@dataclass(frozen=True)
class Issuer:
    """A CA: its certificate in ``folder/ca.crt``, and the key to sign others."""

    folder: Path
    key: ec.EllipticCurvePrivateKey
    name: x509.Name

    @classmethod
    def make(cls, folder: Path, name: str = "authority") -> "Issuer":
        folder.mkdir(parents=True, exist_ok=True)
        issuer = cls(folder, ec.generate_private_key(ec.SECP384R1()), _name(name))
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        own = x509.SubjectKeyIdentifier.from_public_key(issuer.key.public_key())
        builder = (
            _begun(issuer.name, issuer.key, (-DAY, DAY))
            .issuer_name(issuer.name)
            .add_extension(x509.BasicConstraints(True, 0), True)
            .add_extension(usage, True)
            .add_extension(own, False)
        )
        _write(folder / "ca.crt", builder.sign(issuer.key, hashes.SHA384()))
        return issuer

    @property
    def ca(self) -> Path:
        return self.folder / "ca.crt"

    def issue(
        self, name: str = "server", host: str = "127.0.0.1", life: tuple[float, float] = (-DAY, DAY)
    ) -> tuple[Path, Path]:
        """Certificate and key for ``host``; ``life`` is in seconds from now."""
        key = ec.generate_private_key(ec.SECP384R1())
        own = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        builder = (
            _begun(_name(name), key, life)
            .issuer_name(self.name)
            .add_extension(x509.SubjectAlternativeName([_host(host)]), False)
            .add_extension(own, False)
        )
        certificate, private = self.folder / f"{name}.crt", self.folder / f"{name}.key"
        _write(certificate, builder.sign(self.key, hashes.SHA384()))
        form = serialization.PrivateFormat.PKCS8
        clear = serialization.NoEncryption()
        private.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, clear))
        return certificate, private


def _begun(
    name: x509.Name, key: ec.EllipticCurvePrivateKey, life: tuple[float, float]
) -> x509.CertificateBuilder:
    begins, ends = (
        datetime.datetime.fromtimestamp(time.time() + seconds, datetime.UTC) for seconds in life
    )
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common)])


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _write(path: Path, certificate: x509.Certificate) -> None:
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
