"""The audit log: every use of the door, in rows that nobody changes unseen; a row, then an answer.

The database is one file; a small one beside it holds the last head, for SQLite drops what a damaged
write-ahead log no longer proves without a word.
"""

import os
import sqlite3
import threading
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from client.audit import chain, mirror
from client.audit.chain import (
    ANCHOR,
    DAMAGE,
    HEAD,
    AuditHead,
    BrokenError,
    Check,
    Entry,
    Verdict,
)
from client.audit.events import Event, Kind, cut
from client.vault.disk import DISK, Disk
from common.errors import AuditError, ConfigError, DeploymentError
from common.locks import locked
from common.trust.keys import SigningKey

SIX_MONTHS = 184 * 86400.0  # seconds; no six months of a calendar are longer
_SETTINGS = (
    ("journal_mode", "WAL", "wal"),
    ("synchronous", "FULL", None),
    ("secure_delete", "ON", 1),
    ("trusted_schema", "OFF", None),
    ("cell_size_check", "ON", None),
    ("temp_store", "MEMORY", None),
)
_COUNT = "SELECT count(*) FROM entry INDEXED BY of_caller WHERE caller = ? AND began >= ?"
_REFERENCE = "SELECT reference FROM entry WHERE reference != '' ORDER BY sequence DESC LIMIT 1"
_SPACE = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN})


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class AuditPlace:
    """Where a log lies, whose it is, and what signs it. Its folder must be there.

    ``passed`` are heads that it must have gone through, as somebody else kept them: numbers and
    chain values.
    """

    path: Path
    key: SigningKey
    site: str
    passed: Collection[tuple[int, bytes]] = ()
    disk: Disk = DISK


