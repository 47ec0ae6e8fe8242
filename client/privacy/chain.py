"""The rows of the privacy ledger and the chain of tags that makes an edit visible."""

import hashlib
import hmac
import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from common.errors import LedgerError

Kind = Literal["accept", "reserve", "release", "masked", "finish", "year"]
GENESIS = bytes(32)

SCHEMA = """
CREATE TABLE entries (
    sequence INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    run TEXT NOT NULL,
    round INTEGER NOT NULL,
    digest TEXT NOT NULL,
    detail TEXT NOT NULL,
    payload BLOB,
    mac BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX one_release ON entries (run, round) WHERE kind = 'release';
CREATE UNIQUE INDEX one_plan ON entries (run) WHERE kind = 'accept';
PRAGMA user_version = 1;
"""
VERSION = 1
DAMAGE = (sqlite3.Error, UnicodeError)  # the latter where a message quotes a damaged file


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One row: what was promised, charged, released or ended, a year that began, and the tag over
    all before it."""

    sequence: int  # from 1, without gaps
    kind: Kind
    run: str
    round: int  # 0 where a row is about the whole run
    digest: str  # of the plan (accept) or of the request (reserve, release, masked)
    detail: str  # JSON: the plan's rounds (accept), the event charged (reserve), the year
    payload_digest: str  # SHA-256 of the released bytes, empty where nothing was released
    mac: bytes

    def content(self) -> bytes:
        """Everything the tag covers, in one unambiguous text."""
        fields = (self.sequence, self.kind, self.run, self.round, self.digest, self.detail)
        return json.dumps([*fields, self.payload_digest]).encode()


@dataclass(frozen=True, slots=True)
class Head:
    """The last row's number and tag: whoever holds it can tell a shortened ledger."""

    sequence: int
    mac: bytes


def tag(key: bytes, previous: bytes, content: bytes) -> bytes:
    """HMAC-SHA-256 over ``content`` and the tag of the row before it."""
    return hmac.digest(key, previous + content, "sha256")


def payload_digest(payload: bytes | None) -> str:
    """SHA-256 of released bytes in hexadecimal; empty for rows that release nothing."""
    return "" if payload is None else hashlib.sha256(payload).hexdigest()


def insert(database: sqlite3.Connection, entry: LedgerEntry, payload: bytes | None) -> None:
    """Writes one row; on the disk when it returns (autocommit, synchronous=FULL)."""
    values = (entry.sequence, entry.kind, entry.run, entry.round, entry.digest, entry.detail)
    database.execute(
        "INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (*values, payload, entry.mac)
    )


def read(database: sqlite3.Connection, key: bytes) -> list[LedgerEntry]:
    """All rows in order, each checked against the chain.

    Raises LedgerError for a row that was changed, removed from the middle, moved or inserted.
    """
    columns = "sequence, kind, run, round, digest, detail, payload, mac"
    rows = database.execute(f"SELECT {columns} FROM entries ORDER BY sequence")  # noqa: S608
    entries: list[LedgerEntry] = []
    head = head_of((), key)
    try:
        for sequence, kind, run, number, digest, detail, payload, mac in rows:
            released = payload_digest(payload)
            entry = LedgerEntry(sequence, kind, run, number, digest, detail, released, mac)
            expected = tag(key, head.mac, entry.content())
            if sequence != head.sequence + 1 or not hmac.compare_digest(mac, expected):
                raise ValueError("the tag does not match")
            entries.append(entry)
            head = Head(entry.sequence, mac)
    except (TypeError, ValueError, sqlite3.Error) as error:
        raise LedgerError(f"row {head.sequence + 1} is not the one written: {error}") from None
    return entries


def head_of(entries: Iterable[LedgerEntry], key: bytes) -> Head:
    """The head of a chain; an empty one has sequence 0 and the key's own tag."""
    head = Head(0, tag(key, GENESIS, b"mascaron privacy ledger"))
    for entry in entries:
        head = Head(entry.sequence, entry.mac)
    return head


def follow(head: Head, key: bytes, draft: LedgerEntry) -> LedgerEntry:
    """``draft`` with the number and the tag it gets as the next row after ``head``."""
    numbered = replace(draft, sequence=head.sequence + 1)
    return replace(numbered, mac=tag(key, head.mac, numbered.content()))
