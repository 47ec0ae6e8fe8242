"""All templates of one trunk, opened at once into one matrix: what a gallery is made from.

A template costs its own decryption and little more: what authenticates it is put together from
pieces made once, a person's key is unwrapped once, and the numbers land where they stay.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from cryptography.exceptions import InvalidTag
from numpy.typing import NDArray

from client.vault.core import PAGE, Core
from client.vault.handles import NONCE, OVERHEAD
from client.vault.identity import PersonId, TemplateId
from client.vault.records import QUALITY, Abouts, Feature, trunk_bytes
from client.vault.tables import Row
from common.errors import ModelError, UnknownPersonError, VaultError


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Loaded:
    """N opened templates of D numbers each, in the order of their people."""

    persons: tuple[PersonId, ...]
    templates: tuple[TemplateId, ...]
    features: Feature = field(repr=False)  # (N, D); (0, 0) if there is none
    quality: NDArray[np.float64] = field(repr=False)  # (N,), in [0, 1]

    def wipe(self) -> None:
        """Zeroes the numbers, once they are where they were wanted."""
        self.features.fill(0)
        self.quality.fill(0)


class Loading:
    """One reading of all templates of ``trunk``; see ``Vault.load``.

    A page is read and opened under one guard, so nobody is erased in between.
    """

    def __init__(self, core: Core, trunk: str) -> None:
        self._core, self._trunk = core, trunk_bytes(trunk)
        self._places: list[Row] = []  # person and template of each row
        self._dim = self._width = 0
        self._content: NDArray[np.uint8] = np.zeros((0, QUALITY.size), np.uint8)

    def run(self) -> Loaded:
        """Takes ``guard`` itself, for each page. What was opened is zeroed where that fails."""
        try:
            self._read()
        except BaseException:
            self._content.fill(0)
            raise
        return self._loaded()

    def _read(self) -> None:
        core, after = self._core, (b"", b"")  # below every key
        with core.guard():
            begun = core.tables.head.generation
        while True:
            with core.guard():
                rows = core.tables.sealed(self._trunk, after, PAGE)
                if not rows or not self._room(rows):
                    break
                self._open(rows)
            after = rows[-1][:2]
        with core.guard():
            if core.tables.head.generation != begun:
                self._drop_others(core.tables.places())

    def _room(self, rows: Sequence[Row]) -> bool:
        """Whether ``rows`` fit: memory is taken once, for as many as the database has room for.

        So what does not fit was enrolled since.
        """
        if not self._places:
            self._dim = rows[0][2]
            self._width = QUALITY.size + 2 * self._dim
            most = self._core.tables.size // (self._width + OVERHEAD)
            self._content = np.zeros((most, self._width), np.uint8)
        return len(self._places) + len(rows) <= len(self._content)

    def _open(self, rows: Sequence[Row]) -> None:
        at, size = len(self._places) * self._width, self._width + OVERHEAD
        if any(row[2] != self._dim for row in rows):
            raise ModelError("templates of one trunk have features of different lengths")
        if any(len(row[4]) != size or row[3] < 0 for row in rows):
            raise VaultError("a sealed feature has not the size that was stored with it")
        try:
            self._decrypt(rows, memoryview(self._content.reshape(-1))[at:])  # type: ignore[arg-type]
        except (InvalidTag, UnknownPersonError):
            raise VaultError("a sealed record was altered, or is another's") from None
        self._places += [row[:2] for row in rows]

    def _decrypt(self, rows: Sequence[Row], memory: memoryview) -> None:
        abouts, opener = Abouts(self._core.place.site, self._trunk, self._dim), None
        find, width, owner, at = self._core.keyring.openers(), self._width, None, 0
        for person, template, _, number, sealed in rows:
            if person != owner or opener is None:
                owner, opener, begin = person, find(person), abouts.of(person)
            about = begin + template + abouts.end(number)
            opener(sealed[:NONCE], sealed[NONCE:], about, memory[at : at + width])
            at += width

    def _drop_others(self, still: frozenset[Row]) -> None:
        """Zeroes and leaves out what is not there any more."""
        kept = [i for i, place in enumerate(self._places) if place in still]
        whole, self._content = self._content, self._content[kept]
        whole.fill(0)
        self._places = [self._places[i] for i in kept]

    def _loaded(self) -> Loaded:
        content = self._content[: len(self._places)]
        return Loaded(
            persons=tuple(PersonId(person) for person, _ in self._places),
            templates=tuple(TemplateId(template) for _, template in self._places),
            features=content[:, QUALITY.size :].view("<f2"),
            quality=content[:, : QUALITY.size].view("<f8")[:, 0],
        )
