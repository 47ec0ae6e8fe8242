"""`mascaron-site ledger`: what this site has spent, and whether the record of it is whole.

Rows are read as they lie on the disk, so looking works while the agent does.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from client.home import SiteHome
from client.privacy.chain import Head, LedgerEntry
from client.privacy.reading import Spending, read_ledger
from common.errors import ConfigError

LEAST_KEY = 16  # bytes, as the ledger itself asks


@dataclass(frozen=True, kw_only=True, slots=True)
class Book:
    """Which ledger to look at, and at which delta its epsilon is told."""

    path: Path
    key: Path
    delta: float = 1e-4

    @classmethod
    def of(cls, home: SiteHome, path: Path | None, key: Path | None, delta: float | None) -> "Book":
        """The ledger of ``home`` unless ``path`` and ``key`` name another; both or neither.

        ``delta`` is the policy's unless given. Raises ``ConfigError``.
        """
        if (path is None) != (key is None):
            raise ConfigError("PATH and --key belong together; give neither for the home's ledger")
        if path is None:
            home.check_agent()
            if not home.ledger.is_file():
                home.config().check_member()
        if delta is None:
            delta = _delta(home) if path is None else 1e-4
        return cls(path=path or home.ledger, key=key or home.ledger_key, delta=delta)

    def read(self) -> Spending:
        """The rows, checked; ``ConfigError`` or ``LedgerError``."""
        if not self.path.is_file():
            raise ConfigError(
                f"there is no ledger at {self.path}: the agent begins one when it first serves"
            )
        try:
            key = self.key.read_bytes()
        except OSError as error:
            raise ConfigError(f"cannot read the key {self.key}: {error.strerror}") from error
        if len(key) < LEAST_KEY:
            raise ConfigError(f"the key {self.key} has less than {LEAST_KEY} bytes")
        if not 0 < self.delta < 1:
            raise ConfigError(f"delta must be in (0, 1), got {self.delta}")
        return read_ledger(self.path, key)


def show_ledger(book: Book) -> dict[str, Any]:
    """Every row without the released bytes, the epsilon spent over the ledger's whole life, and
    the head.

    ``epsilon`` is None where something was released without noise: no number bounds that.
    Raises ``ConfigError`` for a missing file, ``LedgerError`` for an altered ledger.
    """
    spending = book.read()
    spent = spending.epsilon(book.delta)
    return {
        "epsilon": spent if math.isfinite(spent) else None,
        "delta": book.delta,
        "head": _head(spending.head),
        "entries": [_shown(entry) for entry in spending.entries],
    }


def verify_ledger(book: Book) -> dict[str, Any]:
    """How many rows were found whole, and the head; ``LedgerError`` if anything was altered."""
    spending = book.read()
    return {"verified": len(spending.entries), "head": _head(spending.head)}


def _delta(home: SiteHome) -> float:
    from client.policy import SitePolicy
    from common.config import load

    return load(SitePolicy, home.policy).delta


def _head(head: Head) -> dict[str, Any]:
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
