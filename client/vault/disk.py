"""Every write, flush and rename of the vault, one method each: what a test lets fail in turn.

Nothing here decides anything. What is written through it is on the disk when the method returns.
"""

import os
import sqlite3
import tempfile
from pathlib import Path

PRIVATE = 0o600
PARTIAL = ".partial"  # end of a file's name while it is being written


class Disk:
    """The file system of this machine. Errors are ``OSError`` and ``sqlite3.Error``, as raised."""

    def replace(self, path: Path, content: bytes) -> None:
        """Puts ``content`` at ``path`` whole: whoever opens it finds the old file or the new."""
        prefix = f".{path.name}."
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=prefix, suffix=PARTIAL)
        try:
            try:
                self.write(descriptor, content)
                self.sync(descriptor)
            finally:
                os.close(descriptor)
            self.rename(Path(name), path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        self.sync_folder(path.parent)

    def patch(self, path: Path, content: bytes, at: int = 0) -> None:
        """Overwrites some bytes of the file in place, from ``at``."""
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            os.lseek(descriptor, at, os.SEEK_SET)
            self.write(descriptor, content)
            self.sync(descriptor)
        finally:
            os.close(descriptor)

    def shred(self, path: Path) -> None:
        """Overwrites the file with zeroes in place, then takes it away; harmless if it is gone.

        A disk that writes elsewhere (flash, copy-on-write) may keep the old blocks: what must not
        be found there belongs behind a device.
        """
        if not os.path.lexists(path):
            return
        self.patch(path, bytes(path.lstat().st_size))
        path.unlink()
        self.sync_folder(path.parent)

    def sync_folder(self, folder: Path) -> None:
        """Flushes names: a rename or removal in ``folder`` outlives a power cut."""
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self.sync(descriptor)
        finally:
            os.close(descriptor)

    def write(self, descriptor: int, content: bytes) -> None:
        """All of ``content``, at the file's position."""
        while content:
            content = content[os.write(descriptor, content) :]

    def sync(self, descriptor: int) -> None:
        os.fsync(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        source.replace(target)

    def connect(self, path: Path) -> sqlite3.Connection:
        """A connection that neither begins nor ends transactions by itself."""
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, PRIVATE))
        return sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=0)


DISK = Disk()
