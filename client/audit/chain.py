"""The rows of the audit log, the chain of hashes and signatures over them, and how it is checked.

    digest of a row = SHA-256(chain before it, its number, what happened)
    signature       = the site's, over the digest
    chain after it  = SHA-256(digest, signature)

The head is the last chain value under a signature of its own, replaced with every row, so that
earlier rows are no head any more.
"""

import hashlib
import sqlite3
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from client.audit.events import TAG, Event, Kind
from client.vault.handles import framed
from common.errors import SignatureError
from common.trust.keys import PublicKey, SigningKey

VERSION = 1
SCHEMA = (
    "CREATE TABLE entry (sequence INTEGER PRIMARY KEY, kind TEXT NOT NULL, began REAL NOT NULL, "
    "ended REAL NOT NULL, reference TEXT NOT NULL, subject BLOB NOT NULL, input BLOB NOT NULL, "
    "outcome TEXT NOT NULL, caller BLOB NOT NULL, others BLOB NOT NULL, signature BLOB NOT NULL) "
    "STRICT",
    "CREATE INDEX of_caller ON entry (caller, kind, began)",
    "CREATE TABLE head (name TEXT PRIMARY KEY, sequence INTEGER NOT NULL, hash BLOB NOT NULL, "
    "at REAL NOT NULL, signature BLOB NOT NULL) STRICT, WITHOUT ROWID",
)
ROW = "audit row"
Name = Literal["audit head", "audit anchor"]  # purposes of signatures, and names of their rows
HEAD: Name = "audit head"
ANCHOR: Name = "audit anchor"  # after which row the log begins: 0, or the last one pruned
HASH = 32  # bytes
DAMAGE = (sqlite3.Error, UnicodeError)  # the latter where a message quotes a damaged file
_MOST = 2**63 - 1
_BEFORE = "SELECT 1 FROM entry WHERE sequence <= ? LIMIT 1"


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditHead:
    """The number and the chain value of the last row, signed. Whoever holds one can tell a log
    that was cut or replaced below it."""

    index: int
    hash: bytes
    signature: bytes
    at: float  # Unix seconds of the last row

    def check(self, public: PublicKey, site: str, name: Name = HEAD) -> None:
        """``SignatureError`` unless ``site`` signed it."""
        public.verify(name, _signed(site, self.index, self.hash, self.at), self.signature)


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One row."""

    index: int
    event: Event
    signature: bytes = field(repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What a reading found. ``broken`` is the number of the first row that is not as written, or
    that is missing; 0 where no row is at fault but the file around them."""

    entries: int
    broken: int | None = None
    why: str = ""
    first: int = 1  # number of the first row that retention left


class BrokenError(Exception):
    """Row ``index`` is not the one that was written. Never leaves this room."""

    def __init__(self, index: int, why: str) -> None:
        super().__init__(why)
        self.index, self.why = index, why


def text(raw: bytes) -> str:
    """How a database spells its texts: a flipped bit may make one that is none."""
    return raw.decode("utf-8", "replace")


def genesis(site: str) -> bytes:
    """The chain before the first row of ``site``."""
    return hashlib.sha256(framed("mascaron audit log", VERSION, site)).digest()


def signed_head(key: SigningKey, site: str, name: Name, at: tuple[int, bytes, float]) -> AuditHead:
    """A head, or an anchor, of number, chain value and time."""
    index, value, time = at
    signature = key.sign(name, _signed(site, *at))
    return AuditHead(index=index, hash=value, at=time, signature=signature)


def follow(key: SigningKey, site: str, head: AuditHead, event: Event) -> tuple[Entry, AuditHead]:
    """``event`` as the row after ``head``, and the head after it."""
    index = head.index + 1
    digest = _digest(head.hash, index, event)
    entry = Entry(index=index, event=event, signature=key.sign(ROW, framed(site, index, digest)))
    chained = _chained(digest, entry)
    return entry, signed_head(key, site, HEAD, (index, chained, max(event.ended, 0.0)))


