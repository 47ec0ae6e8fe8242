"""An open vault below its rules: lock, keyring, tables, and records of persons and templates."""

import math
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from client.vault import keyring as keys
from client.vault import opening
from client.vault.disk import DISK, Disk
from client.vault.handles import DataKey
from client.vault.identity import PersonId, Random, TemplateId, new_template
from client.vault.keyring import Keyring
from client.vault.labels import Labels, about_labels, open_labels, seal_labels
from client.vault.providers import KeyProvider
from client.vault.records import (
    About,
    NewTemplate,
    Particulars,
    Stored,
    open_feature,
    open_particulars,
    seal_feature,
    seal_particulars,
    trunk_bytes,
)
from client.vault.tables import Row, Tables, told
from common.errors import DeploymentError, VaultError
from common.locks import locked

DATABASE, KEYRING, LOCK = "vault.db", "keyring", "lock"
PAGE = 1024  # rows read at once


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class VaultPlace:
    """The folder of a vault, whose it is and what opens its keys."""

    folder: Path
    provider: KeyProvider
    site: str
    random: Random = os.urandom
    disk: Disk = DISK

    @property
    def database(self) -> Path:
        return self.folder / DATABASE

    @property
    def keyring(self) -> keys.Place:
        return keys.Place(
            path=self.folder / KEYRING,
            provider=self.provider,
            site=self.site,
            random=self.random,
            disk=self.disk,
        )


@dataclass(frozen=True, slots=True, repr=False)
class _Covered:
    """Whose consent covers some purpose, at every time in [since, until)."""

    people: frozenset[PersonId]
    since: float
    until: float


