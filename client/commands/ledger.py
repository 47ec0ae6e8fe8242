"""`mascaron-site ledger`: what this site has spent, and whether the record of it is whole."""

import json
import math
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from client.privacy.chain import LedgerEntry
from client.privacy.ledger import LEAST_KEY, Budget, Ledger
from common.errors import ConfigError, LedgerError


def show_ledger(path: Path, key_file: Path, delta: float = 1e-4) -> dict[str, Any]:
    """Every row without the released bytes, the epsilon spent at ``delta``, and the head.

    ``epsilon`` is None where something was released without noise: no number bounds that.
    Raises ``ConfigError`` for a missing file, ``LedgerError`` for an altered ledger.
    """
    with _opened(path, key_file, delta) as ledger:
        spent = ledger.epsilon()
        return {
            "epsilon": spent if math.isfinite(spent) else None,
            "delta": delta,
            "head": _head(ledger),
            "entries": [_shown(entry) for entry in ledger.entries()],
        }


def verify_ledger(path: Path, key_file: Path) -> dict[str, Any]:
    """How many rows were found whole, and the head; ``LedgerError`` if anything was altered."""
    with _opened(path, key_file, delta=1e-4) as ledger:
        ledger.verify()
        return {"verified": len(ledger.entries()), "head": _head(ledger)}


def _opened(path: Path, key_file: Path, delta: float) -> Ledger:
    """The ledger that is there; looking at one must never make one."""
    try:
        key = key_file.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot read the key {key_file}: {error.strerror}") from error
    if not path.is_file():
        raise ConfigError(f"no ledger at {path}")
    if len(key) < LEAST_KEY:
        raise ConfigError(f"the key {key_file} has less than {LEAST_KEY} bytes")
    if not 0 < delta < 1:
        raise ConfigError(f"delta must be in (0, 1), got {delta}")
    _refuse_other_files(path)
    return Ledger(path, key, Budget(epsilon=math.inf, delta=delta))


def _refuse_other_files(path: Path) -> None:
    """Reads the layout's number without writing: opening a ``Ledger`` would make tables."""
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database:
            version = database.execute("PRAGMA user_version").fetchone()[0]
    except sqlite3.Error as error:
        raise LedgerError(f"{path} cannot be read as a ledger: {error}") from error
    if version == 0:
        raise LedgerError(f"{path} is not a ledger")


def _head(ledger: Ledger) -> dict[str, Any]:
    head = ledger.head()
    return {"sequence": head.sequence, "mac": head.mac.hex()}


def _shown(entry: LedgerEntry) -> dict[str, Any]:
    return {
        "sequence": entry.sequence,
        "kind": entry.kind,
        "run": entry.run,
        "round": entry.round,
        "digest": entry.digest,
        "detail": json.loads(entry.detail) if entry.detail else None,
        "payload_digest": entry.payload_digest,
    }
