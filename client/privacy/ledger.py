"""The privacy ledger: what this site has spent, in a file that survives a power cut.

Spend first, then draw noise. A crash in between wastes budget; the other order would release
something nobody paid for. Order comes from row numbers alone: the ledger has no clock to set.
"""

import errno
import os
import sqlite3
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from client.privacy import chain
from client.privacy.account import (
    Accepted,
    Account,
    accept_detail,
    accepted_of,
    reserve_detail,
)
from client.privacy.anchor import Anchor
from client.privacy.chain import Head, LedgerEntry
from common.errors import (
    BudgetError,
    LedgerError,
    LedgerFullError,
    NotReadyError,
    PlanError,
    ReplayError,
    RollbackError,
)
from common.privacy import accountant
from common.privacy.accountant import Event
from common.privacy.plan import PrivacyPlan

LEAST_KEY = 16  # bytes
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_FULL = 2  # sqlite's number for synchronous = FULL
_ON_DISK = frozenset({"wal", "delete", "truncate", "persist"})  # journals a torn write heals from


@dataclass(frozen=True, slots=True)
class Budget:
    """What one person may lose at this site: over the ledger's life, or over one year of it where
    the policy refreshes budgets; never over a run's."""

    epsilon: float
    delta: float

    def __post_init__(self) -> None:
        if not self.epsilon > 0:
            raise ValueError(f"epsilon must be positive, got {self.epsilon}")
        if not 0 < self.delta < 1:
            raise ValueError(f"delta must be in (0, 1), got {self.delta}")


