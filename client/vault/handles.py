"""Keys that can be used but not looked at: no repr, no pickle, no copy, wiped when done with."""

import hmac
import struct
from collections.abc import Callable
from typing import NoReturn

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from client.vault.identity import Random
from common.errors import VaultError

KEY, NONCE, TAG = 32, 12, 16  # bytes
OVERHEAD = NONCE + TAG  # bytes that sealing adds

# Nonce, ciphertext with its tag, what it is bound to, and where the plain bytes go: exactly so many
# as there are. ``InvalidTag`` unless every bit is the same; then those bytes are of no use.
Opener = Callable[[bytes, bytes, bytes, memoryview], int]


def framed(*parts: bytes | str | int) -> bytes:
    """``parts`` in one text that no other parts have: each with its kind and length before it."""
    pieces = []
    for part in parts:
        kind, raw = _spelled(part)
        pieces.append(struct.pack(">cI", kind, len(raw)) + raw)
    return b"".join(pieces)


def heading(size: int) -> bytes:
    """What ``framed`` puts before ``size`` bytes: for texts of which only the bytes change."""
    return struct.pack(">cI", b"b", size)


def hkdf(secret: bytes, info: bytes, *, salt: bytes = b"", size: int = KEY) -> bytes:
    """HKDF-SHA256 (RFC 5869). ``ValueError`` for more than 255 digests of output."""
    return HKDF(SHA256(), size, salt or None, info).derive(secret)


class DataKey:
    """One AES-256-GCM key behind a handle.

    Guarantee: what was sealed opens only under the same key and the same ``about``; a bit changed
    anywhere is ``VaultError``. Nonces are 96 random bits: good for 2^32 messages a key, and a
    person has a handful. Neither ``repr``, ``pickle``, ``copy`` nor an exception shows a byte.
    Leaks: until ``wipe`` the bytes are in this process; OpenSSL's own copy is freed and cleansed by
    OpenSSL, and Python may have copied what it was given before.
    """

    __slots__ = ("_cipher", "_random", "_raw", "_tags")

    def __init__(self, raw: bytes, random: Random) -> None:
        if len(raw) != KEY:
            raise VaultError(f"a key has {KEY} bytes")
        self._raw: bytearray | None = bytearray(raw)
        self._cipher: AESGCM | None = AESGCM(raw)
        self._tags: bytearray | None = None  # the key for tags, once it was asked for
        self._random = random

    @classmethod
    def generate(cls, random: Random) -> "DataKey":
        """A new key, drawn from ``random``."""
        return cls(random(KEY), random)

    def seal(self, plain: bytes, about: bytes) -> bytes:
        """Nonce, ciphertext and tag: ``OVERHEAD`` bytes more than ``plain``."""
        nonce = self._random(NONCE)
        return nonce + self._live().encrypt(nonce, plain, about)

    def open(self, sealed: bytes, about: bytes) -> bytes:
        """What was sealed; ``VaultError`` unless every bit of it and of ``about`` is the same."""
        if len(sealed) < OVERHEAD:
            raise VaultError("a sealed record is too short to be one")
        try:
            return self._live().decrypt(sealed[:NONCE], sealed[NONCE:], about)
        except InvalidTag:
            raise VaultError("a sealed record was altered, or is another's") from None

    def openers(self) -> Callable[[bytes, bytes], Opener]:
        """From a key that is wrapped under this one, and what binds it there, to what it opens.

        ``InvalidTag`` where ``open`` raises ``VaultError``. Nothing is to be wiped: the bytes of
        that key are OpenSSL's alone afterwards.
        """
        unwrap = self._live().decrypt

        def opener(wrapped: bytes, about: bytes) -> Opener:
            return AESGCM(unwrap(wrapped[:NONCE], wrapped[NONCE:], about)).decrypt_into

        return opener

    def tag(self, message: bytes) -> bytes:
        """32 bytes that stand for ``message``: who lacks the key cannot link or guess it."""
        self._live()
        if self._tags is None:
            self._tags = bytearray(self._derive("tags"))
        return hmac.digest(self._tags, message, "sha256")

    def derive(self, use: str) -> "DataKey":
        """Another key, for one use; it tells nothing of this one."""
        return DataKey(self._derive(use), self._random)

    def sealed_with(self, seal: Callable[[bytes, bytes], bytes], about: bytes) -> bytes:
        """This key itself, sealed by ``seal``: the only way in which it leaves its handle."""
        self._live()
        return seal(bytes(self._raw or b""), about)

    def wipe(self) -> None:
        """Zeroes the bytes; the handle is of no use afterwards. Harmless when done twice."""
        for content in (self._raw, self._tags):
            if content is not None:
                content[:] = bytes(KEY)
        self._raw = self._cipher = self._tags = None

    def _derive(self, use: str) -> bytes:
        self._live()
        return hkdf(bytes(self._raw or b""), framed("mascaron vault v1", use))

    def _live(self) -> AESGCM:
        if self._cipher is None:
            raise VaultError("this key was wiped")
        return self._cipher

    def __repr__(self) -> str:
        return "DataKey(...)"

    def __reduce_ex__(self, _: object) -> NoReturn:
        raise TypeError("a key is neither pickled nor copied")


def _spelled(part: bytes | str | int) -> tuple[bytes, bytes]:
    if isinstance(part, bytes):
        return b"b", part
    if isinstance(part, str):
        return b"s", part.encode()
    return b"i", part.to_bytes(8, "big")
