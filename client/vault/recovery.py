"""What a backup is sealed to: a public half at the site, and a private half far away from it.

The site can make backups and open none. HPKE (RFC 9180): X25519, HKDF-SHA256, AES-256-GCM.
"""

import os
from pathlib import Path
from typing import NoReturn

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from client.vault.handles import KEY
from common.errors import ConfigError, SealedError
from common.trust import storing
from common.trust.keys import decode, encode

_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


class RecoveryLock:
    """The public half, which the site has. ``text`` is its 32 bytes in URL-safe base64."""

    def __init__(self, key: X25519PublicKey) -> None:
        self._key = key

    @classmethod
    def of(cls, text: str) -> "RecoveryLock":
        """The half written as ``text``; ``ConfigError`` if it is none."""
        try:
            return cls(X25519PublicKey.from_public_bytes(decode(text.strip())))
        except ValueError:
            raise ConfigError("not the public half of a recovery key") from None

    @property
    def text(self) -> str:
        return encode(self._key.public_bytes_raw())

    def wrap(self, key: bytes, about: bytes) -> bytes:
        return _SUITE.encrypt(key, self._key, about)

    def unwrap(self, wrapped: bytes, about: bytes) -> bytes:
        """Never: whoever has only this half opens nothing."""
        raise SealedError("a backup is opened with the private half of the recovery key")


class RecoveryKey:
    """The private half, in a file of mode 0600 that is kept somewhere else.

    Guarantee: without it a backup opens to nobody, not to the site that made it.
    """

    def __init__(self, path: Path) -> None:
        try:
            if path.stat().st_mode & 0o077:
                raise ConfigError(f"others may read {path}: chmod 600 {path}")
            raw = path.read_bytes()
        except OSError as error:
            raise ConfigError(f"cannot read {path}: {error.strerror}") from None
        if len(raw) != KEY:
            raise ConfigError(f"{path} is not a recovery key")
        self._key = X25519PrivateKey.from_private_bytes(raw)

    @classmethod
    def create(cls, path: Path) -> "RecoveryKey":
        """Draws a new key into ``path``; ``ConfigError`` if something is there already."""
        if os.path.lexists(path):
            raise ConfigError(f"there is a key at {path} already")
        storing.replace(path, X25519PrivateKey.generate().private_bytes_raw())
        return cls(path)

    @property
    def lock(self) -> RecoveryLock:
        return RecoveryLock(self._key.public_key())

    def wrap(self, key: bytes, about: bytes) -> bytes:
        return self.lock.wrap(key, about)

    def unwrap(self, wrapped: bytes, about: bytes) -> bytes:
        try:
            return _SUITE.decrypt(wrapped, self._key, about)
        except (InvalidTag, ValueError):
            raise SealedError("the backup is for another recovery key, or was altered") from None

    def __repr__(self) -> str:
        return "RecoveryKey(...)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a recovery key is not pickled")
