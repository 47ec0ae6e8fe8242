"""A tail in a file, as it travels from who made it to the sites that use it.

safetensors: the two arrays, and in the metadata the hash of the trunk that the tail belongs to. The
file is told apart from a trunk's weights by the names of its arrays.
"""

import re
from pathlib import Path

from common.errors import ModelError
from common.models.file_header import metadata
from common.models.tail import Tail

TRUNK = "trunk"  # key of the metadata
ENDING = ".tail.safetensors"
MOST = 256 * 2**20  # bytes of a file that is looked at
_HASH = re.compile(r"[0-9a-f]{64}")


def tail_bytes(tail: Tail, trunk: str) -> bytes:
    """``tail`` of the trunk with the hash ``trunk``: the same tail, the same bytes."""
    from safetensors.numpy import save

    return bytes(save(tail.arrays(), metadata={TRUNK: checked(trunk)}))


def parse_tail(content: bytes, where: str) -> tuple[Tail, str]:
    """What ``tail_bytes`` made: the tail and its trunk's hash.

    ``where`` names the file in messages. Raises ``ModelError`` for anything else, for values that
    are not finite and for arrays of other names or types.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        arrays = load(content)
        trunk = metadata(content).get(TRUNK, "")
    except (SafetensorError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        raise ModelError(f"{where}: not a safetensors file, or a truncated one") from None
    if any(array.dtype != "f4" for array in arrays.values()):
        raise ModelError(f"{where}: a tail is of float32")
    if not _HASH.fullmatch(str(trunk)):
        raise ModelError(f"{where}: it does not say which trunk it belongs to")
    return Tail.of(arrays), str(trunk)


def read_tail(path: Path) -> tuple[Tail, str]:
    """The tail in the file at ``path`` and its trunk's hash; ``ModelError`` if there is none."""
    try:
        if path.stat().st_size > MOST:
            raise ModelError(f"{path}: too large for a tail")
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}") from None
    return parse_tail(content, str(path))


def checked(trunk: str) -> str:
    """``trunk``, if it is the hash of one; ``ModelError`` else."""
    if not _HASH.fullmatch(trunk):
        raise ModelError("a trunk is named by its SHA-256, 64 of 0-9 and a-f")
    return trunk
