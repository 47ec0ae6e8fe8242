"""Reading a ledger that an agent has open: a copy of its files is looked at, and forgotten.

No lock is taken and nothing is written beside the ledger: a reader of another user would leave
files there that the agent cannot write to.
"""

import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from client.privacy import chain
from client.privacy.account import Account, accepted_of
from client.privacy.anchor import parse_head
from client.privacy.chain import Head, LedgerEntry
from common.errors import ConfigError, LedgerError
from common.privacy import accountant
from common.privacy.accountant import Event
from common.privacy.plan import PrivacyPlan
from common.snapshots import snapshot

T = TypeVar("T")
TRIES, PAUSE = 3, 0.05  # seconds


@dataclass(frozen=True, kw_only=True)
class Spending:
    """What a ledger's rows come to. The chain over them was checked.

    ``spent`` is over the ledger's life; ``charged`` what counts against the budget, less only
    where budgets are refreshed; ``committed`` is that and what open runs may still reserve.
    """

    entries: tuple[LedgerEntry, ...]
    spent: tuple[Event, ...]
    charged: tuple[Event, ...]
    committed: tuple[Event, ...]
    head: Head

    def epsilon(self, delta: float) -> float:
        """Everything ever reserved, at ``delta``."""
        return accountant.epsilon(self.spent, delta)

    @property
    def last_plan(self) -> PrivacyPlan | None:
        """The plan of the run accepted last."""
        for entry in reversed(self.entries):
            if entry.kind == "accept":
                return accepted_of(entry.detail).plan
        return None

    def affords(self, plan: PrivacyPlan, epsilon: float, delta: float, most: int = 100) -> int:
        """How many more runs of ``plan`` fit into ``epsilon`` at ``delta``; ``most`` at most."""
        events, count = self.committed, 0
        while count < most:
            events = accountant.canonical((*events, *plan.events()))
            if not accountant.epsilon(events, delta) <= epsilon:
                break
            count += 1
        return count


def read_ledger(path: Path, key: bytes) -> Spending:
    """The ledger at ``path``; ``ConfigError`` if there is none, ``LedgerError`` if altered."""
    for _ in range(TRIES - 1):
        try:
            return _read(path, key)
        except LedgerError:
            time.sleep(PAUSE)  # perhaps the agent wrote while the files were copied
    return _read(path, key)


def released_sizes(path: Path) -> dict[int, int]:
    """How many bytes each row of a release, masked or not, stored, by row number."""
    query = "SELECT sequence, length(payload) FROM entries WHERE kind IN ('release', 'masked')"
    return _with(path, lambda database: dict(database.execute(query).fetchall()))


def _read(path: Path, key: bytes) -> Spending:
    kept = _kept(path)  # before the rows: an agent writes a row first, and then its head
    entries = tuple(_with(path, lambda database: chain.read(database, key)))
    if kept is None and entries:
        raise LedgerError("the ledger's head file is missing or was emptied")
    if kept is not None and chain.head_of(entries[: kept.sequence], key) != kept:
        raise LedgerError("last rows are missing, or the key is another")
    account = Account(entries)
    return Spending(
        entries=entries,
        spent=account.spent(),
        charged=account.charged(),
        committed=accountant.canonical((*account.charged(), *account.promised())),
        head=chain.head_of(entries[-1:], key),
    )


def _kept(path: Path) -> Head | None:
    try:
        return parse_head(path.with_name(path.name + ".head").read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise LedgerError(f"the ledger's head file cannot be read: {error.strerror}") from error


def _with(path: Path, use: Callable[[sqlite3.Connection], T]) -> T:
    if not path.is_file():
        raise ConfigError(f"no ledger at {path}")
    try:
        with snapshot(path) as database:
            version = database.execute("PRAGMA user_version").fetchone()[0]
            if version == 0:
                raise LedgerError(f"{path} is not a ledger")
            if version != chain.VERSION:
                raise LedgerError(f"the ledger has version {version}, not {chain.VERSION}")
            return use(database)
    except OSError as error:
        raise LedgerError(f"{path} cannot be read: {error.strerror}") from error
    except chain.DAMAGE as error:
        raise LedgerError(f"{path} cannot be read as a ledger: {error}") from error