class Ledger:
    """Accept a plan, then for each round: reserve, draw, release; replay what was released.

    Guarantee: ``reserve`` and ``accept`` return only once their row is on the disk, so the
    recorded epsilon is never below the true one, whatever crashes and whenever. What is
    reserved is never given back. A released round answers with the same bytes for ever. A row
    that was changed, moved, inserted or removed from the middle, and last rows lost with a
    damaged log, are LedgerError on opening and on ``verify``. One process at a time.
    Leaks: a ledger restored whole from an older copy of its folder looks intact here. It is
    detected only through ``head()``: somebody else has to keep it and hand it to ``confirm``.
    An error while writing (a full disk, an interrupt) closes the ledger to further use; reopening
    reads what is on the disk. A forked child cannot use it.
    """

    # Not locking_mode = EXCLUSIVE: a forked child that ends would then delete its parent's log.
    _settings: tuple[str, ...] = (
        "journal_mode = WAL",
        "synchronous = FULL",
        "secure_delete = ON",
    )

    def __init__(self, path: Path, key: bytes, budget: Budget) -> None:
        if len(key) < LEAST_KEY:
            raise ValueError(f"the key must have at least {LEAST_KEY} bytes")
        self.budget = budget
        self._key, self._process = bytes(key), os.getpid()
        self._lock = threading.RLock()
        self._live: set[tuple[str, int]] = set()  # reserved since opening: may be released
        self._broken = False
        try:
            self._anchor = Anchor(path.with_name(path.name + ".head"))
            self._database = _open(path, self._settings)
            self._shut = weakref.finalize(self, _shut, self._database, self._process)
            self._load()
            self._anchor.write(self.head())
            if not self._entries and self.durable:
                self._anchor.sync()
                _sync_folder(path.parent)
        except (OSError, *chain.DAMAGE) as error:
            raise _told("cannot open the ledger", error) from error

    @property
    def durable(self) -> bool:
        """Whether a row that was written outlives a power cut, as the database itself says."""
        with self._guard():
            level = self._database.execute("PRAGMA synchronous").fetchone()[0]
            journal = self._database.execute("PRAGMA journal_mode").fetchone()[0]
            return bool(level >= _FULL and journal in _ON_DISK)

    def accept(self, run: str, asked: PrivacyPlan | Accepted) -> float:
        """Promises a whole plan to ``run``; epsilon of everything spent and promised then.

        ``asked`` is the plan alone, or with what it came in. Priced at the budget's delta,
        whatever delta the plan names. Idempotent for the same charter.
        Raises BudgetError when history, all open plans and this one do not fit together,
        ReplayError when the run has another plan or charter, or is finished.
        """
        bound = asked if isinstance(asked, Accepted) else Accepted(asked)
        with self._guard():
            if not self.check(run, bound.plan, bound.charter):
                self._append(_row("accept", run, 0, bound.plan.digest, accept_detail(bound)))
            return self._price(self._committed())

    def check(self, run: str, plan: PrivacyPlan, charter: str = "") -> bool:
        """Whether ``run`` is accepted already; raises what ``accept`` would, and writes nothing."""
        if not (1 <= len(run) <= 256 and run.isprintable()):
            raise PlanError("a run's name is 1-256 printable characters")
        with self._guard():
            known = self._account.known(run, plan.digest, charter)
            if not known:
                self._afford((*self._committed(), *plan.events()))
            return known

    def reserve(self, run: str, round: int, digest: str, event: Event) -> None:
        """Charges ``event`` for ``round`` (from 1); call before anybody is sampled.

        ``digest`` names the request. Asking again before a release charges again: the earlier
        draw may have been seen. A repeat may use up what the same run was promised for later
        rounds, never what another run was promised. Raises NotReadyError without a plan,
        PlanError when the plan says otherwise, ReplayError for another request or a released
        round, BudgetError.
        """
        with self._guard():
            planned = self._account.planned(run, round)
            if planned != event:
                raise PlanError(f"round {round} of the plan costs something else")
            if self._account.released(run, round, digest):
                raise ReplayError(f"round {round} is released; replay it")
            fresh = self._account.first(run, round)
            if not (fresh and self._price(self._committed()) <= self.budget.epsilon):
                others = self._account.protected(against=run)
                self._afford((*self._account.charged(), planned, *others))
            self._append(_row("reserve", run, round, digest, reserve_detail(planned)))
            self._live.add((run, round))

    def release(self, run: str, round: int, digest: str, payload: bytes) -> None:
        """Stores the exact bytes that will leave; on the disk when it returns.

        Idempotent for the same bytes, ReplayError for others. Raises NotReadyError unless the
        round was reserved since this ledger was opened.
        """
        with self._guard():
            if entry := self._account.released(run, round, digest):
                if entry.payload_digest != chain.payload_digest(payload):
                    raise ReplayError(f"round {round} is released with other bytes")
                return
            if (run, round) not in self._live:
                raise NotReadyError(f"round {round} was not reserved")
            self._append(_row("release", run, round, digest, "", payload), payload)

    def masked(self, run: str, round: int, digest: str, payload: bytes) -> None:
        """Stores bytes of a secure sum that will leave; on the disk when it returns.

        They are not a release that can be replayed: the masks die with the attempt, and the next
        attempt at the round is reserved, charged and drawn anew: one reservation pays for one such
        row. Raises NotReadyError unless the round was reserved since this ledger was opened and
        since its last such row, ReplayError for another request.
        """
        with self._guard():
            if self._account.released(run, round, digest) or (run, round) not in self._live:
                raise NotReadyError(f"round {round} was not reserved")
            self._append(_row("masked", run, round, digest, "", payload), payload)
            self._live.discard((run, round))

    def replay(self, run: str, round: int, digest: str) -> bytes | None:
        """The bytes released for this very request, or None; ReplayError for another request."""
        with self._guard():
            entry = self._account.released(run, round, digest)
            if entry is None:
                return None
            query = "SELECT payload FROM entries WHERE sequence = ?"
            row = self._database.execute(query, (entry.sequence,)).fetchone()
            if row is None or chain.payload_digest(row[0]) != entry.payload_digest:
                raise LedgerError(f"row {entry.sequence} is not the one written")
            return bytes(row[0])

    def accepted(self, run: str) -> Accepted | None:
        """What ``run`` is bound to, read back from its row, or None: for a restarted agent."""
        with self._guard():
            for entry in self._entries:
                if entry.kind == "accept" and entry.run == run:
                    return accepted_of(entry.detail)
            return None

    def holds(self, charter: str) -> bool:
        """Whether a run was accepted under the charter of this digest."""
        with self._guard():
            return self._account.holds(charter)

    def finish(self, run: str) -> None:
        """Ends a run: what its plan promised but never reserved is free again. Not to be undone."""
        with self._guard():
            self._account.planned(run, 1)
            self._append(_row("finish", run, 0, "", ""))

    def begin_year(self, year: int) -> None:
        """Charges what comes to the budget of ``year``, where it is later than any before.

        Only for a site whose policy refreshes its budget. What open runs were promised is charged
        to the year in which it is reserved. The first year that is ever begun refreshes nothing:
        the ledger cannot know when what stands before it was spent.
        """
        with self._guard():
            if self._account.year is None or year > self._account.year:
                self._append(_row("year", "", 0, "", str(year)))

    def epsilon(self) -> float:
        """Everything ever reserved, at the budget's delta: what a person has lost at most."""
        with self._guard():
            return self._price(self._account.spent())

    def events(self) -> tuple[Event, ...]:
        """Everything ever reserved, for the statement and for composing over sites."""
        with self._guard():
            return self._account.spent()

    def entries(self) -> tuple[LedgerEntry, ...]:
        """Every row, oldest first, without the released bytes."""
        with self._guard():
            return tuple(self._entries)

    def head(self) -> Head:
        """The last row's number and tag. Send it away with each release; see ``confirm``."""
        with self._guard():
            return chain.head_of(self._entries[-1:], self._key)

    def confirm(self, head: Head) -> None:
        """Raises RollbackError unless ``head``, kept elsewhere, is one this ledger went through."""
        with self._guard():
            if chain.head_of(self._entries[: head.sequence], self._key) != head:
                raise RollbackError(
                    "the ledger is older than, or not, the one that was countersigned"
                )

    def verify(self) -> None:
        """Reads every row from the disk again; LedgerError unless all is as it was written."""
        with self._guard():
            if chain.read(self._database, self._key) != self._entries:
                raise LedgerError("the rows on the disk are not the ones written")

    def close(self) -> None:
        """Gives the file back to other processes; harmless when done twice."""
        with self._lock:
            self._broken = True
            self._shut()
            self._anchor.close()

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _load(self) -> None:
        self._entries = chain.read(self._database, self._key)
        self._account = Account(self._entries)
        kept = self._anchor.read()
        if kept is None and self._entries:
            raise LedgerError("the ledger's head file was emptied")
        if kept and chain.head_of(self._entries[: kept.sequence], self._key) != kept:
            raise LedgerError("last rows are missing, or the key is another")

    def _append(self, draft: LedgerEntry, payload: bytes | None = None) -> None:
        entry = chain.follow(chain.head_of(self._entries[-1:], self._key), self._key, draft)
        self._broken = True  # until it is whole: what is on the disk is known only after a reading
        chain.insert(self._database, entry, payload)
        self._entries.append(entry)
        self._account.apply(entry)
        self._anchor.write(Head(entry.sequence, entry.mac))
        self._broken = False

    def _committed(self) -> tuple[Event, ...]:
        return accountant.canonical((*self._account.charged(), *self._account.promised()))

    def _price(self, events: tuple[Event, ...]) -> float:
        return accountant.epsilon(events, self.budget.delta)

    def _afford(self, events: tuple[Event, ...]) -> None:
        cost = self._price(events)
        if not cost <= self.budget.epsilon:
            raise BudgetError(f"epsilon would be {cost:.4g} of {self.budget.epsilon:.4g}")

    @contextmanager
    def _guard(self) -> Iterator[None]:
        """One thread at a time, in the process that opened the file, while it can be trusted."""
        if os.getpid() != self._process:
            raise LedgerError("a forked process may not use its parent's ledger")
        with self._lock:
            if self._broken:
                raise LedgerError("the ledger is closed")
            try:
                yield
            except (OSError, *chain.DAMAGE) as error:
                self._broken = True
                raise _told("the ledger cannot be used", error) from error