def insert(database: sqlite3.Connection, entry: Entry) -> None:
    """One row more; inside a transaction."""
    event = entry.event
    caller, others = b"".join(event.actors[:1]), b"".join(event.actors[1:])
    row = (entry.index, event.kind.value, event.began, event.ended, event.reference)
    tags = (event.subject, event.input, event.outcome, caller, others, entry.signature)
    database.execute("INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", (*row, *tags))


def write_head(database: sqlite3.Connection, name: Name, head: AuditHead) -> None:
    """Puts ``head`` in the place of the one there is; inside a transaction."""
    database.execute(
        "INSERT OR REPLACE INTO head VALUES (?, ?, ?, ?, ?)",
        (name, head.index, head.hash, head.at, head.signature),
    )


def read_head(database: sqlite3.Connection, name: Name) -> AuditHead:
    """The head of that name; ``BrokenError`` if it is none."""
    query = "SELECT sequence, hash, at, signature FROM head WHERE name = ?"
    rows = database.execute(query, (name,)).fetchall()
    kinds = [type(part) for part in rows[0]] if len(rows) == 1 else []
    if kinds != [int, bytes, float, bytes] or len(rows[0][1]) != HASH:
        raise BrokenError(0, f"the {name} is missing or damaged")
    index, value, at, signature = rows[0]
    return AuditHead(index=index, hash=value, at=at, signature=signature)


def entries(database: sqlite3.Connection, after: int, most: int) -> Iterator[Entry]:
    """Rows in order; ``BrokenError`` at one that is none, or is not where it belongs."""
    query = "SELECT * FROM entry WHERE sequence > ? ORDER BY sequence LIMIT ?"
    rows = iter(database.execute(query, (after, most)))
    while True:
        try:
            row = next(rows, None)
            if row is None:
                return
            entry = _parsed(row)
        except (*DAMAGE, ValueError, TypeError):
            raise BrokenError(after + 1, "the row is damaged") from None
        if entry.index != after + 1:
            raise BrokenError(after + 1, "the row is missing")
        after = entry.index
        yield entry


def value_at(database: sqlite3.Connection, anchor: AuditHead, index: int) -> bytes:
    """The chain value after row ``index`` of a log that was checked."""
    value = anchor.hash
    for entry in entries(database, anchor.index, index - anchor.index):
        value = _chained(_digest(value, entry.index, entry.event), entry)
    return value


