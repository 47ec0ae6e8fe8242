"""A SQLite database that another process may have open, read from a copy of one's own.

So a reader takes no lock, leaves no file beside the original and cannot change it.
"""

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path


@contextmanager
def snapshot(path: Path) -> Iterator[sqlite3.Connection]:
    """The database at ``path`` with what is in its log, copied where only this user reads; gone
    after the block. Raises ``OSError`` or ``sqlite3.Error``."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / path.name
        for ending in ("", "-wal"):
            with suppress(FileNotFoundError):
                shutil.copyfile(f"{path}{ending}", f"{copy}{ending}")
        with closing(sqlite3.connect(copy)) as database:
            yield database
