"""Templates as a site's vault stores them: the bytes on the disk, and what the key opens.

The real vault is filled and closed; then its database is read as whoever copies the disk reads it.
"""

import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from client.vault.consent import Consent
from client.vault.core import DATABASE, VaultPlace
from client.vault.identity import new_person
from client.vault.providers import FileKeyProvider
from client.vault.records import QUALITY, NewTemplate
from client.vault.store import Enrolment, Vault

NONCE = 12  # bytes before a sealed text
_NOW, _LATER = 1.0, 2.0


@dataclass(frozen=True, eq=False, repr=False)
class Kept:
    """N templates in the order given: ``sealed`` bytes, and ``opened`` (N, D) with the key."""

    sealed: tuple[bytes, ...]
    opened: NDArray[np.float32]

    def as_if_plain(self, like: NDArray[np.float32]) -> NDArray[np.float32]:
        """The ciphertext read as the float16 numbers it would be, were it none: (N, D).

        Held to the range of features that are known, ``like`` (M, D).
        """
        size, start = 2 * self.opened.shape[1], NONCE + QUALITY.size
        raw = [np.frombuffer(blob[start : start + size], "<f2") for blob in self.sealed]
        numbers = np.stack(raw).astype(np.float32)
        return np.nan_to_num(numbers, nan=0.0).clip(like.min(axis=0), like.max(axis=0))


def keep(features: NDArray[np.float32], trunk: str) -> Kept:
    """``features`` (N, D) of a ``trunk`` (hash) through a vault of their own, a person a row."""
    people = [new_person(os.urandom) for _ in features]
    templates = [NewTemplate(trunk=trunk, feature=row.astype(np.float16)) for row in features]
    agreed = Consent(purposes=frozenset({"verify"}), text_hash="0" * 64, given=_NOW, expires=_LATER)
    batch = [
        Enrolment(person=person, templates=[template], consent=agreed)
        for person, template in zip(people, templates, strict=True)
    ]
    with TemporaryDirectory() as scratch:
        folder = Path(scratch) / "vault"
        provider = FileKeyProvider.create(Path(scratch) / "vault.key")
        with Vault.create(VaultPlace(folder=folder, provider=provider, site="audit")) as vault:
            vault.enrol_all(batch, _NOW)
            opened = {stored.person: stored.feature for stored in vault.templates(trunk)}
        sealed = _rows(folder / DATABASE)
    return Kept(
        sealed=tuple(sealed[bytes(person)] for person in people),
        opened=np.stack([opened[person] for person in people]).astype(np.float32),
    )


def _rows(database: Path) -> dict[bytes, bytes]:
    """What anybody with the file reads, by person."""
    with closing(sqlite3.connect(database)) as copied:
        return dict(copied.execute("SELECT person, sealed FROM template").fetchall())
