"""How the messages of a secure sum become bytes: a length before each part, and nothing else.

Many small messages go with one vector, so a length takes the bytes it needs: seven bits a byte,
the lowest first, the top bit set where more follow. There is one way to write a message.
"""

import dataclasses
from dataclasses import dataclass
from typing import Any, TypeVar, get_args

from common.errors import WireError
from common.secagg.terms import MOST_SITES, MOST_WORDS

LONGEST = 8 * MOST_WORDS + 2**16

_M = TypeVar("_M", bound="Message")


@dataclass(frozen=True, slots=True)
class Message:
    """Base: fields are text, bytes, or tuples of text, bytes or messages."""

    def to_bytes(self) -> bytes:
        """Canonical bytes, for a protobuf field or a Flower record."""
        parts: list[bytes] = []
        for entry in dataclasses.fields(self):
            value = getattr(self, entry.name)
            if isinstance(value, tuple):
                parts.append(_length(len(value)))
            for item in value if isinstance(value, tuple) else (value,):
                raw = _raw(item)
                parts += [_length(len(raw)), raw]
        return b"".join(parts)

    @classmethod
    def from_bytes(cls: type[_M], content: bytes) -> _M:
        """Reads ``to_bytes``; ``WireError`` for anything else."""
        if len(content) > LONGEST:
            raise WireError("a message is too long")
        reader, values = _Reader(content), {}
        for entry in dataclasses.fields(cls):
            args = get_args(entry.type)
            if args:
                values[entry.name] = tuple(_value(args[0], item) for item in reader.items())
            else:
                values[entry.name] = _value(entry.type, reader.item())
        reader.end()
        return cls(**values)


class _Reader:
    def __init__(self, content: bytes) -> None:
        self._content, self._at = content, 0

    def item(self) -> bytes:
        length, start = self._number(), self._at
        if length > len(self._content) - start:
            raise WireError("a message is truncated")
        self._at = start + length
        return self._content[start : self._at]

    def items(self) -> list[bytes]:
        count = self._number()
        if count > 2 * MOST_SITES:
            raise WireError("a message has too many parts")
        return [self.item() for _ in range(count)]

    def end(self) -> None:
        if self._at != len(self._content):
            raise WireError("trailing bytes")

    def _number(self) -> int:
        number = 0
        for shift in range(0, 35, 7):
            if self._at >= len(self._content):
                raise WireError("a message is truncated")
            byte = self._content[self._at]
            self._at += 1
            number |= (byte & 127) << shift
            if byte < 128:
                if byte == 0 < shift:
                    break  # the same number has a shorter form
                return number
        raise WireError("not the length of a part")


def _length(number: int) -> bytes:
    raw = bytearray()
    while number > 127:
        raw.append(number & 127 | 128)
        number >>= 7
    raw.append(number)
    return bytes(raw)


def _raw(value: object) -> bytes:
    if isinstance(value, Message):
        return value.to_bytes()
    return value.encode() if isinstance(value, str) else bytes(value)  # type: ignore[call-overload]


def _value(kind: Any, raw: bytes) -> Any:
    if kind is bytes:
        return raw
    if kind is not str:
        return kind.from_bytes(raw)
    try:
        return raw.decode("ascii")
    except UnicodeDecodeError:
        raise WireError("a name is not text") from None
