"""Which attempts of which rounds this site ever began: the one thing a secure sum keeps on disk."""

import os
import sqlite3
import threading
from pathlib import Path

from common.errors import AggregationError, ReplayError

_VERSION = 1
_SCHEMA = """
CREATE TABLE attempts (
  run TEXT NOT NULL, round INTEGER NOT NULL, attempt INTEGER NOT NULL, PRIMARY KEY (run, round)
) WITHOUT ROWID;
PRAGMA user_version = 1;
"""


class Attempts:
    """A number for each (run, round) that only grows, on the disk before anything is answered.

    Guarantee: no attempt is begun twice, whatever crashed in between. All secrets of an attempt
    are in memory alone, so after a restart there is nothing left that a second answer could be
    made of, and no way to make it anew under the same name.
    Leaks: nothing; it holds numbers that the centre chose. One process at a time uses it.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
            self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._database.execute("PRAGMA journal_mode = WAL").fetchall()
            self._database.execute("PRAGMA synchronous = FULL")
            version = self._database.execute("PRAGMA user_version").fetchone()[0]
            if version == 0:
                self._database.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} COMMIT;")
            elif version != _VERSION:
                raise AggregationError(f"{path.name} was written by another version")
        except (OSError, sqlite3.Error) as error:
            raise AggregationError(f"cannot open {path.name}: {error}") from None

    def begin(self, run: str, round: int, attempt: int) -> None:
        """Returns once ``attempt`` is on the disk as begun.

        Raises ``ReplayError`` for one that is not above all begun before for this round.
        """
        with self._lock:
            try:
                changed = self._database.execute(
                    "INSERT INTO attempts VALUES (?, ?, ?) ON CONFLICT (run, round) "
                    "DO UPDATE SET attempt = excluded.attempt WHERE excluded.attempt > attempt",
                    (run, round, attempt),
                ).rowcount
            except (OverflowError, sqlite3.Error) as error:
                raise AggregationError(f"cannot remember an attempt: {error}") from None
        if changed != 1:
            raise ReplayError(
                f"attempt {attempt} of round {round} is over for this site: it ended, or the "
                "site was restarted; the centre may ask for a later attempt"
            )

    def close(self) -> None:
        """Gives the file back; harmless when done twice."""
        with self._lock:
            self._database.close()
