"""The last head in a small file beside the log: what shows that last rows were lost with a damaged
write-ahead log.

Two slots are written in turn, each after its row is on the disk. One cut in half says so, and that
its row must be there.
"""

import hashlib
import os
import struct
from dataclasses import dataclass
from pathlib import Path

from client.audit.chain import HASH, AuditHead
from client.vault.disk import Disk

_SLOT = struct.Struct(f">Q{HASH}s16s")  # number, chain value, digest of both


@dataclass(frozen=True, kw_only=True, slots=True)
class Kept:
    """Heads that the log must have gone through, and how many rows it must have."""

    heads: tuple[tuple[int, bytes], ...]
    least: int


def path_of(log: Path) -> Path:
    """Where the file of the log at ``log`` is."""
    return log.with_name(f"{log.name}.head")


def read(path: Path) -> Kept | None:
    """What the file says, or None where there is none. A file that is damaged beyond one slot asks
    for more rows than any log has."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    size = _SLOT.size
    slots = (_slot(content[at : at + size]) for at in (0, size))
    heads = tuple(head for head in slots if head is not None)
    if len(content) != 2 * size or not heads:
        return Kept(heads=(), least=2**63)
    newest = max(index for index, _ in heads)
    return Kept(heads=heads, least=newest if len(heads) == 2 else newest + 1)


class Mirror:
    """Keeps the head of an open log."""

    def __init__(self, path: Path, disk: Disk, head: AuditHead) -> None:
        self._disk, self._at = disk, 0
        disk.replace(path, 2 * _packed(head))
        self._file = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)

    def write(self, head: AuditHead) -> None:
        """Overwrites the older slot. Not flushed: the row itself is, and an older head is true."""
        os.lseek(self._file, self._at, os.SEEK_SET)
        self._disk.write(self._file, _packed(head))
        self._at = _SLOT.size - self._at

    def close(self) -> None:
        """Gives the file back."""
        os.close(self._file)


def _packed(head: AuditHead) -> bytes:
    plain = head.index.to_bytes(8, "big") + head.hash
    return plain + hashlib.sha256(plain).digest()[:16]


def _slot(raw: bytes) -> tuple[int, bytes] | None:
    if len(raw) != _SLOT.size:
        return None
    index, value, digest = _SLOT.unpack(raw)
    return (index, value) if hashlib.sha256(raw[:-16]).digest()[:16] == digest else None
