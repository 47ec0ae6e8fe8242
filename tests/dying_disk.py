"""A disk for vaults of tests that fails at a moment of one's choosing."""

import sqlite3
from pathlib import Path
from typing import Any

from client.vault.disk import Disk


class DyingDisk(Disk):
    """Fails at the ``fatal``-th write, flush, rename or statement: for once, or from then on.

    A write that fails has written half. A statement fails before or after it took effect.
    """

    def __init__(self, fatal: int, *, for_good: bool) -> None:
        self.count, self.fatal, self._for_good = 0, fatal, for_good

    def fails(self) -> bool:
        self.count += 1
        return self.count == self.fatal or (self._for_good and self.count > self.fatal)

    def write(self, descriptor: int, content: bytes) -> None:
        if self.fails():
            super().write(descriptor, content[: len(content) // 2])
            raise OSError(28, "no space left")
        super().write(descriptor, content)

    def sync(self, descriptor: int) -> None:
        if self.fails():
            raise OSError(5, "input/output error")
        super().sync(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        if self.fails():
            raise OSError(28, "no space left")
        super().rename(source, target)

    def connect(self, path: Path) -> sqlite3.Connection:
        disk = self

        class Dying(sqlite3.Connection):
            def execute(self, *args: Any) -> sqlite3.Cursor:
                before, after = disk.fails(), disk.fails()
                if before:
                    raise sqlite3.OperationalError("disk I/O error")
                cursor = super().execute(*args)
                if after:
                    raise sqlite3.OperationalError("disk I/O error")
                return cursor

        path.touch(mode=0o600)
        return sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, timeout=0, factory=Dying
        )
