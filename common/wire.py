"""What crosses process borders: record names, the tensor codec and the protocol version.

The courier travels in a bundle of code sent by the centre and knows this file and the generated
messages, nothing else of ours. Numpy only; no pickle, no object arrays, every length checked.
"""

import hashlib
import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.errors import WireError

PROTOCOL = 1

# Keys of the records in a Flower message.
ARRAYS, CONFIG, METRICS = "arrays", "config", "metrics"
WEIGHT = "num-examples"  # the key flwr's strategies weigh by; always a public constant here
RUN, ROUND, VERSION = "run", "round", "protocol"
CHARTER, CHARTER_DIGEST, INITIAL, HEAD = "charter", "charter-digest", "initial", "head"
ROSTER = "roster"
CHALLENGE, SITE, SIGNATURE = "challenge", "site", "signature"
CAMERA_TYPE, TRUNK, PEOPLE = "camera-type", "trunk", "people"
ATTEMPT, PHASE, PAYLOAD = "attempt", "phase", "payload"
EPSILON, AUTOMATIC, STATE, PROGRESS = "epsilon", "automatic", "state", "progress"

DTYPES: dict[str, np.dtype[Any]] = {"float32": np.dtype("<f4"), "float64": np.dtype("<f8")}
MAX_TENSORS = 64
MAX_ELEMENTS = 64 * 2**20  # over all tensors of one message
MAX_NAME = 128

# The only words about a failure that may cross to the centre.
REASONS = frozenset(
    {
        "AGGREGATION_REFUSED",
        "BUNDLE_REFUSED",
        "BUSY",
        "CHARTER_PENDING",
        "CHARTER_REFUSED",
        "COHORT_TOO_SMALL",
        "CONFIG_INVALID",
        "DRAINING",
        "GATE_REFUSED",
        "INTERNAL",
        "INVALID_REQUEST",
        "LEDGER_CORRUPT",
        "LEDGER_FULL",
        "NOT_READY",
        "PLAN_REFUSED",
        "PRIVACY_BUDGET_EXHAUSTED",
        "PROTOCOL_VERSION",
        "REPLAY_MISMATCH",
        "ROLLBACK_DETECTED",
        "SIGNATURE_INVALID",
        "TRUNK_MISMATCH",
        "UNAVAILABLE",
    }
)
ERROR_CODE = 1000  # of a Flower Error that carries one of the reasons

Arrays = Mapping[str, NDArray[np.generic]]


@dataclass(frozen=True, slots=True)
class Encoded:
    """One array as it travels: dtype name, shape, little-endian C-order bytes."""

    dtype: str
    shape: tuple[int, ...]
    data: bytes


def encode(array: NDArray[np.generic]) -> Encoded:
    """Raises ``WireError`` for any dtype but float32 and float64."""
    if array.dtype.name not in DTYPES:
        raise WireError(f"dtype {array.dtype.name} does not travel")
    data = np.ascontiguousarray(array, DTYPES[array.dtype.name]).tobytes()
    return Encoded(array.dtype.name, array.shape, data)


def decode(dtype: str, shape: Sequence[int], data: bytes) -> NDArray[np.generic]:
    """The array of :func:`encode`; ``WireError`` unless dtype, shape and length agree."""
    if dtype not in DTYPES:
        raise WireError("unknown dtype")
    if len(shape) > 4 or any(n < 0 for n in shape):
        raise WireError("bad shape")
    elements = math.prod(shape)
    room = math.prod(max(n, 1) for n in shape)  # numpy cannot shape even nothing beyond its limit
    if room > MAX_ELEMENTS or len(data) != elements * DTYPES[dtype].itemsize:
        raise WireError("shape and length of a tensor disagree")
    array = np.frombuffer(data, DTYPES[dtype]).reshape(tuple(shape))
    return np.asarray(array.astype(array.dtype.newbyteorder("=")))


def dump(arrays: Arrays) -> bytes:
    """Canonical bytes of named arrays: sorted by name, every part length-prefixed."""
    parts = [struct.pack("<I", len(arrays))]
    for name in sorted(arrays):
        encoded = encode(arrays[name])
        label, dtype = name.encode(), encoded.dtype.encode()
        parts += [struct.pack("<II", len(label), len(dtype)), label, dtype]
        parts += [struct.pack(f"<I{len(encoded.shape)}I", len(encoded.shape), *encoded.shape)]
        parts += [struct.pack("<Q", len(encoded.data)), encoded.data]
    return b"".join(parts)


def load(content: bytes) -> dict[str, NDArray[np.generic]]:
    """The arrays of :func:`dump`; ``WireError`` for anything it did not write."""
    reader = _Reader(content)
    arrays: dict[str, NDArray[np.generic]] = {}
    (count,) = reader.numbers("I")
    if count > MAX_TENSORS:
        raise WireError("too many tensors")
    for _ in range(count):
        label, dtype = reader.numbers("II")
        name, kind = reader.text(label), reader.text(dtype)
        (rank,) = reader.numbers("I")
        shape = reader.numbers(f"{min(rank, 5)}I")
        (length,) = reader.numbers("Q")
        if name in arrays:
            raise WireError("a tensor appears twice")
        arrays[name] = decode(kind, shape, reader.take(length))
    if reader.left:
        raise WireError("trailing bytes")
    return arrays


def digest(*parts: str | bytes) -> str:
    """SHA-256 in hex over length-prefixed parts, so that no two lists collide by joining."""
    state = hashlib.sha256()
    for part in parts:
        raw = part.encode() if isinstance(part, str) else part
        state.update(struct.pack("<Q", len(raw)))
        state.update(raw)
    return state.hexdigest()


class _Reader:
    def __init__(self, content: bytes) -> None:
        self._content, self._at = content, 0

    @property
    def left(self) -> int:
        return len(self._content) - self._at

    def take(self, length: int) -> bytes:
        if length > self.left:
            raise WireError("truncated tensors")
        self._at += length
        return self._content[self._at - length : self._at]

    def text(self, length: int) -> str:
        if length > MAX_NAME:
            raise WireError("a name is too long")
        try:
            return self.take(length).decode()
        except UnicodeDecodeError:
            raise WireError("a name is not text") from None

    def numbers(self, layout: str) -> tuple[int, ...]:
        layout = "<" + layout
        return struct.unpack(layout, self.take(struct.calcsize(layout)))
