"""What daemons say, in files of bounded size that hold nothing a log should not.

Guarantee: no control character and no long key or token gets into a log, and a log with its older
ones stays below (KEPT + 1) times its size, whatever a daemon is made to say.
"""

import os
import re
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

LARGEST = 2 * 2**20  # bytes of one file
KEPT = 3  # older ones, `name.log.1` the youngest
LONGEST_LINE = 500  # characters
SECRET = re.compile(r"[0-9A-Za-z+_=-]{40,}")  # hashes, tokens and keys, not words
UNPRINTABLE = re.compile(r"\x1b\[[0-9;]*[A-Za-z]|[\x00-\x1f\x7f-\x9f]")


class Logs:
    """One file a daemon in ``folder``; every line gets its time (``wall``, seconds since 1970)."""

    def __init__(
        self, folder: Path, wall: Callable[[], float] = time.time, largest: int = LARGEST
    ) -> None:
        self._folder, self._wall, self._largest = folder, wall, largest

    def heard(self, name: str, line: str) -> None:
        """Writes a line of the daemon ``name``; a full disk costs lines, not daemons."""
        told = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(self._wall()))
        content = f"{told} {cleaned(line)}\n".encode("utf-8", "replace")
        path = self._folder / f"{name}.log"
        with suppress(OSError):
            rotate(path, self._largest - len(content))
            descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                os.write(descriptor, content)
            finally:
                os.close(descriptor)


def cleaned(line: str) -> str:
    """A line fit for a log: no control characters, no long key or token, not too long."""
    plain = UNPRINTABLE.sub("", line)
    return SECRET.sub(lambda found: f"{found[0][:8]}...", plain)[:LONGEST_LINE].rstrip()


def rotate(path: Path, largest: int = LARGEST) -> None:
    """Moves what is in ``path`` to ``path.1`` and so on if it is larger than ``largest`` bytes.

    The file itself stays, since another process may have it open for appending; a line written in
    between may be lost. A full disk makes room by losing the old ones.
    """
    try:
        if path.stat().st_size <= largest:
            return
    except FileNotFoundError:
        return
    for number in range(KEPT, 1, -1):
        with suppress(FileNotFoundError):
            _older(path, number - 1).replace(_older(path, number))
    try:
        shutil.copyfile(path, _older(path, 1))
        _older(path, 1).chmod(0o600)
    except OSError:
        _older(path, 1).unlink(missing_ok=True)
    os.truncate(path, 0)


def _older(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}")
