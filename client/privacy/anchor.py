"""One small file beside the ledger: the lock that keeps it to one agent, and its last head.

SQLite drops what a damaged write-ahead log no longer proves, silently: a ledger could lose its
last rows without an error. The head written here after each row makes that loss visible.
"""

import fcntl
import os
import weakref
from pathlib import Path

from client.privacy.chain import Head
from common.errors import LedgerError

_MAC = 32  # bytes
_SIZE = 8 + _MAC


class Anchor:
    """Holds the lock from construction to ``close`` (or until the process is gone).

    Raises LedgerError when another process, or another ledger object, holds it.
    Guarantee: a head read here was once the ledger's: written after the row was on the disk.
    Leaks: nothing, and it stops nobody who restores both files from the same backup.
    """

    def __init__(self, path: Path) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        self._file = os.open(path, flags, 0o600)
        self._close = weakref.finalize(self, os.close, self._file)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._close()
            raise LedgerError("another agent has this ledger open") from None

    def read(self) -> Head | None:
        """The last head written, or None in a file that was never written to."""
        return parse_head(os.pread(self._file, _SIZE + 1, 0))

    def write(self, head: Head) -> None:
        """Overwrites in place: one write inside one disk sector, so never half of it."""
        os.pwrite(self._file, head.sequence.to_bytes(8, "big") + head.mac, 0)

    def sync(self) -> None:
        """Waits until the file itself is on the disk."""
        os.fsync(self._file)

    def close(self) -> None:
        """Gives the lock back; harmless when done twice."""
        self._close()


def parse_head(content: bytes) -> Head | None:
    """The head in a file's ``content``; None for an empty one, LedgerError for a damaged one."""
    if not content:
        return None
    if len(content) != _SIZE:
        raise LedgerError("the ledger's head file is damaged")
    return Head(int.from_bytes(content[:8], "big"), content[8:])
