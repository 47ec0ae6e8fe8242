"""What the header of a safetensors file tells beside its arrays: a table of texts."""

import json
from typing import Any

_KEY = "__metadata__"


def metadata(content: bytes) -> dict[str, Any]:
    """The table in the file ``content``; empty where there is none.

    The header is JSON after eight bytes of length. ``ValueError``, ``TypeError`` or
    ``RecursionError`` for one that cannot be read: what reads arrays refuses such a file, too.
    """
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    if not isinstance(header, dict):
        raise TypeError("header")
    table = header.get(_KEY, {})
    if not isinstance(table, dict):
        raise TypeError("metadata")
    return table
