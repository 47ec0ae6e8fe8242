"""`mascaron-site outbox`: every byte that ever left this site, what it cost and what it was for."""

import json
import math
from typing import Any

from client.commands.ledger import Book
from client.privacy.chain import LedgerEntry
from client.privacy.reading import released_sizes
from common.privacy import accountant
from common.privacy.accountant import Event


def show_outbox(book: Book) -> dict[str, Any]:
    """One line a release: run, round, bytes, SHA-256, and what it alone costs.

    What left ``masked`` is one site's part of a secure sum: uniform bytes, but in the sum.
    ``wasted`` are charges whose bytes never left: a crash came in between. ``epsilon`` is that of
    all together, which is less than the sum. Bytes of one release are listed once, however often
    they were sent again. Besides these, a site sends what its operator declared, signatures, and
    reasons of refusals: nothing that was computed from a face.
    """
    spending = book.read()
    sizes = released_sizes(book.path)
    events = _reserved(spending.entries)
    sent = [
        {
            "run": entry.run,
            "round": entry.round,
            "bytes": sizes[entry.sequence],
            "sha256": entry.payload_digest,
            "epsilon": _finite(accountant.epsilon([events[entry.run, entry.round]], book.delta)),
            "masked": entry.kind == "masked",
        }
        for entry in spending.entries
        if entry.kind in ("release", "masked")
    ]
    reserved = sum(entry.kind == "reserve" for entry in spending.entries)
    return {
        "sent": sent,
        "bytes": sum(sizes.values()),
        "wasted": reserved - len(sent),
        "epsilon": _finite(spending.epsilon(book.delta)),
        "delta": book.delta,
    }


def _reserved(entries: tuple[LedgerEntry, ...]) -> dict[tuple[str, int], Event]:
    charged = (entry for entry in entries if entry.kind == "reserve")
    return {(entry.run, entry.round): Event(*json.loads(entry.detail)) for entry in charged}


def _finite(epsilon: float) -> float | None:
    return epsilon if math.isfinite(epsilon) else None
