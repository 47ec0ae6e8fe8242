"""All kinds of heads by name, and how a head is made again of what a file or charter says of it."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.errors import ModelError
from common.heads.age import AgeHead
from common.heads.attributes import AttributesHead
from common.heads.gender import GenderHead
from common.heads.head import Head
from common.heads.words import WordsHead

MOST = 4096  # attributes, dimensions of a text space
LONGEST = 64  # characters of a name
DEFAULT = ("attributes", "age")  # words need an encoder; gender is off until it is named


def head_of(kind: str, table: Mapping[str, Any], bank: NDArray[np.float32] | None = None) -> Head:
    """The head whose ``table()`` this is; ``bank`` (M, T) is for words alone.

    ``ModelError`` for anything that is not exactly such a table.
    """
    if kind not in _FIELDS:
        raise ModelError(f"heads are {', '.join(_FIELDS)}")
    if set(table) != set(_FIELDS[kind]):
        raise ModelError(f"{kind}: expected {', '.join(_FIELDS[kind])}")
    values = {name: _value(f"{kind} {name}", table[name], of) for name, of in _FIELDS[kind].items()}
    if kind == "attributes":
        return AttributesHead(**values)
    if kind == "age":
        return AgeHead(**values)
    if kind == "gender":
        return GenderHead(**values)
    return WordsHead(**values, bank=bank)


# What a table holds: a type, or a list of it.
_FIELDS: dict[str, dict[str, type | tuple[type]]] = {
    "attributes": {"names": (str,), "shown": (int,), "absent": (int,), "beta": float},
    "age": {"cuts": (int,)},
    "gender": {"female": int, "male": int, "beta": float},
    "words": {"size": int, "encoder": str, "scale": float},
}


def _value(where: str, value: Any, expected: type | tuple[type]) -> Any:
    if isinstance(expected, tuple):
        if not isinstance(value, list) or len(value) > MOST:
            raise ModelError(f"{where}: expected a list of at most {MOST}")
        return tuple(_value(where, one, expected[0]) for one in value)
    if type(value) is not expected:
        raise ModelError(f"{where}: expected {expected.__name__}")
    if isinstance(value, int) and not 0 <= value < 2**53:
        raise ModelError(f"{where}: out of range")
    if isinstance(value, str) and not 0 < len(value) <= LONGEST:
        raise ModelError(f"{where}: expected 1 to {LONGEST} characters")
    return value
