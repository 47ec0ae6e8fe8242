"""Reconciliation: what left the site against what the ledger was charged for."""

from collections.abc import Iterable
from dataclasses import dataclass

from client.privacy.chain import LedgerEntry, payload_digest


@dataclass(frozen=True, slots=True)
class Sent:
    """One message that left the site, as the courier saw it."""

    run: str
    round: int
    payload: bytes


def uncharged(entries: Iterable[LedgerEntry], sent: Iterable[Sent]) -> tuple[Sent, ...]:
    """The messages that no reservation paid for.

    Paid means: these very bytes are the release of that run and round, and a reservation for the
    same request stands before the release; for masked bytes, one for each. An empty
    answer says that all spending is recorded.
    """
    paid: set[tuple[str, int, str]] = set()
    reserved: set[tuple[str, int, str]] = set()
    for entry in entries:
        request = entry.run, entry.round, entry.digest
        if entry.kind == "reserve":
            reserved.add(request)
        elif entry.kind in ("release", "masked") and request in reserved:
            paid.add((entry.run, entry.round, entry.payload_digest))
            if entry.kind == "masked":  # the next attempt has noise of its own to pay for
                reserved.discard(request)
    return tuple(s for s in sent if (s.run, s.round, payload_digest(s.payload)) not in paid)
