"""Keys, pads and key streams of a secure sum: X25519, HKDF-SHA256, ChaCha20.

Every derived key names what it is for, the attempt and both ends, and is used once, so nonces are
constant. Nothing here draws randomness. Secrets that are shared out have 16 bytes: 128 bits of
security, about what X25519 has; a guess can be tried against one site and one attempt at a time.
"""

from dataclasses import dataclass

import numpy as np
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from numpy.typing import NDArray

from common import wire
from common.errors import AggregationError
from common.secagg import shamir
from common.secagg.fixed_point import FixedPoint
from common.secagg.terms import VERSION

KEY = 32  # bytes of every key


@dataclass(frozen=True, slots=True)
class End:
    """One end of a pair: a site's name and the public key it uses for this purpose."""

    name: str
    key: bytes


def private_of(secret: bytes, name: str, attempt: bytes) -> X25519PrivateKey:
    """The key for masks that a site's shared ``secret`` stands for in this attempt."""
    return X25519PrivateKey.from_private_bytes(_derive(secret, "private key", attempt, name))


def public_of(private: X25519PrivateKey) -> bytes:
    """The 32 bytes of the public half."""
    return private.public_key().public_bytes_raw()


def agreed(private: X25519PrivateKey, public: bytes) -> bytes:
    """What the holders of two keys both know; ``AggregationError`` for a key that is none."""
    try:
        return private.exchange(X25519PublicKey.from_public_bytes(public))
    except ValueError:  # of small order: the result would be no secret
        raise AggregationError("a site's X25519 key is not one") from None


def mask_key(shared: bytes, one: End, other: End, attempt: bytes) -> bytes:
    """The key of the mask between two sites: the same from both ends."""
    first, second = sorted((one, other), key=lambda end: end.name)
    return _derive(shared, "pair mask", attempt, first.name, first.key, second.name, second.key)


def pads(
    shared: bytes, ends: tuple[End, End], cohort: bytes, attempt: bytes
) -> tuple[bytes, bytes]:
    """Two elements of the field, for shares from ``ends[0]`` to ``ends[1]`` in this cohort.

    Guarantee: to who has not ``shared``, uniform and independent of all other pads.
    """
    dealer, keeper = ends
    parts = (cohort, dealer.name, dealer.key, keeper.name, keeper.key)
    return (
        shamir.reduced(_derive(shared, "pad of the seed", attempt, *parts)),
        shamir.reduced(_derive(shared, "pad of the mask secret", attempt, *parts)),
    )


def self_key(seed: bytes, name: str, attempt: bytes) -> bytes:
    """The key of a site's own mask."""
    return _derive(seed, "self mask", attempt, name)


def stream(key: bytes, size: int, grid: FixedPoint) -> NDArray[np.unsignedinteger]:
    """``size`` uniform words of ChaCha20 under ``key``."""
    cipher = Cipher(algorithms.ChaCha20(key, bytes(16)), mode=None).encryptor()
    return np.frombuffer(cipher.update(bytes(size * grid.word.itemsize)), grid.word)


def _derive(secret: bytes, use: str, attempt: bytes, *parts: str | bytes) -> bytes:
    info = bytes.fromhex(wire.digest(VERSION, use, attempt, *parts))
    return HKDF(SHA256(), KEY, None, info).derive(secret)
