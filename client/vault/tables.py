"""The vault's tables: rows of ciphertext, and a sealed head that only these very rows fit.

The head holds a keyed sum over all rows, so a row that was changed, taken, put in or put back is
noticed by whoever reads them all; and the generation, so an older database is.
"""

import hashlib
import sqlite3
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from client.vault.handles import DataKey, framed
from client.vault.identity import BYTES, PersonId
from client.vault.schema import COLUMNS, IDS, KEYS, SCHEMA, SINCE, VERSION, statement
from common.errors import DeploymentError, VaultError

_SETTINGS = (
    ("page_size", 16384, None),
    ("journal_mode", "WAL", b"wal"),
    ("synchronous", "FULL", None),
    ("secure_delete", "ON", 1),
    ("foreign_keys", "ON", None),
    ("trusted_schema", "OFF", None),
    ("cell_size_check", "ON", None),
    ("temp_store", "MEMORY", None),
)
_HEAD = struct.Struct(">QQ32s")
_MODULUS = 2**256
_SPACE = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN})

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Head:
    """What the database says of itself."""

    generation: int
    epoch: int
    total: int  # keyed sum over the rows


class Tables:
    """Reads and writes rows; every change moves the head along in the same transaction.

    Guarantee: ``verify`` returns only if the rows are those of the head, bit by bit.
    Leaks: to who reads the file, how many people and templates there are, of which trunks, and of
    how many of them labels are kept.
    """

    def __init__(self, database: sqlite3.Connection, site: str, key: DataKey) -> None:
        self._database, self._site = database, site
        self._head_key, self._row_key = key.derive("head"), key.derive("rows")
        self.head = Head(0, 0, 0)
        database.text_factory = bytes  # a flipped bit may make text that is none
        for name, value, told in _SETTINGS:
            rows = database.execute(f"PRAGMA {name} = {value}").fetchall()
            if told is not None and rows != [(told,)]:
                raise VaultError(f"the database refuses {name} = {value}")

    @property
    def empty(self) -> bool:
        """Whether nothing was ever written."""
        return not self._database.execute("SELECT 1 FROM sqlite_master").fetchone()

    def found(self, head: Head, rows: dict[str, Iterable[Row]] | None = None) -> None:
        """Makes the tables, with ``rows`` if any, in one transaction."""
        with self._transaction():
            for statement in SCHEMA:
                self._database.execute(statement)
            self._database.execute(f"PRAGMA user_version = {VERSION}")
            self.head = head
            for table, content in (rows or {}).items():
                for row in content:
                    self.insert(table, row)
            self._write_head()

    def upgrade(self) -> None:
        """Makes a database of an earlier version one of today's: whole, or not at all.

        ``VaultError`` unless it is as its last change left it. Its rows stay, and its generation.
        """
        (version,) = self._database.execute("PRAGMA user_version").fetchone()
        if version not in range(1, VERSION):
            return
        self._verify(version)
        with self._transaction():
            for name, since in SINCE.items():
                if since > version:
                    self._database.execute(statement(name))
            self._database.execute(f"PRAGMA user_version = {VERSION}")
            self._write_head()

    def verify(self) -> None:
        """Reads everything; ``VaultError`` unless all is as the last change left it."""
        if self._database.execute("PRAGMA user_version").fetchone() != (VERSION,):
            raise VaultError("the vault's database is of another version")
        self._verify(VERSION)

    def _verify(self, version: int) -> None:
        if self._database.execute("PRAGMA quick_check(1)").fetchall() != [(b"ok",)]:
            raise VaultError("the pages of the vault's database were altered")
        later = {name for name, since in SINCE.items() if since > version}
        schema = set(SCHEMA) - {statement(name) for name in later}
        known = self._database.execute("SELECT sql FROM sqlite_master WHERE sql NOT NULL")
        if sorted(known.fetchall()) != sorted((line.encode(),) for line in schema):
            raise VaultError("the tables of the vault were altered")
        sealed = self._database.execute("SELECT sealed FROM head").fetchall()
        if len(sealed) != 1 or not isinstance(sealed[0][0], bytes):
            raise VaultError("the vault's head is missing")
        opened = self._head_key.open(sealed[0][0], self._about(version))
        generation, epoch, total = _HEAD.unpack(opened)
        self.head = Head(generation, epoch, int.from_bytes(total, "big"))
        tables = COLUMNS.keys() - later
        found = sum(self._leaf(table, row) for table in tables for row in self._ordered(table))
        if found % _MODULUS != self.head.total:
            raise VaultError("rows of the vault were altered, moved, added or taken away")

    @contextmanager
    def change(self, epoch: int) -> Iterator[None]:
        """The block's changes and the next generation's head, all of them or none."""
        before = self.head
        try:
            with self._transaction():
                self.head = Head(before.generation + 1, epoch, before.total)
                yield
                self._write_head()
        except BaseException:
            self.head = before
            raise

    def insert(self, table: str, row: Row) -> None:
        """One row more; inside ``change``."""
        self._add(self._leaf(table, row))
        marks = ", ".join("?" * len(row))
        self._database.execute(f"INSERT INTO {table} VALUES ({marks})", row)  # noqa: S608

    def delete(self, table: str, *key: bytes) -> int:
        """The rows that begin with ``key`` are gone; how many there were. Inside ``change``."""
        rows = self.select(table, *key)
        self._add(-sum(self._leaf(table, row) for row in rows))
        where = _where(table, len(key))
        gone = self._database.execute(f"DELETE FROM {table} WHERE {where}", key).rowcount  # noqa: S608
        if gone != len(rows):
            raise VaultError("rows of the vault are not where they belong")
        return gone

    def update_person(self, person: PersonId, sealed: bytes) -> None:
        """Another record of somebody who has one; inside ``change``."""
        (old,) = self.select("person", person)
        self._add(self._leaf("person", (person, sealed)) - self._leaf("person", old))
        self._database.execute("UPDATE person SET sealed = ? WHERE person = ?", (sealed, person))

    def select(self, table: str, *key: bytes) -> list[Row]:
        """All rows that begin with ``key``."""
        columns = ", ".join(COLUMNS[table])
        query = f"SELECT {columns} FROM {table} WHERE {_where(table, len(key))}"  # noqa: S608
        return self._database.execute(query, key).fetchall()

    def page(self, table: str, after: tuple[bytes, ...], size: int) -> list[Row]:
        """The next ``size`` rows in the order of their keys."""
        names = COLUMNS[table][: KEYS[table]]
        where = f"({', '.join(names)}) > ({', '.join('?' * len(names))})" if after else "TRUE"
        query = (
            f"SELECT {', '.join(COLUMNS[table])} FROM {table} "  # noqa: S608
            f"WHERE {where} ORDER BY {', '.join(names)} LIMIT ?"
        )
        return self._database.execute(query, (*after, size)).fetchall()

    def sealed(self, trunk: bytes, after: Row, size: int) -> list[Row]:
        """Person, template, dim, row and sealed feature of the next ``size`` templates of a trunk.

        In the order of their keys, which are above ``after``.
        """
        query = (
            "SELECT person, template, dim, row, sealed FROM template WHERE trunk = ? "
            "AND (person, template) > (?, ?) ORDER BY person, template LIMIT ?"
        )
        return self._database.execute(query, (trunk, *after, size)).fetchall()

    @property
    def size(self) -> int:
        """Bytes of the whole database, with what is still in its log."""
        (pages,) = self._database.execute("PRAGMA page_count").fetchone()
        (page,) = self._database.execute("PRAGMA page_size").fetchone()
        return int(pages) * int(page)

    def people(self) -> frozenset[PersonId]:
        """Who has a row."""
        found = self._database.execute("SELECT person FROM person").fetchall()
        return frozenset(PersonId(row[0]) for row in found)

    def places(self) -> frozenset[Row]:
        """Person and template of every template there is."""
        return frozenset(self._database.execute("SELECT person, template FROM template"))

    def tombstones(self) -> frozenset[bytes]:
        """Of all who were erased."""
        return frozenset(row[1] for row in self.select("tombstone") if row[1])

    def rebuild(self) -> None:
        """Writes every page anew, in the order of the rows, and leaves nothing else in the files.

        Deleted rows are zeroed where they stood, but earlier changes may have moved them, and left
        copies in the free space of a page. Reads and writes the whole database.
        """
        self._database.execute("VACUUM")
        self.clean()

    def clean(self) -> None:
        """The log goes into the database, and is emptied: deleted rows are zeroed in both."""
        busy, log, _ = self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy or log:
            raise VaultError("the database's log was not emptied: another program reads it")

    def wipe(self) -> None:
        """Zeroes the keys in memory."""
        self._head_key.wipe()
        self._row_key.wipe()

    def _ordered(self, table: str) -> Iterator[Row]:
        """Every row, each key above the one before: what a search finds is what a reading does."""
        last: Row = ()
        size = KEYS[table]
        columns, order = ", ".join(COLUMNS[table]), ", ".join(COLUMNS[table][:size])
        for row in self._database.execute(f"SELECT {columns} FROM {table} ORDER BY {order}"):  # noqa: S608
            key = row[:size]
            if last and not _above(key, last):
                raise VaultError("rows of the vault are not where they belong")
            last = key
            yield row

    def _leaf(self, table: str, row: Row) -> int:
        """A secret number for this row: nobody else can say which rows have the same sum."""
        if len(row) != len(COLUMNS[table]) or not all(
            type(part) is bytes or (type(part) is int and 0 <= part < 2**63) for part in row
        ):
            raise VaultError("a row of the vault has a value of another kind")
        ids = row[: IDS.get(table, 0)]
        if any(type(part) is not bytes or len(part) != BYTES for part in ids):
            raise VaultError("a row of the vault is nobody's")
        return int.from_bytes(self._row_key.tag(framed(table, *row)), "big")

    def _add(self, leaf: int) -> None:
        head = self.head
        self.head = Head(head.generation, head.epoch, (head.total + leaf) % _MODULUS)

    def _write_head(self) -> None:
        head = self.head
        plain = _HEAD.pack(head.generation, head.epoch, head.total.to_bytes(32, "big"))
        sealed = self._head_key.seal(plain, self._about(VERSION))
        self._database.execute("INSERT OR REPLACE INTO head VALUES (0, ?)", (sealed,))

    def _about(self, version: int) -> bytes:
        return framed("head", version, self._site)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._database.execute("COMMIT")
        except BaseException:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            raise


def tombstone(site: str, person: PersonId) -> bytes:
    """What is left of somebody erased: who has not the id learns nothing from it."""
    return hashlib.sha256(framed("tombstone", site, bytes(person))).digest()


def told(error: Exception) -> DeploymentError | VaultError:
    """Which of our errors it is: without the database's own words, which may quote a row."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in _SPACE:
        return DeploymentError("the vault cannot be written: free space there, or run as its owner")
    return VaultError("the vault's database cannot be read or written: it may have been altered")


def _where(table: str, keys: int) -> str:
    return " AND ".join(f"{name} = ?" for name in COLUMNS[table][:keys]) or "TRUE"


def _above(key: Row, last: Row) -> bool:
    return [type(part) for part in key] == [type(part) for part in last] and key > last