def _told(what: str, error: Exception) -> LedgerError:
    """A full disk by its own name: nothing is lost then, and nothing has to be restored."""
    if getattr(error, "errno", None) in _NO_ROOM or _code(error) == sqlite3.SQLITE_FULL:
        return LedgerFullError(f"{what}: no room on its disk; free some, and start again")
    return LedgerError(f"{what}: {error}")


def _code(error: Exception) -> int | None:
    return getattr(error, "sqlite_errorcode", None)


def _open(path: Path, settings: tuple[str, ...]) -> sqlite3.Connection:
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
    database = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=0)
    try:
        for setting in settings:
            database.execute(f"PRAGMA {setting}").fetchall()
        version = database.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            database.executescript(f"BEGIN IMMEDIATE; {chain.SCHEMA} COMMIT;")
        elif version != chain.VERSION:
            raise LedgerError(
                f"the ledger has version {version}, this program knows {chain.VERSION}"
            )
    except Exception:
        database.close()  # with whatever it began
        raise
    return database


def _shut(database: sqlite3.Connection, process: int) -> None:
    if os.getpid() == process:
        with suppress(sqlite3.Error):
            database.close()


def _sync_folder(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _row(
    kind: chain.Kind, run: str, round: int, digest: str, detail: str, payload: bytes | None = None
) -> LedgerEntry:
    released = chain.payload_digest(payload)
    return LedgerEntry(0, kind, str(run), int(round), str(digest), detail, released, b"")