class AuditLog:
    """Append, count, read, verify, prune. Safe for threads; an error while writing closes it.

    Guarantee: ``append`` returns only once the row is on the disk. Opening, and ``verify``, notice
    every row that was changed, moved, put in or taken away, from the middle or the end, and name
    the first; nobody without the site's key makes rows that pass. One process at a time.
    Leaks: to who reads the file, how often what was done, when and with which coarse outcome, and
    which rows are of one person while that person's key lives; afterwards their tags are noise. A
    log restored whole from an older copy, with the file beside it, looks as it did then, and so
    does one rewritten with the stolen key: heads that somebody else keeps show that (``confirm``).
    """

    def __init__(self, place: AuditPlace) -> None:
        """Opens the log at ``place``, or begins one; reads all of it.

        Raises ``AuditError`` naming the first broken row, ``BusyError`` while another process has
        it, ``DeploymentError`` where its files cannot be written.
        """
        self.place = place
        self._process, self._broken, self._lock = os.getpid(), False, threading.RLock()
        with _ours(), ExitStack() as stack:
            lock = place.path.with_name(f"{place.path.name}.lock")
            stack.enter_context(locked(lock, "another process of this audit log"))
            self._database = place.disk.connect(place.path)
            stack.callback(self._database.close)
            self._settle()
            self._head = chain.read_head(self._database, HEAD)
            self._mirror = mirror.Mirror(mirror.path_of(place.path), place.disk, self._head)
            stack.callback(self._mirror.close)
            self._shut = stack.pop_all()

    def append(self, event: Event) -> int:
        """Writes one row, which is on the disk when it returns; its number, from 1."""
        with self._guard():
            self._broken = True  # until it is whole: only opening tells what a failure left
            entry, head = chain.follow(self.place.key, self.place.site, self._head, event)
            with self._transaction():
                chain.insert(self._database, entry)
                chain.write_head(self._database, HEAD, head)
            self._head = head
            self._mirror.write(head)
            self._broken = False
            return entry.index

    def count(self, actor: bytes, kinds: Collection[Kind], since: float) -> int:
        """How many rows of ``kinds`` that began at ``since`` or later ``actor`` asked for."""
        with self._guard():
            words = [Kind(kind).value for kind in kinds]
            marks = ", ".join("?" * len(words))
            query = f"{_COUNT} AND kind IN ({marks})"
            return int(self._database.execute(query, (cut(actor), since, *words)).fetchone()[0])

    def head(self) -> AuditHead:
        """The last row's number and chain value, signed. Send it where nobody here can reach."""
        with self._guard():
            return self._head

    def entries(self, after: int = 0, most: int = 1000) -> Iterator[Entry]:
        """At most ``most`` rows that come after number ``after``, oldest first."""
        with self._guard():
            start = max(after, chain.read_head(self._database, ANCHOR).index)
            found = list(chain.entries(self._database, start, max(0, most)))
        return iter(found)

    def reference(self) -> str:
        """The newest reference data base that a row names; "" before the first."""
        with self._guard():
            return str((self._database.execute(_REFERENCE).fetchone() or ("",))[0])

    def verify(self) -> Verdict:
        """Reads every row again from the disk."""
        with self._guard():
            return self._check(((self._head.index, self._head.hash),), self._head.index)

    def confirm(self, heads: Collection[tuple[int, bytes]]) -> None:
        """``AuditError`` unless the log went through all ``heads``: numbers and chain values."""
        with self._guard():
            _refuse_broken(self._check(heads, 0))

    def prune(self, before: float, now: float) -> int:
        """Takes away the oldest rows, all that ended before ``before``; how many.

        A signed anchor stays in their place, and what is left is checked as before. Raises
        ``ConfigError`` for rows that must be kept: none younger than six months may go (Regulation
        (EU) 2024/1689, Article 26(6)).
        """
        if not before <= now - SIX_MONTHS:
            raise ConfigError("rows of the last six months are kept: name an earlier day")
        with self._guard():
            anchor = self._anchor_before(before)
            if anchor is None:
                return 0
            self._broken = True
            with self._transaction():
                query = "DELETE FROM entry WHERE sequence <= ?"
                gone = self._database.execute(query, (anchor.index,)).rowcount
                chain.write_head(self._database, ANCHOR, anchor)
            self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            self._broken = False
            return int(gone)

    def close(self) -> None:
        """Gives the files to other processes; harmless when done twice."""
        with self._lock:
            self._broken = True
            if os.getpid() == self._process:
                with suppress(sqlite3.Error):
                    self._shut.close()

    def __enter__(self) -> "AuditLog":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return "AuditLog(...)"

    def _settle(self) -> None:
        """A log that passes every check, or a new one."""
        database, place = self._database, self.place
        database.text_factory = chain.text
        for name, value, told in _SETTINGS:
            rows = database.execute(f"PRAGMA {name} = {value}").fetchall()
            if told is not None and rows != [(told,)]:
                raise AuditError(f"the database of the audit log refuses {name} = {value}")
        kept = mirror.read(mirror.path_of(place.path))
        if kept is None and not database.execute("SELECT 1 FROM sqlite_master").fetchone():
            if any(index for index, _ in place.passed):
                raise AuditError("the audit log is gone: there was one")
            self._found()
        elif kept is None:
            # Between the first transaction and the file beside it a crash leaves an empty log.
            _refuse_broken(self._check(((0, chain.genesis(place.site)),), 0))
            if chain.read_head(database, HEAD).index:
                raise AuditError("the audit log has lost the file with its head")
        else:
            _refuse_broken(self._check((*kept.heads, *place.passed), kept.least))

    def _found(self) -> None:
        place, database = self.place, self._database
        start = (0, chain.genesis(place.site), 0.0)
        with self._transaction():
            for statement in chain.SCHEMA:
                database.execute(statement)
            database.execute(f"PRAGMA user_version = {chain.VERSION}")
            for name in (HEAD, ANCHOR):
                head = chain.signed_head(place.key, place.site, name, start)
                chain.write_head(database, name, head)

    def _check(self, heads: Collection[tuple[int, bytes]], least: int) -> Verdict:
        place = self.place
        check = Check(public=place.key.public, site=place.site, passed=heads, least=least)
        return check.run(self._database)

    def _anchor_before(self, before: float) -> AuditHead | None:
        """The head as it was after the last of the rows that may go."""
        old = chain.read_head(self._database, ANCHOR)
        query = "SELECT min(sequence) FROM entry WHERE ended >= ?"
        first = self._database.execute(query, (before,)).fetchone()[0]
        last = self._head.index if first is None else int(first) - 1
        if last <= old.index:
            return None
        place, value = self.place, chain.value_at(self._database, old, last)
        return chain.signed_head(place.key, place.site, ANCHOR, (last, value, before))

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._database.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
            raise

    @contextmanager
    def _guard(self) -> Iterator[None]:
        """One thread at a time, in the process that opened the file, while it can be trusted."""
        if os.getpid() != self._process:
            raise AuditError("a forked process may not use its parent's audit log")
        with self._lock:
            if self._broken:
                raise AuditError("the audit log is closed")
            try:
                with _ours():
                    yield
            except (AuditError, DeploymentError):
                self._broken = True
                raise


@contextmanager
def _ours() -> Iterator[None]:
    """Errors of disk and database in our own words."""
    try:
        yield
    except BrokenError as broken:
        raise AuditError(f"the audit log is broken at record {broken.index}: {broken}") from None
    except DAMAGE as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in _SPACE:
            raise DeploymentError(
                "the audit log cannot be written: free space there, or run as its owner"
            ) from None
        raise AuditError("the audit log cannot be read or written") from None
    except OSError as error:
        raise DeploymentError(
            f"cannot read or write the audit log: {error.strerror}; free space there, or run as "
            "its owner"
        ) from None


def _refuse_broken(verdict: Verdict) -> None:
    if verdict.broken is not None:
        raise AuditError(f"the audit log is broken at record {verdict.broken}: {verdict.why}")
