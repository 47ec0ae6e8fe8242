"""Ed25519 keys for all that the federation signs: one purpose a signature, no key ever printed."""

import base64
import hashlib
import os
from pathlib import Path
from typing import NoReturn

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from common.errors import ConfigError, SignatureError

_RAW, _PEM = serialization.Encoding.Raw, serialization.Encoding.PEM


class PublicKey:
    """The half that everybody may have. ``text`` is its 32 bytes in URL-safe base64."""

    def __init__(self, key: Ed25519PublicKey) -> None:
        self._key = key
        self._raw = key.public_bytes(_RAW, serialization.PublicFormat.Raw)

    @classmethod
    def of(cls, text: str) -> "PublicKey":
        """The key of ``text``; ``SignatureError`` if it is none."""
        try:
            return cls(Ed25519PublicKey.from_public_bytes(decode(text)))
        except ValueError:
            raise SignatureError("not an Ed25519 public key") from None

    @property
    def text(self) -> str:
        return encode(self._raw)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the key, in hexadecimal: what two people compare on the telephone."""
        return hashlib.sha256(self._raw).hexdigest()

    @property
    def raw(self) -> bytes:
        return self._raw

    def verify(self, purpose: str, content: bytes, signature: bytes) -> None:
        """Raises ``SignatureError`` unless ``signature`` is over ``content`` for ``purpose``."""
        try:
            self._key.verify(signature, _framed(purpose, content))
        except InvalidSignature:
            raise SignatureError(
                f"the signature of the {purpose} is not by the key expected"
            ) from None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PublicKey) and self._raw == other._raw

    def __hash__(self) -> int:
        return hash(self._raw)

    def __repr__(self) -> str:
        return f"PublicKey({self.text})"


class SigningKey:
    """The secret half, in memory or in a file that only its owner reads.

    Guarantee: a signature names its purpose, so one made for a ledger head is none for a charter.
    Leaks: nothing is printed or pickled; the bytes live in this process until it ends.
    """

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key

    @classmethod
    def generate(cls) -> "SigningKey":
        """A new key of the operating system's randomness."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def load(cls, path: Path) -> "SigningKey":
        """The key in ``path``; ``ConfigError`` if there is none, or others may read the file."""
        try:
            if path.stat().st_mode & 0o077:
                raise ConfigError(f"others may read the key {path}: chmod 600 {path}")
            key = serialization.load_pem_private_key(path.read_bytes(), None)
        except OSError as error:
            raise ConfigError(f"cannot read the key {path}: {error.strerror}") from None
        except (ValueError, TypeError):
            raise ConfigError(f"{path} is not a private key") from None
        if not isinstance(key, Ed25519PrivateKey):
            raise ConfigError(f"{path} is not an Ed25519 key")
        return cls(key)

    def save(self, path: Path) -> None:
        """Writes a new file of mode 0600; ``ConfigError`` if something is there already."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            descriptor = os.open(path, flags, 0o600)
        except OSError as error:
            raise ConfigError(f"cannot write the key {path}: {error.strerror}") from None
        with os.fdopen(descriptor, "wb") as file:
            file.write(self.pem())
            file.flush()
            os.fsync(file.fileno())

    def pem(self) -> bytes:
        """PKCS 8 without a passphrase: for a private file, and for making a CSR of it."""
        form = serialization.PrivateFormat.PKCS8
        return self._key.private_bytes(_PEM, form, serialization.NoEncryption())

    @property
    def public(self) -> PublicKey:
        return PublicKey(self._key.public_key())

    def sign(self, purpose: str, content: bytes) -> bytes:
        """64 bytes over ``content``, good for ``purpose`` only."""
        return self._key.sign(_framed(purpose, content))

    def __repr__(self) -> str:
        return "SigningKey(...)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a signing key is not pickled")


def encode(raw: bytes) -> str:
    """URL-safe base64, as keys and signatures are written."""
    return base64.urlsafe_b64encode(raw).decode()


def decode(text: str) -> bytes:
    """What ``encode`` made ``text`` of. ``ValueError`` for any other spelling of the same bytes:
    one key, one text; one signed word, one digest."""
    raw = base64.b64decode(text.encode("ascii"), b"-_", validate=True)
    if encode(raw) != text:
        raise ValueError("not canonical base64")
    return raw


def _framed(purpose: str, content: bytes) -> bytes:
    label = purpose.encode()
    return b"mascaron signature v1\0" + len(label).to_bytes(2, "big") + label + content
