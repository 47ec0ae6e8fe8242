"""A vault full of invented people, and the bare loops and commits that it is measured beside."""

import os
import sqlite3
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import click
import numpy as np
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from client.vault.consent import Consent
from client.vault.core import VaultPlace
from client.vault.handles import NONCE, framed
from client.vault.identity import PersonId, new_person
from client.vault.loading import Loaded
from client.vault.providers import FileKeyProvider
from client.vault.records import QUALITY, About, NewTemplate, trunk_bytes
from client.vault.store import Enrolment, Vault

TRUNK, SITE, NOW = "ab" * 32, "bench", 1000.0
PORTION = 5000  # people enrolled at once
SETTINGS = ("journal_mode = WAL", "synchronous = FULL", "secure_delete = ON", "page_size = 16384")

Bare = list[tuple[bytes, bytes, bytes, bytes]]  # wrapped, what binds it, sealed, what binds that


class Bench:
    """Contenders are methods without arguments; each does the whole of its work."""

    def __init__(self, folder: Path, people: int, templates: int, dim: int) -> None:
        self._rng, self._templates, self._dim = np.random.default_rng(0), templates, dim
        provider = FileKeyProvider.create(folder / "kek")
        self._place = VaultPlace(folder=folder / "vault", provider=provider, site=SITE)
        self._vault = Vault.create(self._place)
        while (enrolled := len(self._vault.people(now=NOW))) < people:
            self._vault.enrol_all(self._drawn(min(PORTION, people - enrolled)), NOW)
            click.echo(f"{enrolled}/{people} people", err=True)
        self._epoch = AESGCM(os.urandom(32))
        self._rows = self._bare_rows()
        self._database = sqlite3.connect(folder / "bare.db", isolation_level=None)
        for setting in SETTINGS:
            self._database.execute(f"PRAGMA {setting}")
        self._database.execute("CREATE TABLE row (id BLOB PRIMARY KEY, sealed BLOB) WITHOUT ROWID")

    def bare(self) -> np.ndarray:
        """Every template by its person's key, unwrapped for it."""
        width = QUALITY.size + 2 * self._dim
        content, at = np.zeros((len(self._rows), width), np.uint8), 0
        memory, unwrap = _memory(content), self._epoch.decrypt
        for wrapped, bound, sealed, about in self._rows:
            key = AESGCM(unwrap(wrapped[:NONCE], wrapped[NONCE:], bound))
            key.decrypt_into(sealed[:NONCE], sealed[NONCE:], about, memory[at : at + width])
            at += width
        return content

    def person(self) -> np.ndarray:
        """The same, each key unwrapped once."""
        width, last = QUALITY.size + 2 * self._dim, b""
        content, at = np.zeros((len(self._rows), width), np.uint8), 0
        memory, unwrap = _memory(content), self._epoch.decrypt
        for wrapped, bound, sealed, about in self._rows:
            if wrapped is not last:
                last, key = wrapped, AESGCM(unwrap(wrapped[:NONCE], wrapped[NONCE:], bound))
            key.decrypt_into(sealed[:NONCE], sealed[NONCE:], about, memory[at : at + width])
            at += width
        return content

    def load(self) -> Loaded:
        """The vault's own way."""
        return self._vault.load(TRUNK)

    def boot(self) -> Loaded:
        """From closed files."""
        self._vault.close()
        self._vault = Vault(self._place)
        return self._vault.load(TRUNK)

    def check_agreement(self) -> None:
        """Fails unless all find the same numbers."""
        loaded, found = self.load(), self.bare()
        assert np.array_equal(found, self.person()), "the bare loops differ"
        assert np.array_equal(loaded.features, found[:, QUALITY.size :].view("<f2")), "load differs"
        one_by_one = [stored.feature for stored in self._vault.templates(TRUNK)]
        assert np.array_equal(loaded.features, np.stack(one_by_one)), "load is not what is stored"

    def changes(self, group: int) -> dict[str, Callable[[], object]]:
        """One durable change each, and the least that it could be."""
        sealed = self._rows[0][2]

        def commit(people: int) -> None:
            self._database.execute("BEGIN IMMEDIATE")
            for _ in range(people * self._templates):
                row = (os.urandom(16), sealed)
                self._database.execute("INSERT INTO row VALUES (?, ?)", row)
            self._database.execute("COMMIT")

        return {
            "enrol": lambda: self._vault.enrol_all(self._drawn(1), NOW),
            "enrol_bare": lambda: commit(1),
            "group": lambda: self._vault.enrol_all(self._drawn(group), NOW),
            "group_bare": lambda: commit(group),
            "erase": lambda: self._vault.erase([min(self._vault.people(now=NOW))], NOW),
            "erase_bare": self._rewrap,
        }

    def close(self) -> None:
        """Gives the files back."""
        self._vault.close()
        self._database.close()

    def _rewrap(self) -> None:
        """Every person's key under another key, in memory."""
        new = AESGCM(os.urandom(32))
        firsts = [self._rows[0], *(b for a, b in pairwise(self._rows) if a[0] is not b[0])]
        for wrapped, bound, _, _ in firsts:
            nonce = os.urandom(NONCE)
            new.encrypt(nonce, self._epoch.decrypt(wrapped[:NONCE], wrapped[NONCE:], bound), bound)

    def _drawn(self, people: int) -> list[Enrolment]:
        consent = Consent(
            purposes=frozenset({"identify"}), text_hash="0" * 64, given=1.0, expires=2 * NOW
        )
        shape = (people, self._templates, self._dim)
        features = self._rng.standard_normal(shape, np.float32).astype(np.float16)
        return [
            Enrolment(
                person=new_person(os.urandom),
                templates=[NewTemplate(trunk=TRUNK, feature=feature) for feature in some],
                consent=consent,
            )
            for some in features
        ]

    def _bare_rows(self) -> Bare:
        """The same people's same numbers under keys of the bench's own, in the vault's order."""
        loaded, trunk = self._vault.load(TRUNK), trunk_bytes(TRUNK)
        rows: Bare = []
        owner, key, wrapped, bound = PersonId(b""), self._epoch, b"", b""
        for number, person in enumerate(loaded.persons):
            if person != owner:
                owner, raw, nonce = person, os.urandom(32), os.urandom(NONCE)
                bound, key = framed("data key", SITE, bytes(person)), AESGCM(raw)
                wrapped = nonce + self._epoch.encrypt(nonce, raw, bound)
            about = About(
                site=SITE,
                person=person,
                template=loaded.templates[number],
                trunk=trunk,
                dim=self._dim,
                row=number % self._templates,
            ).to_bytes()
            plain = QUALITY.pack(loaded.quality[number]) + loaded.features[number].tobytes()
            nonce = os.urandom(NONCE)
            rows.append((wrapped, bound, nonce + key.encrypt(nonce, plain, about), about))
        return rows


def _memory(content: np.ndarray) -> memoryview:
    return memoryview(content.reshape(-1))  # type: ignore[arg-type]
