"""The keyring: one key a person, all under one epoch's key, which dies whenever anybody is erased.

    provider -> epoch key (a slot of its own) -> root key, one data key a person -> templates

To forget somebody the others' keys are wrapped under the next epoch's key in a new file, and the
old epoch's slot is overwritten: whatever copy of the old file there is, it is noise from then on.
"""

import hashlib
import os
import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from client.vault import ring
from client.vault.disk import DISK, PARTIAL, Disk
from client.vault.handles import KEY, DataKey, Opener, framed, heading
from client.vault.identity import BYTES, PersonId, Random
from client.vault.providers import KeyProvider
from client.vault.ring import Intent, Ring, Seen
from common.errors import DuplicatePersonError, SealedError, UnknownPersonError, VaultError

SLOT = ".epoch-"  # after the keyring's name, before the epoch's number


@dataclass(frozen=True, kw_only=True, slots=True)
class Rotation:
    """From one epoch to the next; digests are SHA-256 of the keyring's file, in hexadecimal."""

    epoch_before: int
    epoch_after: int
    keyring_before: str
    keyring_after: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Place:
    """Where a keyring lies, whose it is and what opens it."""

    path: Path
    provider: KeyProvider
    site: str
    random: Random = os.urandom
    disk: Disk = DISK


@dataclass(frozen=True, kw_only=True, slots=True, repr=False)
class Held:
    """What a keyring holds, opened: what a backup carries."""

    root: DataKey
    keys: dict[PersonId, DataKey]
    epoch: int
    generation: int


