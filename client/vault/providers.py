"""Who keeps the key that all others hang from: a key file, a passphrase file, or your own device.

An HSM or KMS has to do two things, ``wrap`` and ``unwrap``, and never sees more than epoch keys.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, Protocol

from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from client.vault.handles import KEY, DataKey, framed, hkdf
from client.vault.identity import Random
from common.errors import ConfigError, SealedError, VaultError
from common.plugged import imported
from common.trust import storing

MARK = 8  # bytes that tell one wrapping key from another, so that a wrong one is called wrong
SALT = 16
SHORTEST = 12  # characters of a passphrase


class KeyProvider(Protocol):
    """All that an HSM or KMS must do."""

    def wrap(self, key: bytes, about: bytes) -> bytes:
        """``key`` sealed, bound to ``about``."""
        ...

    def unwrap(self, wrapped: bytes, about: bytes) -> bytes:
        """The key; ``SealedError`` if this provider cannot, ``VaultError`` if it was altered."""
        ...


def plugged_in(name: str) -> KeyProvider:
    """The provider that ``name`` (``package.module:name``) makes when it is called with nothing.

    ``ConfigError`` if it cannot be made, or lacks a method. What it raises later than that is told
    by its type alone, as a ``SealedError``.
    """
    make = imported(name, "vault_provider")
    try:
        made = make()
    except Exception as error:  # foreign code, whose words may hold a secret
        raise ConfigError(
            f"vault_provider {name!r} cannot be made: {type(error).__name__}"
        ) from None
    if not all(callable(getattr(made, method, None)) for method in ("wrap", "unwrap")):
        raise ConfigError(f"vault_provider {name!r} lacks wrap or unwrap")
    return _Plugged(made)


class _Plugged:
    """A foreign provider, whose errors become ours."""

    def __init__(self, provider: KeyProvider) -> None:
        self._provider = provider

    def wrap(self, key: bytes, about: bytes) -> bytes:
        return self._asked(self._provider.wrap, key, about)

    def unwrap(self, wrapped: bytes, about: bytes) -> bytes:
        return self._asked(self._provider.unwrap, wrapped, about)

    def _asked(self, method: Callable[[bytes, bytes], bytes], *given: bytes) -> bytes:
        try:
            answer = method(*given)
        except VaultError:
            raise
        except Exception as error:  # foreign code, whose words may hold a secret
            raise SealedError(f"the vault's provider failed: {type(error).__name__}") from None
        if not isinstance(answer, bytes):
            raise SealedError("the vault's provider gives no bytes")
        return answer


class FileKeyProvider:
    """32 random bytes in a file of mode 0600.

    Guarantee: a copy of the vault without this file opens nothing.
    Leaks: who has both has everything; keep the file off the backups of the vault's disk.
    """

    def __init__(self, path: Path, random: Random = os.urandom) -> None:
        content = _private(path)
        if len(content) != KEY:
            raise ConfigError(f"{path} is not a key of {KEY} bytes")
        self._key, self._mark = DataKey(content, random), _mark_of(content)

    @classmethod
    def create(cls, path: Path, random: Random = os.urandom) -> "FileKeyProvider":
        """Draws a new key into ``path``; ``ConfigError`` if something is there already."""
        if os.path.lexists(path):
            raise ConfigError(f"there is a key at {path} already")
        storing.replace(path, random(KEY))
        return cls(path, random)

    def wrap(self, key: bytes, about: bytes) -> bytes:
        return self._mark + self._key.seal(key, about)

    def unwrap(self, wrapped: bytes, about: bytes) -> bytes:
        return _unwrapped(self._key, self._mark, wrapped, about)

    def __repr__(self) -> str:
        return "FileKeyProvider(...)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a provider of keys is not pickled")


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """Of one guess at a passphrase. The defaults are the second recommended option of RFC 9106."""

    iterations: int = 3
    lanes: int = 4
    memory: int = 64 * 2**10  # KiB


COST = Cost()


class PassphraseProvider:
    """A passphrase in a file of mode 0600, stretched by Argon2id over a random salt.

    Guarantee: a copy of the vault without the passphrase costs ``Cost`` a guess.
    Leaks: the file is there so that the site starts unattended: who reads it needs no guess.
    """

    def __init__(self, path: Path, cost: Cost = COST, random: Random = os.urandom) -> None:
        self._passphrase = _private(path).rstrip(b"\r\n")
        try:
            long = len(self._passphrase.decode()) >= SHORTEST
        except UnicodeDecodeError:
            long = False
        if not long:
            raise ConfigError(f"{path} must hold a passphrase of {SHORTEST} characters or more")
        self._cost, self._random = cost, random
        self._known: dict[bytes, tuple[DataKey, bytes]] = {}  # by salt
        self._salt = random(SALT)

    def wrap(self, key: bytes, about: bytes) -> bytes:
        cipher, mark = self._stretched(self._salt)
        return self._salt + mark + cipher.seal(key, framed(self._salt, about))

    def unwrap(self, wrapped: bytes, about: bytes) -> bytes:
        salt, rest = wrapped[:SALT], wrapped[SALT:]
        if len(salt) != SALT:
            raise VaultError("a wrapped key is too short to be one")
        return _unwrapped(*self._stretched(salt), rest, framed(salt, about))

    def _stretched(self, salt: bytes) -> tuple[DataKey, bytes]:
        if salt not in self._known:
            cost = self._cost
            kdf = Argon2id(
                salt=salt,
                length=KEY,
                iterations=cost.iterations,
                lanes=cost.lanes,
                memory_cost=cost.memory,
            )
            raw = kdf.derive(self._passphrase)
            self._known[salt] = DataKey(raw, self._random), _mark_of(raw)
        return self._known[salt]

    def __repr__(self) -> str:
        return "PassphraseProvider(...)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a provider of keys is not pickled")


def _unwrapped(key: DataKey, mark: bytes, wrapped: bytes, about: bytes) -> bytes:
    if len(wrapped) < MARK:
        raise VaultError("a wrapped key is too short to be one")
    if wrapped[:MARK] != mark:
        raise SealedError(
            "the vault was closed with another key: put back the key or passphrase file it had"
        )
    return key.open(wrapped[MARK:], about)


def _mark_of(raw: bytes) -> bytes:
    return hkdf(raw, framed("mascaron vault v1", "which key"), size=MARK)


def _private(path: Path) -> bytes:
    """What is in ``path``; ``ConfigError`` unless its owner alone may read it."""
    try:
        if path.stat().st_mode & 0o077:
            raise ConfigError(f"others may read {path}: chmod 600 {path}")
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from None