class Core:
    """Holds the lock from construction to ``close``. All below needs ``guard`` around it."""

    def __init__(self, place: VaultPlace) -> None:
        self.place = place
        self._process, self._broken, self._mutex = os.getpid(), False, threading.RLock()
        self._known: dict[PersonId, Particulars] | None = None
        self._covered: dict[str | None, _Covered] = {}  # by purpose; of `_known` as it is
        with ours(), ExitStack() as stack:
            stack.enter_context(locked(place.folder / LOCK, "another process of this vault"))
            self.keyring = Keyring.open(place.keyring)
            stack.callback(self.keyring.wipe)
            database = place.disk.connect(place.database)
            stack.callback(database.close)
            self.tables = Tables(database, place.site, self.keyring.derive("tables"))
            stack.callback(self.tables.wipe)
            opening.agree(self.tables, self.keyring, place.site)
            self._shut = stack.pop_all()

    @contextmanager
    def guard(self) -> Iterator[None]:
        """One thread at a time, in the process that opened it, while it can be trusted."""
        if os.getpid() != self._process:
            raise VaultError("a forked process may not use its parent's vault")
        with self._mutex:
            if self._broken:
                raise VaultError("the vault is closed")
            try:
                with ours():
                    yield
            except (VaultError, DeploymentError):
                self._broken = True
                raise

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Whatever ends the block early closes the vault: only opening tells what was done."""
        self._broken = True
        yield
        self._broken = False

    def settle(self) -> None:
        """Notes in the keyring that the database is complete."""
        self.keyring.settle(self.tables.head.generation)

    def insert_person(self, key: DataKey, person: PersonId, known: Particulars) -> None:
        """The row of a person; inside a change."""
        sealed = seal_particulars(key, self.place.site, person, known)
        self.tables.insert("person", (person, sealed))
        self._learn(person, known)

    def replace_person(self, key: DataKey, person: PersonId, known: Particulars) -> None:
        """Another row in the place of the one there is; inside a change."""
        self.tables.update_person(person, seal_particulars(key, self.place.site, person, known))
        self._learn(person, known)

    def insert_template(
        self, key: DataKey, person: PersonId, template: NewTemplate, row: int
    ) -> TemplateId:
        """The row of a template, and of its labels if it has some; inside a change."""
        made, trunk = new_template(self.place.random), trunk_bytes(template.trunk)
        columns = (person, made, trunk, template.feature.size, row)
        sealed = seal_feature(key, template.feature, template.quality, self._about(columns))
        self.tables.insert("template", (*columns, sealed))
        if template.labels is not None:
            self.insert_labels(key, person, made, template.labels)
        return made

    def delete_template(self, person: PersonId, template: TemplateId) -> None:
        """A template goes, and what was said of its picture; inside a change."""
        self.tables.delete("labels", person, template)
        self.tables.delete("template", person, template)

    def insert_labels(
        self, key: DataKey, person: PersonId, template: TemplateId, labels: Labels
    ) -> None:
        """What is said of one template's picture, of which nothing is yet; inside a change."""
        sealed = seal_labels(key, labels, about_labels(self.place.site, person, template))
        self.tables.insert("labels", (person, template, sealed))

    def labels(self, person: PersonId) -> dict[TemplateId, Labels]:
        """What is said of a person's templates, where anything is."""
        rows = self.tables.select("labels", person)
        key, site = self.keyring.key(person), self.place.site
        return {
            TemplateId(row[1]): open_labels(key, row[2], about_labels(site, person, row[1]))
            for row in rows
        }

    def opened(self, rows: list[Row], trunk: bytes) -> list[Stored]:
        """Those of ``rows`` that are of ``trunk``; sorted by person, so each key is unwrapped
        once."""
        found, owner, key = [], None, None
        for row in rows:
            if row[2] != trunk:
                continue
            if key is None or owner != row[0]:
                owner, key = row[0], self.keyring.key(row[0])
            found.append(open_feature(key, row[5], self._about(row)))
        return found

    def pages(self, table: str) -> Iterator[list[Row]]:
        """All rows, so many at a time; takes ``guard`` itself, for each page."""
        after: tuple[bytes, ...] = ()
        size = 1 if table == "person" else 2
        while True:
            with self.guard():
                rows = self.tables.page(table, after, PAGE)
            if not rows:
                return
            yield rows
            after = tuple(rows[-1][:size])

    def everybody(self) -> dict[PersonId, Particulars]:
        """What is known of each; read once, then kept in memory."""
        if self._known is None:
            self._known = {
                PersonId(row[0]): self._particulars(PersonId(row[0]), row[1])
                for rows in self.pages("person")
                for row in rows
            }
        return self._known

    def covered(self, purpose: str | None, now: float) -> frozenset[PersonId]:
        """Whose consent covers ``purpose`` at ``now``: looked up again only once it may differ."""
        kept = self._covered.get(purpose)
        if kept is None or not kept.since <= now < kept.until:
            consents = {person: what.consent for person, what in self.everybody().items()}
            people = frozenset(p for p, one in consents.items() if one.covers(purpose, now))
            turns = [turn for one in consents.values() for turn in (one.given, one.expires)]
            since = max((turn for turn in turns if turn <= now), default=-math.inf)
            until = min((turn for turn in turns if turn > now), default=math.inf)
            kept = self._covered[purpose] = _Covered(people, since, until)
        return kept.people

    def particulars(self, person: PersonId) -> Particulars:
        """What is known of one; ``UnknownPersonError`` for whoever has no key."""
        self.keyring.key(person).wipe()
        rows = self.tables.select("person", person)
        if len(rows) != 1:
            raise VaultError("a person has a key and no record")
        return self._particulars(person, rows[0][1])

    def forget(self, persons: tuple[PersonId, ...]) -> None:
        """Nothing of ``persons`` stays in this object's memory."""
        self._covered.clear()
        for person in persons:
            (self._known or {}).pop(person, None)

    def close(self) -> None:
        """Zeroes keys and gives the files back; harmless when done twice."""
        with self._mutex:
            self._broken, self._known = True, None
            self._covered.clear()
            if os.getpid() == self._process:
                with suppress(sqlite3.Error):
                    self._shut.close()

    def _learn(self, person: PersonId, known: Particulars) -> None:
        self._covered.clear()
        if self._known is not None:
            self._known[person] = known

    def _particulars(self, person: PersonId, sealed: bytes) -> Particulars:
        return open_particulars(self.keyring.key(person), self.place.site, person, sealed)

    def _about(self, row: Row) -> About:
        person, template, trunk, dim, number = row[:5]
        return About(
            site=self.place.site,
            person=person,
            template=template,
            trunk=trunk,
            dim=dim,
            row=number,
        )


@contextmanager
def ours() -> Iterator[None]:
    """Errors of disk and database in our own words: theirs may quote a row or a path."""
    try:
        yield
    except (sqlite3.Error, UnicodeError) as error:  # some names it quotes are no text any more
        raise told(error) from None
    except OSError as error:
        raise DeploymentError(
            f"cannot read or write the vault: {error.strerror}; free space there, or run as its "
            "owner"
        ) from None