class Keyring:
    """Keys by person. Not for several threads; the vault's lock keeps it to one process.

    Guarantee: an altered or shortened file, one of another site and one from before an erasure do
    not open. After ``forget`` no key of those forgotten is in the file, nor can the old file be
    opened with anything that is left.
    Leaks: how many people there are, to who reads the file; and the old slot's blocks where a
    disk keeps them (see ``Disk.shred``): a provider in a device closes that.
    """

    def __init__(self, place: Place, content: Ring, key: DataKey, seen: Seen) -> None:
        self._place, self._ring, self._key = place, content, key
        self.generation = seen.generation  # of the database, as last seen complete
        self.torn = seen.torn  # noting a later generation was cut short
        about = framed("root", place.site)
        self._root = DataKey(key.open(content.root, about), place.random)

    @classmethod
    def create(cls, place: Place, held: "Held | None" = None) -> "Keyring":
        """A new keyring, or one of what was ``held``; ``VaultError`` if one is there already."""
        if os.path.lexists(place.path):
            raise VaultError(f"there is a keyring at {place.path} already")
        key, site = DataKey.generate(place.random), place.site
        held = held or Held(root=DataKey.generate(place.random), keys={}, epoch=1, generation=0)
        content = Ring(
            site=site,
            epoch=held.epoch,
            intent=Intent(kind="enrol", generation=held.generation, persons=()),
            root=held.root.sealed_with(key.seal, framed("root", site)),
            entries={person: _wrap(key, site, person, own) for person, own in held.keys.items()},
        )
        _write_slot(place, held.epoch, key)
        made = cls(place, content, key, Seen(held.generation, torn=False))
        made._store()
        made._shred_others()
        return made

    @classmethod
    def open(cls, place: Place) -> "Keyring":
        """The keyring at ``place``; slots of other epochs, left by a crash, are shredded.

        Raises ``SealedError`` if the provider cannot open it, or its epoch's key is gone (a copy
        from before an erasure); ``VaultError`` if it was altered or is another site's.
        """
        try:
            content = place.path.read_bytes()
        except FileNotFoundError:
            raise VaultError(f"there is no keyring at {place.path}") from None
        epoch = ring.epoch_of(content)
        try:
            wrapped = _slot(place, epoch).read_bytes()
        except FileNotFoundError:
            raise SealedError(
                "the key of the keyring's epoch is gone: the keyring is older than an erasure"
            ) from None
        raw = place.provider.unwrap(wrapped, framed("epoch", place.site, epoch))
        key = DataKey(raw, place.random)
        found, seen = ring.read(content, key)
        if found.site != place.site:
            raise VaultError("the keyring is another site's")
        opened = cls(place, found, key, seen)
        opened._shred_others()
        return opened

    @property
    def epoch(self) -> int:
        return self._ring.epoch

    @property
    def intent(self) -> Intent:
        """What the last change of keys was for."""
        return self._ring.intent

    @property
    def digest(self) -> str:
        """SHA-256 of the keyring's body, in hexadecimal."""
        return hashlib.sha256(ring.write(self._ring, self._key)).hexdigest()

    def people(self) -> frozenset[PersonId]:
        """Who has a key."""
        return frozenset(self._ring.entries)

    def __contains__(self, person: PersonId) -> bool:
        return person in self._ring.entries

    def derive(self, use: str) -> DataKey:
        """A key of the site for one use; it outlives epochs, and dies with the keyring."""
        return self._root.derive(use)

    def key(self, person: PersonId) -> DataKey:
        """The person's key; ``UnknownPersonError`` for whoever has none, or has none any more."""
        wrapped = self._ring.entries.get(person)
        if wrapped is None:
            raise UnknownPersonError("nobody is enrolled under this id")
        about = _about(self._place.site, person)
        return DataKey(self._key.open(wrapped, about), self._place.random)

    def openers(self) -> Callable[[PersonId], Opener]:
        """From a person to what opens their templates, for reading many: good until a change.

        ``UnknownPersonError`` as from ``key``; ``InvalidTag`` if the entry in memory was altered.
        """
        entries, opener = self._ring.entries, self._key.openers()
        about = framed("data key", self._place.site) + heading(BYTES)

        def find(person: PersonId) -> Opener:
            wrapped = entries.get(person)
            if wrapped is None:
                raise UnknownPersonError("nobody is enrolled under this id")
            return opener(wrapped, about + person)

        return find

    def held(self) -> Held:
        """Everything, opened, for a backup that seals it at once."""
        keys = {person: self.key(person) for person in self._ring.entries}
        about = framed("root", self._place.site)
        root = DataKey(self._key.open(self._ring.root, about), self._place.random)
        return Held(root=root, keys=keys, epoch=self.epoch, generation=self.generation)

    def add(self, persons: Collection[PersonId]) -> dict[PersonId, DataKey]:
        """A new key for each, on the disk when it returns; all of them, or none."""
        if any(person in self._ring.entries for person in persons):
            raise DuplicatePersonError("somebody is enrolled under this id already")
        keys = {person: DataKey.generate(self._place.random) for person in persons}
        site = self._place.site
        wrapped = {person: _wrap(self._key, site, person, key) for person, key in keys.items()}
        self._change("enrol", keys, self._ring.entries | wrapped)
        return keys

    def forget(self, persons: Collection[PersonId]) -> Rotation:
        """Destroys the keys of ``persons``, who may be none, and begins the next epoch.

        On the disk when it returns. ``UnknownPersonError`` if one of them has no key.
        """
        if not self.people().issuperset(persons):
            raise UnknownPersonError("nobody is enrolled under this id")
        gone, before, digest = frozenset(persons), self.epoch, self.digest
        key, site = DataKey.generate(self._place.random), self._place.site
        kept = {
            person: key.seal(self._key.open(wrapped, about), about)
            for person, wrapped in self._ring.entries.items()
            if person not in gone
            for about in (_about(site, person),)
        }
        _write_slot(self._place, before + 1, key)
        old, self._key = self._key, key
        root = self._root.sealed_with(key.seal, framed("root", site))
        self._ring = replace(self._ring, epoch=before + 1, root=root)
        self._change("erase", persons, kept)
        old.wipe()
        self._shred_others()
        return Rotation(
            epoch_before=before,
            epoch_after=self.epoch,
            keyring_before=digest,
            keyring_after=self.digest,
        )

    def rotate(self) -> Rotation:
        """A new epoch in which everybody stays."""
        return self.forget(())

    def settle(self, generation: int) -> None:
        """Notes that the database is complete at ``generation``; on the disk when it returns."""
        content = ring.counter(generation, self._key, self.epoch)
        self._place.disk.patch(self._place.path, content, ring.place_of(generation))
        self.generation, self.torn = generation, False

    def wipe(self) -> None:
        """Zeroes the keys in memory; the keyring is of no use afterwards."""
        self._key.wipe()
        self._root.wipe()

    def _change(
        self, kind: ring.Kind, persons: Iterable[PersonId], entries: dict[PersonId, bytes]
    ) -> None:
        intent = Intent(kind=kind, generation=self.generation + 1, persons=tuple(persons))
        self._ring = replace(self._ring, intent=intent, entries=entries)
        self._store()

    def _store(self) -> None:
        body = ring.write(self._ring, self._key)
        counter = ring.counter(self.generation, self._key, self.epoch)
        self._place.disk.replace(self._place.path, 2 * counter + body)

    def _shred_others(self) -> None:
        """Slots of all epochs but this one, and files that a crash left half written."""
        own = re.escape(self._place.path.name)
        name = re.compile(rf"{own}{re.escape(SLOT)}\d+|\.{own}.*{re.escape(PARTIAL)}")
        for path in sorted(self._place.path.parent.iterdir()):
            if name.fullmatch(path.name) and path != _slot(self._place, self.epoch):
                self._place.disk.shred(path)

    def __repr__(self) -> str:
        return f"Keyring(epoch={self.epoch})"


def _wrap(epoch_key: DataKey, site: str, person: PersonId, key: DataKey) -> bytes:
    return key.sealed_with(epoch_key.seal, _about(site, person))


def _about(site: str, person: PersonId) -> bytes:
    return framed("data key", site, bytes(person))


def _slot(place: Place, epoch: int) -> Path:
    return place.path.with_name(f"{place.path.name}{SLOT}{epoch}")


def _write_slot(place: Place, epoch: int, key: DataKey) -> None:
    wrapped = key.sealed_with(place.provider.wrap, framed("epoch", place.site, epoch))
    if not KEY < len(wrapped) <= 2**12:
        raise VaultError("the provider of keys wrapped nothing that it could unwrap")
    place.disk.replace(_slot(place, epoch), wrapped)
