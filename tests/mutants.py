"""Messages gone wrong: bytes by accident, fields on purpose, whatever fields a message has."""

import random
from collections.abc import Mapping
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

BYTES = (0, 1, 0x7F, 0x80, 0xFF)
NUMBERS = (0, 1, 2, 3, 127, 2**16, 2**31 - 1, 2**31, 2**32 - 1)
TEXTS = ("", "\0", "x", "é" * 129, "x" * 200, "9" * 5000, "{}", "[" * 3000, '{"content":1}')
REALS = (0.0, -1.0, 1e308, float("inf"), float("nan"))
MOST = 100  # of one repeated field: many, and not so many that a storm takes for ever

_PLAIN: dict[int, Any] = {
    FieldDescriptor.CPPTYPE_STRING: "a",
    FieldDescriptor.CPPTYPE_BOOL: True,
    FieldDescriptor.CPPTYPE_DOUBLE: 0.5,
    FieldDescriptor.CPPTYPE_FLOAT: 0.5,
}


def filled(kind: type[Message], known: Mapping[str, Any]) -> Message:
    """A message in which every field says something: what ``known`` has under its name."""
    message = kind()
    for field in message.DESCRIPTOR.fields:
        value = known.get(field.name, _plain(field))
        if field.is_repeated:
            there = getattr(message, field.name)
            there.extend(value if isinstance(value, list) else [value] if value is not None else [])
            if value is None:
                there.add()
        elif value is not None:
            setattr(message, field.name, value)
    return message


def bent(message: Message, rng: random.Random) -> bytes:
    """``message`` with one to three of its fields, or of those inside, set to what nobody means."""
    made = type(message)()
    made.CopyFrom(message)
    for _ in range(rng.randint(1, 3)):
        _bend(made, rng)
    return made.SerializeToString()


def mutated(content: bytes, rng: random.Random) -> bytes:
    """``content`` after one to four accidents: bits, cuts, copies, lengths, another's bytes."""
    made = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        at, length = rng.randrange(len(made) + 1), rng.randint(1, 40)
        match rng.randrange(6):
            case 0 if at < len(made):
                made[at] ^= 1 << rng.randrange(8)
            case 1:
                del made[at : at + length]
            case 2:
                made[at:at] = rng.randbytes(length)
            case 3:
                made[at:at] = made[at : at + length] * rng.randint(1, 50)
            case 4 if at < len(made):
                made[at] = rng.choice(BYTES)
            case _:
                made = made[:at] if rng.random() < 0.2 else made
    return bytes(made)


def mutant(message: Message, rng: random.Random) -> bytes:
    """One of either kind, or both: bent, and then an accident happens to it."""
    chance = rng.random()
    content = bent(message, rng) if chance < 0.6 else message.SerializeToString()
    return mutated(content, rng) if chance > 0.4 else content


def _plain(field: FieldDescriptor) -> Any:
    if field.cpp_type == FieldDescriptor.CPPTYPE_MESSAGE:
        return None
    if field.type == FieldDescriptor.TYPE_BYTES:
        return bytes(16)
    return _PLAIN.get(field.cpp_type, 1)


def _bend(message: Any, rng: random.Random) -> None:
    field = rng.choice(message.DESCRIPTOR.fields)
    if field.is_repeated:
        _bend_list(message, field, rng)
    elif field.cpp_type == FieldDescriptor.CPPTYPE_MESSAGE:
        _bend(getattr(message, field.name), rng)
    else:
        setattr(message, field.name, _odd(field, getattr(message, field.name), rng))


def _bend_list(message: Any, field: FieldDescriptor, rng: random.Random) -> None:
    items = getattr(message, field.name)
    nested = field.cpp_type == FieldDescriptor.CPPTYPE_MESSAGE
    match rng.randrange(4):
        case 0:
            message.ClearField(field.name)
        case 1 if items:
            del items[rng.randrange(len(items))]
        case 2 if items:
            items.extend([items[rng.randrange(len(items))]] * rng.choice((1, 3, MOST)))
        case _ if items and nested:
            _bend(items[rng.randrange(len(items))], rng)
        case _ if items:
            at = rng.randrange(len(items))
            items[at] = _odd(field, items[at], rng)
        case _ if nested:
            items.add()
        case _:
            items.append(_odd(field, _plain(field), rng))


def _odd(field: FieldDescriptor, value: Any, rng: random.Random) -> Any:
    """Another value of the same type: the ends of its range, or ``value`` a little changed."""
    if field.type == FieldDescriptor.TYPE_BYTES:
        return rng.choice((b"", rng.randbytes(rng.randint(1, 100)), mutated(value, rng)))
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        at = rng.randrange(len(value) + 1)
        return rng.choice((*TEXTS, value + "x", value[:at], value[:at] + "0" + value[at + 1 :]))
    if field.cpp_type in (FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT):
        return rng.choice(REALS)
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return not value
    return rng.choice(NUMBERS) if field.enum_type is None else 0