@dataclass(frozen=True, kw_only=True)
class Check:
    """Whose log is checked, and what it must have gone through: row numbers and chain values."""

    public: PublicKey
    site: str
    passed: Collection[tuple[int, bytes]] = ()
    least: int = 0  # number of rows there must be

    def run(self, database: sqlite3.Connection) -> Verdict:
        """Reads everything; never raises for what is in the file."""
        count, first = 0, 1
        try:
            _check_form(database)
            anchor, head = read_head(database, ANCHOR), read_head(database, HEAD)
            self._check_signed(anchor, ANCHOR)
            first = anchor.index + 1
            found = self._walk(database, anchor, head)
            if database.execute(_BEFORE, (anchor.index,)).fetchone():
                raise BrokenError(0, "there are rows before the first")
            count = head.index - anchor.index
            self._check_passed(found, anchor, head)
            if database.execute("PRAGMA integrity_check(1)").fetchall() != [("ok",)]:
                raise BrokenError(0, "the pages or the index of the log were altered")
        except BrokenError as broken:
            return Verdict(entries=count, broken=broken.index, why=broken.why, first=first)
        except DAMAGE:
            return Verdict(entries=count, broken=0, why="the file is damaged", first=first)
        return Verdict(entries=count, first=first)

    def _walk(
        self, database: sqlite3.Connection, anchor: AuditHead, head: AuditHead
    ) -> dict[int, bytes]:
        """Chain values at the rows asked for. One signature, the head's, vouches for all rows; only
        where it does not is each looked at, to find the first that is broken."""
        try:
            self._check_signed(head, HEAD)
            found, last, value = self._chain(database, anchor, each=False)
            if (last, value) == (head.index, head.hash):
                return found
        except BrokenError:
            pass
        _, last, value = self._chain(database, anchor, each=True)
        if last < head.index:
            raise BrokenError(last + 1, "the row is missing")
        self._check_signed(head, HEAD)
        raise BrokenError(head.index + 1, "the row came after the head")

    def _chain(
        self, database: sqlite3.Connection, anchor: AuditHead, *, each: bool
    ) -> tuple[dict[int, bytes], int, bytes]:
        last, value = anchor.index, anchor.hash
        wanted, found = {index for index, _ in self.passed}, {last: value}
        for entry in entries(database, last, _MOST):
            digest = _digest(value, entry.index, entry.event)
            if each:
                self._check_row(entry, digest)
            last, value = entry.index, _chained(digest, entry)
            if last in wanted:
                found[last] = value
        return found, last, value

    def _check_row(self, entry: Entry, digest: bytes) -> None:
        try:
            self.public.verify(ROW, framed(self.site, entry.index, digest), entry.signature)
        except SignatureError:
            raise BrokenError(entry.index, "the row is not the one that was written") from None

    def _check_signed(self, head: AuditHead, name: Name) -> None:
        try:
            if head.index < 0:
                raise SignatureError("a number below zero")
            head.check(self.public, self.site, name)
        except SignatureError:
            raise BrokenError(0, f"the {name} is not signed by this site's key") from None

    def _check_passed(self, found: Mapping[int, bytes], anchor: AuditHead, head: AuditHead) -> None:
        if head.index < self.least:
            raise BrokenError(head.index + 1, "last rows are missing")
        for index, value in sorted(self.passed):
            if index > head.index:
                raise BrokenError(head.index + 1, "last rows are missing")
            if index >= anchor.index and found[index] != value:
                raise BrokenError(index, "the log never went through a head that is kept")


def _check_form(database: sqlite3.Connection) -> None:
    if database.execute("PRAGMA user_version").fetchone() != (VERSION,):
        raise BrokenError(0, "the log is of another version")
    known = database.execute("SELECT sql FROM sqlite_master WHERE sql NOT NULL").fetchall()
    if len(known) != len(SCHEMA) or set(known) != {(line,) for line in SCHEMA}:
        raise BrokenError(0, "the tables of the log were altered")


def _digest(before: bytes, index: int, event: Event) -> bytes:
    return hashlib.sha256(framed("audit row", before, index, event.content())).digest()


def _chained(digest: bytes, entry: Entry) -> bytes:
    return hashlib.sha256(digest + entry.signature).digest()


def _signed(site: str, index: int, value: bytes, at: float) -> bytes:
    return framed(site, index, value, repr(at))


def _parsed(row: tuple[Any, ...]) -> Entry:
    index, kind, began, ended, reference, subject, given, outcome, caller, others, signature = row
    kinds = [type(part) for part in row]
    if kinds != [int, str, float, float, str, bytes, bytes, str, bytes, bytes, bytes]:
        raise ValueError("a column of another kind")
    if any(len(tag) not in (0, TAG) for tag in (subject, given, caller)) or len(others) % TAG:
        raise ValueError("a tag of another size")
    actors = [others[at : at + TAG] for at in range(0, len(others), TAG)]
    event = Event(
        kind=Kind(kind),
        began=began,
        ended=ended,
        reference=reference,
        subject=subject,
        input=given,
        outcome=outcome,
        actors=(caller, *actors) if caller else (),
    )
    if not caller and others:
        raise ValueError("actors without a caller")
    return Entry(index=index, event=event, signature=signature)
