"""Keys and key streams of a secure sum: X25519, HKDF-SHA256, ChaCha20, ChaCha20-Poly1305.

Every derived key names what it is for, the attempt and both ends, and is used once, so nonces are
constant. Nothing here draws randomness.
"""

from dataclasses import dataclass

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from numpy.typing import NDArray

from common import wire
from common.errors import AggregationError
from common.secagg.fixed_point import FixedPoint

KEY = 32  # bytes of every key and secret
BOX = 2 * KEY + 16  # bytes of two encrypted shares
_ONCE = bytes(12)


@dataclass(frozen=True, slots=True)
class End:
    """One end of a pair: a site's name and the public key it uses for this purpose."""

    name: str
    key: bytes


def public_of(secret: bytes) -> bytes:
    """The X25519 public key of 32 secret bytes."""
    return X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()


def mask_key(secret: bytes, own: End, peer: End, attempt: bytes) -> bytes:
    """The key of the mask between two sites: the same from both ends."""
    first, second = sorted((own, peer), key=lambda end: end.name)
    return _derive(_agreed(secret, peer.key), "pair mask", attempt, first, second)


def box_key(secret: bytes, ends: tuple[End, End], peer: bytes, attempt: bytes) -> bytes:
    """The key for shares from ``ends[0]`` to ``ends[1]``; ``peer`` is the other's public key."""
    return _derive(_agreed(secret, peer), "shares", attempt, *ends)


def self_key(seed: bytes, name: str, attempt: bytes) -> bytes:
    """The key of a site's own mask."""
    return _derive(seed, "self mask", attempt, End(name, b""))


def stream(key: bytes, size: int, grid: FixedPoint) -> NDArray[np.unsignedinteger]:
    """``size`` uniform words of ChaCha20 under ``key``."""
    cipher = Cipher(algorithms.ChaCha20(key, bytes(16)), mode=None).encryptor()
    return np.frombuffer(cipher.update(bytes(size * grid.word.itemsize)), grid.word)


def shut(key: bytes, shares: bytes, bound_to: bytes) -> bytes:
    """``shares`` encrypted; opens only with the same key and ``bound_to``."""
    return ChaCha20Poly1305(key).encrypt(_ONCE, shares, bound_to)


def opened(key: bytes, box: bytes, bound_to: bytes) -> bytes:
    """Undoes :func:`shut`; ``AggregationError`` if anything was changed."""
    try:
        return ChaCha20Poly1305(key).decrypt(_ONCE, box, bound_to)
    except InvalidTag:
        raise AggregationError(
            "shares from another site do not open: they were altered, or made for another attempt"
        ) from None


def _agreed(secret: bytes, public: bytes) -> bytes:
    try:
        key = X25519PublicKey.from_public_bytes(public)
        return X25519PrivateKey.from_private_bytes(secret).exchange(key)
    except ValueError:  # of small order: the result would be no secret
        raise AggregationError("a site's X25519 key is not one") from None


def _derive(secret: bytes, use: str, attempt: bytes, *ends: End) -> bytes:
    parts = [part for end in ends for part in (end.name, end.key)]
    info = bytes.fromhex(wire.digest("mascaron secure aggregation v1", use, attempt, *parts))
    return HKDF(SHA256(), KEY, None, info).derive(secret)
