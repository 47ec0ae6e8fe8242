"""What is done to a log's rows and files by who may write them, and what a reader says then."""

import random
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from client.audit import chain
from client.audit.chain import HEAD, AuditHead, Entry, Verdict
from client.audit.events import Event
from client.audit.log import AuditLog
from client.audit.reading import read_entries, verify_file
from common.errors import MascaronError
from tests.small_audit import SITE, event, key, place

ROWS = 6


@contextmanager
def edited(log: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(log, isolation_level=None)) as database:
        yield database


def judged(log: Path) -> Verdict:
    """What a reader says, with whom the log itself agrees on opening."""
    verdict = verify_file(log, key().public, SITE)
    if verdict.broken is None:
        AuditLog(place(log)).close()
    else:
        with pytest.raises(MascaronError):
            AuditLog(place(log))
    return verdict


def flips(value: Any) -> Iterator[Any]:
    """``value`` with one bit of each of its bytes changed, and with its end gone."""
    if isinstance(value, float):
        yield value + 1e-3
        yield -value
        yield value * 2
        return
    raw = value.encode() if isinstance(value, str) else value
    for at in range(len(raw)):
        changed = raw[:at] + bytes([raw[at] ^ 1 << at % 7]) + raw[at + 1 :]
        yield changed.decode() if isinstance(value, str) else changed
    yield value[:-1] if value else (b"\0" * 16 if isinstance(value, bytes) else "x")


def cut(log: Path, left: int, head: AuditHead | None = None) -> None:
    with edited(log) as database:
        database.execute("DELETE FROM entry WHERE sequence > ?", (left,))
        if head is not None:
            chain.write_head(database, HEAD, head)


def heads(folder: Path) -> list[AuditHead]:
    """All heads that the log of ``ROWS`` rows went through, as who kept copies has them."""
    with AuditLog(place(folder / "again.db")) as log:
        found = [log.head()]
        for n in range(1, ROWS + 1):
            log.append(event(n))
            found.append(log.head())
    return found


def forged(rows: list[Entry], signer: int, site: str = SITE) -> list[Entry]:
    """The rows with every chain value made anew, signed by another key."""
    head = chain.signed_head(key(signer), site, HEAD, (0, chain.genesis(site), 0.0))
    made = []
    for row in rows:
        entry, head = chain.follow(key(signer), site, head, row.event)
        made.append(entry)
    return made


def live(quick_path: Path) -> Path:
    """The files of a log whose last rows are in its write-ahead log alone."""
    path = quick_path / "live" / "audit.db"
    path.parent.mkdir()
    with AuditLog(place(path)) as log:
        for n in range(1, ROWS + 1):
            log.append(event(n))
        shutil.copytree(path.parent, quick_path / "held")
    return quick_path / "held" / "audit.db"


def attacked(whole: Path, to: Path, rng: random.Random, original: list[Event]) -> None:
    """One random change of one file: noticed, or nothing that is read has changed."""
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(whole, to)
    victim = to / rng.choice(("audit.db",) * 6 + ("audit.db.head",))
    raw = bytearray(victim.read_bytes())
    at = rng.randrange(len(raw))
    match rng.randrange(4):
        case 0:
            raw[at] ^= 1 << rng.randrange(8)
        case 1:
            raw[at : at + 16] = rng.randbytes(16)
        case 2:
            del raw[at : at + rng.randrange(1, 64)]
        case _:
            other = rng.randrange(len(raw))
            raw[at : at + 64] = raw[other : other + 64]
    victim.write_bytes(raw)
    log = to / "audit.db"
    if verify_file(log, key().public, SITE).broken is None:
        assert [entry.event for entry in read_entries(log)] == original
