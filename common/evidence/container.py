"""The tar around a release, as strict as it can be: one list of files, one sequence of bytes.

Headers are not interpreted but compared with the one that a file of this name and size must have,
so links, devices, paths, owners, extensions and hidden bytes have nowhere to be.
"""

import re
import tarfile
from collections.abc import Callable, Mapping

from common.errors import ReleaseError

MOST = 48 * 2**20  # bytes of a container
_BLOCK = 512
_END = bytes(2 * _BLOCK)
_NAME = re.compile(rb"[a-z0-9][a-z0-9._-]{0,90}")
_SIZE = re.compile(rb"[0-7]{11}")


def pack(files: Mapping[str, bytes]) -> bytes:
    """``files`` in the order given; ``ReleaseError`` if they are more than ``MOST`` bytes."""
    parts = []
    for name, content in files.items():
        parts += [_header(name, len(content)), content, bytes(-len(content) % _BLOCK)]
    packed = b"".join([*parts, _END])
    if len(packed) > MOST:
        raise ReleaseError(f"a release has at most {MOST} bytes, this one {len(packed)}")
    return packed


def unpack(content: bytes, cap: Callable[[str], int], most: int) -> dict[str, bytes]:
    """What ``pack`` made: files by name, in order.

    ``cap`` is how many bytes a file of a name may have (0: there is no such file), ``most`` how
    many files there may be. Raises ``ReleaseError`` for anything else, to the last byte.
    """
    if len(content) > MOST:
        raise ReleaseError(f"a release has at most {MOST} bytes")
    found: dict[str, bytes] = {}
    at = 0
    while (head := content[at : at + _BLOCK]) != bytes(_BLOCK):
        name, size = _read_header(head)
        if name in found or len(found) >= most or size > cap(name):
            raise ReleaseError("a release holds a file that it may not hold")
        start, at = at + _BLOCK, at + _BLOCK + size + -size % _BLOCK
        found[name] = content[start : start + size]
        if len(content) < at or any(content[start + size : at]):
            raise ReleaseError("a release is cut off, or has something between its files")
    if content[at:] != _END:
        raise ReleaseError("a release is cut off, or has something behind its files")
    return found


def _read_header(head: bytes) -> tuple[str, int]:
    name, size = head[:100].rstrip(b"\0"), head[124:135]
    if _NAME.fullmatch(name) and _SIZE.fullmatch(size):
        read = name.decode("ascii"), int(size, 8)
        if _header(*read) == head:
            return read
    raise ReleaseError("not a release, or one that was altered on the way")


def _header(name: str, size: int) -> bytes:
    about = tarfile.TarInfo(name)
    about.size, about.mode, about.mtime = size, 0o644, 0
    return about.tobuf(tarfile.USTAR_FORMAT, "ascii", "strict")
