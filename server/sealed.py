"""A folder's files in one sealed file: Argon2id from a passphrase, AES-256-GCM over everything.

The first line says what it is and how it was sealed; it is authenticated along with the rest.
"""

import base64
import json
import os
import struct
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from common.config import build
from common.errors import ConfigError, SignatureError

MAGIC = b"mascaron backup v1\n"
SHORTEST = 12  # characters of a passphrase
SALT, NONCE, KEY = 16, 12, 32  # bytes
LARGEST = 2**31  # bytes of a sealed file
_HEADER_LIMIT = 64 * 2**10
# Refused beyond: a hostile file must not make the reader allocate or compute without end.
_MOST_MEMORY, _MOST_ITERATIONS, _MOST_LANES = 2**20, 10, 16

Files = Mapping[str, bytes]  # by path from the folder, with '/'


@dataclass(frozen=True, kw_only=True, slots=True)
class Lock:
    """How the key was made. The defaults are the second recommended option of RFC 9106."""

    salt: str
    nonce: str
    iterations: int = 3
    lanes: int = 4
    memory: int = 64 * 2**10  # KiB

    def __post_init__(self) -> None:
        if not (
            8 <= self.memory <= _MOST_MEMORY
            and 1 <= self.iterations <= _MOST_ITERATIONS
            and 1 <= self.lanes <= _MOST_LANES
            and self.memory >= 8 * self.lanes
        ):
            raise ConfigError("the numbers of Argon2id are outside what is reasonable")
        for text, size in ((self.salt, SALT), (self.nonce, NONCE)):
            if len(_bytes(text)) != size:
                raise ConfigError("salt or nonce is malformed")

    def cipher(self, passphrase: str) -> AESGCM:
        """AES-256-GCM under the key of ``passphrase``."""
        kdf = Argon2id(
            salt=_bytes(self.salt),
            length=KEY,
            iterations=self.iterations,
            lanes=self.lanes,
            memory_cost=self.memory,
        )
        return AESGCM(kdf.derive(passphrase.encode()))


def seal(files: Files, about: Mapping[str, Any], passphrase: str) -> bytes:
    """``files`` and ``about`` in one sealed text. ``about`` can be read without the passphrase.

    Guarantee: without the passphrase nobody reads a file or changes a bit unnoticed.
    Leaks: ``about`` and the total size.
    Raises ``ConfigError`` for a passphrase that is too short.
    """
    if len(passphrase) < SHORTEST:
        raise ConfigError(f"a passphrase has at least {SHORTEST} characters: take several words")
    lock = Lock(salt=_text(os.urandom(SALT)), nonce=_text(os.urandom(NONCE)))
    header = MAGIC + json.dumps({"about": dict(about), "lock": asdict(lock)}).encode() + b"\n"
    index = json.dumps({path: len(content) for path, content in files.items()}).encode()
    body = struct.pack("<Q", len(index)) + index + b"".join(files.values())
    return header + lock.cipher(passphrase).encrypt(_bytes(lock.nonce), body, header)


def unseal(content: bytes, passphrase: str) -> tuple[dict[str, Any], dict[str, bytes]]:
    """What was said ``about`` the files, and the files.

    Raises ``SignatureError`` unless every bit is as it was sealed and the passphrase is right.
    """
    header, table = _header(content)
    try:
        lock = build(Lock, table["lock"], "lock")
        sealed = content[len(header) :]
        body = lock.cipher(passphrase).decrypt(_bytes(lock.nonce), sealed, header)
    except InvalidTag:
        raise SignatureError("the passphrase is wrong, or the file was altered") from None
    except (ConfigError, TypeError, AttributeError):
        raise SignatureError("the header of the backup was altered") from None
    return dict(table["about"]), _files(body)


def _header(content: bytes) -> tuple[bytes, dict[str, Any]]:
    if not content.startswith(MAGIC):
        raise SignatureError("not a backup of mascaron, or of another version")
    end = content.find(b"\n", len(MAGIC), _HEADER_LIMIT)
    try:
        table = json.loads(content[len(MAGIC) : end])
        if end < 0 or not isinstance(table["about"], dict) or "lock" not in table:
            raise ValueError
    except (ValueError, KeyError, TypeError, RecursionError):
        raise SignatureError("the header of the backup was altered") from None
    return content[: end + 1], table


def _files(body: bytes) -> dict[str, bytes]:
    """The files in ``body``, which is authentic here."""
    (size,) = struct.unpack_from("<Q", body)
    index, at, files = json.loads(body[8 : 8 + size]), 8 + size, {}
    for path, length in index.items():
        files[path] = body[at : at + length]
        at += length
    return files


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode()


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text.encode("ascii"), b"-_", validate=True)
    except ValueError:
        raise ConfigError("salt or nonce is malformed") from None
