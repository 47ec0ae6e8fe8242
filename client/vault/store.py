"""The vault: who is enrolled, by what consent, with which sealed templates; one process at a time.

Order of every change: keys that are needed, then rows, then the counter in the keyring. To erase
it is keys first: once they are gone the rows are noise, whatever happens next.
"""

import os
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from client.vault import opening
from client.vault.access import record_of
from client.vault.consent import Consent
from client.vault.core import Core, VaultPlace, ours
from client.vault.handles import DataKey
from client.vault.identity import BYTES, PersonId, TemplateId
from client.vault.keyring import Keyring
from client.vault.labelling import Labelling, check_covered
from client.vault.labels import PURPOSE as LABELS
from client.vault.loading import Loaded, Loading
from client.vault.records import NewTemplate, Particulars, Stored, trunk_bytes
from client.vault.tables import Row, tombstone
from common.errors import (
    ConsentError,
    ConsentExpiredError,
    DuplicatePersonError,
    ModelError,
    UnknownPersonError,
    VaultError,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Enrolment:
    """One person's first templates. The label is the operator's own word, sealed with the rest."""

    person: PersonId
    templates: Sequence[NewTemplate] = field(repr=False)
    consent: Consent
    label: str = field(default="", repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Erasure:
    """What a receipt is made of. Digests are SHA-256 of the keyring, in hexadecimal."""

    persons: tuple[PersonId, ...]
    epoch_before: int
    epoch_after: int
    keyring_before: str
    keyring_after: str
    generation: int
    at: float  # Unix seconds


class Vault:
    """Enrol, read, renew, erase. Safe for threads; an error while writing closes it.

    Guarantee: what is returned was enrolled here and is as it was enrolled. A change is done when
    it returns, and done or not at all after a crash; somebody erased is not brought back by a crash
    or by an older copy of database or keyring, and an older copy of either one does not open.
    Leaks: numbers of people and templates and the trunks' hashes, to who reads the files. Both
    files rolled back together, with the epoch's slot, look as they did then: somebody else must
    keep ``generation`` and show it.
    """

    def __init__(self, place: VaultPlace) -> None:
        """Opens the vault at ``place``, and finishes what a crash left half done.

        Raises ``BusyError`` while another process has it, ``SealedError``, ``VaultError``,
        ``VaultRollbackError``.
        """
        self._core = Core(place)
        self.labels = Labelling(self._core)

    @classmethod
    def create(cls, place: VaultPlace) -> "Vault":
        """An empty vault; ``VaultError`` if there is one already."""
        with ours():
            place.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if os.path.lexists(place.database):
                raise VaultError(f"there is a vault at {place.folder} already")
            Keyring.create(place.keyring).wipe()
        return cls(place)

    @property
    def site(self) -> str:
        return self._core.place.site

    @property
    def generation(self) -> int:
        """Grows by one with every change; one that is not done yet does not count."""
        return self._core.keyring.generation

    @property
    def epoch(self) -> int:
        """Grows whenever keys are rotated, which every erasure does."""
        return self._core.keyring.epoch

    def enrol(
        self,
        person: PersonId,
        templates: Sequence[NewTemplate],
        consent: Consent,
        *,
        now: float,
        label: str = "",
    ) -> None:
        """Enrols one person; see ``enrol_all``."""
        one = Enrolment(person=person, templates=templates, consent=consent, label=label)
        self.enrol_all([one], now)

    def enrol_all(self, batch: Sequence[Enrolment], now: float) -> None:
        """Enrols all of ``batch`` in one change: all of them, or none.

        The keyring is written whole, so a hundred in one change cost little more than one.
        ``ConsentError`` for anybody without a consent in force at ``now``, or with labels that it
        does not cover, ``ModelError`` without templates, ``DuplicatePersonError`` for an id that is
        or was in use.
        """
        core, persons = self._core, [one.person for one in batch]
        with core.guard():
            self._check_new(persons)
            for one in batch:
                _check_consent(one.consent, now, one.templates)
                if not one.templates:
                    raise ModelError("a person is enrolled by one template or more")
            known = [Particulars(one.consent, now, one.label) for one in batch]
            with core.changing():
                added = core.keyring.add(persons)
                with core.tables.change(core.keyring.epoch):
                    for one, what in zip(batch, known, strict=True):
                        core.insert_person(added[one.person], one.person, what)
                        for row, template in enumerate(one.templates):
                            core.insert_template(added[one.person], one.person, template, row)
                core.settle()

    def add(self, person: PersonId, template: NewTemplate) -> TemplateId:
        """One template more of somebody enrolled; ``ConsentError`` for one with labels, for which
        ``refresh`` looks at the consent."""
        core = self._core
        if template.labels is not None:
            raise ConsentError("labels are taken where the consent is looked at")
        with core.guard():
            key = core.keyring.key(person)
            last = max((row[4] for row in core.tables.select("template", person)), default=-1)
            with core.changing():
                with core.tables.change(core.keyring.epoch):
                    made = core.insert_template(key, person, template, last + 1)
                core.settle()
            return made

    def remove(self, person: PersonId, template: TemplateId) -> None:
        """Takes one template away.

        ``UnknownPersonError`` if it is not there. Copies made before still open it, and so may one
        in the free space of a page, until the next ``forget_trunk``: only ``erase`` destroys keys.
        """
        core = self._core
        with core.guard():
            if not core.tables.select("template", person, template):
                raise UnknownPersonError("there is no such template")
            with core.changing():
                with core.tables.change(core.keyring.epoch):
                    core.delete_template(person, template)
                core.tables.clean()
                core.settle()

    def refresh(
        self, person: PersonId, templates: Sequence[NewTemplate], *, most: int, now: float
    ) -> None:
        """Adds ``templates`` and takes away the oldest beyond ``most`` of each trunk: one change.

        Consent and label stay. ``ConsentError`` unless the consent is in force at ``now``,
        ``ModelError`` without templates, or with more of one trunk than ``most``. As with
        ``remove``, copies made before still open.
        """
        core = self._core
        with core.guard():
            key = core.keyring.key(person)
            _check_consent(core.particulars(person).consent, now, templates)
            coming = Counter(trunk_bytes(one.trunk) for one in templates)
            if not coming or max(coming.values()) > most:
                raise ModelError(f"a person shows one picture or more, and {most} at most")
            rows = sorted(core.tables.select("template", person), key=lambda row: int(row[4]))
            last = max((row[4] for row in rows), default=-1)
            gone = _oldest(rows, most, coming)
            with core.changing():
                with core.tables.change(core.keyring.epoch):
                    for old in gone:
                        core.delete_template(person, old)
                    for number, template in enumerate(templates, last + 1):
                        core.insert_template(key, person, template, number)
                if gone:
                    core.tables.clean()
                core.settle()

    def forget_trunk(self, trunk: str) -> None:
        """Takes every template of ``trunk`` away, and its bytes from the files, in one change.

        ``ModelError`` if somebody has no other. As with ``remove``, copies made before still open.
        """
        core, raw = self._core, trunk_bytes(trunk)
        with core.guard():
            places = [row[:3] for rows in core.pages("template") for row in rows]
            if {row[0] for row in places} - {row[0] for row in places if row[2] != raw}:
                raise ModelError("somebody was seen by this trunk alone: enrol them again first")
            gone = [row[:2] for row in places if row[2] == raw]
            if not gone:
                return
            with core.changing():
                with core.tables.change(core.keyring.epoch):
                    for person, template in gone:
                        core.delete_template(person, template)
                core.tables.rebuild()
                core.settle()

    def templates(self, trunk: str) -> Iterator[Stored]:
        """Every template of ``trunk``, opened, by person. Who is erased meanwhile is left out."""
        wanted = trunk_bytes(trunk)
        for rows in self._core.pages("template"):
            with self._core.guard():
                here = [row for row in rows if row[0] in self._core.keyring]
                opened = self._core.opened(here, wanted)
            yield from opened

    def load(self, trunk: str) -> Loaded:
        """The same, all at once, in one matrix, many times faster: for a gallery.

        Who is enrolled while this runs may be missing. ``ModelError`` if templates of ``trunk`` are
        of different lengths.
        """
        return Loading(self._core, trunk).run()

    def held(self, person: PersonId, trunk: str) -> list[Stored]:
        """The templates of one person by ``trunk``; none of who is not enrolled."""
        with self._core.guard():
            rows = self._core.tables.select("template", person)
            return self._core.opened(rows, trunk_bytes(trunk))

    def people(self, *, purpose: str | None = None, now: float) -> frozenset[PersonId]:
        """Whose consent covers ``purpose`` (None: any) at ``now``."""
        with self._core.guard():
            return self._core.covered(purpose, now)

    def expired(self, now: float) -> frozenset[PersonId]:
        """Whose consent has run out: they answer to nothing any more, and are to be erased."""
        with self._core.guard():
            known = self._core.everybody()
            return frozenset(p for p, what in known.items() if now >= what.consent.expires)

    def consent(self, person: PersonId) -> Consent:
        """What the person agreed to."""
        with self._core.guard():
            return self._core.particulars(person).consent

    def label(self, person: PersonId) -> str:
        """The operator's own word for the person: for a terminal alone."""
        with self._core.guard():
            return self._core.particulars(person).label

    def renew(self, person: PersonId, consent: Consent, *, now: float) -> None:
        """Puts another consent in the place of the one there is.

        Where it does not cover labels, they are gone, and their bytes from the files.
        """
        _check_consent(consent, now)
        with self._core.guard():
            self._rewrite(person, replace(self._core.particulars(person), consent=consent))

    def relabel(self, person: PersonId, label: str) -> None:
        """Puts another word in the place of the one there is."""
        with self._core.guard():
            self._rewrite(person, replace(self._core.particulars(person), label=label))

    def tag(self, person: PersonId, message: bytes) -> bytes:
        """32 bytes that stand for ``message`` of this person, until their key is destroyed."""
        with self._core.guard():
            return tag_by(self._core.keyring.key(person), message)

    def derive(self, use: str) -> DataKey:
        """A key of this site for ``use``: the same for as long as the vault lives."""
        with self._core.guard():
            return self._core.keyring.derive(f"site: {use}")

    def export(self, person: PersonId) -> dict[str, Any]:
        """What is held of a person, for them to read. No feature: that is a face, not a record."""
        return record_of(self._core, person)

    def rotate(self, now: float) -> Erasure:
        """The next epoch, with everybody in it."""
        return self.erase((), now)

    def erase(self, persons: Collection[PersonId], now: float) -> Erasure:
        """Destroys keys and rows of all ``persons`` in one rotation.

        ``UnknownPersonError`` if any of them is not enrolled, and then nobody is erased. After any
        other error the vault is closed, and opening it again finishes what was begun.
        """
        core, gone = self._core, tuple(sorted(set(persons)))
        with core.guard():
            if not core.keyring.people().issuperset(gone):
                raise UnknownPersonError("nobody is enrolled under this id")
            with core.changing():
                rotation = core.keyring.forget(gone)
                opening.drop(core.tables, core.keyring, self.site, gone)
            core.forget(gone)
            return Erasure(
                persons=gone,
                epoch_before=rotation.epoch_before,
                epoch_after=rotation.epoch_after,
                keyring_before=rotation.keyring_before,
                keyring_after=rotation.keyring_after,
                generation=self.generation,
                at=now,
            )

    def tombstones(self) -> frozenset[tuple[int, bytes]]:
        """By which epoch somebody was erased, and a digest that only their id has; and one empty
        digest an epoch. For ``restore``: it tells who may not come back."""
        with self._core.guard():
            return frozenset((row[0], row[1]) for row in self._core.tables.select("tombstone"))

    def verify(self) -> None:
        """Reads every row again; ``VaultError`` unless all is as it was written."""
        core = self._core
        with core.guard():
            before = core.tables.head
            core.tables.verify()
            if core.tables.head != before:
                raise VaultError("the vault on the disk is not the one that was written")

    def close(self) -> None:
        """Zeroes the keys and gives the files to other processes; harmless when done twice."""
        self._core.close()

    def __enter__(self) -> "Vault":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Vault(generation={self.generation}, epoch={self.epoch})"

    def _rewrite(self, person: PersonId, known: Particulars) -> None:
        core = self._core
        key = core.keyring.key(person)
        with core.changing():
            with core.tables.change(core.keyring.epoch):
                core.replace_person(key, person, known)
                covered = LABELS in known.consent.purposes
                gone = 0 if covered else core.tables.delete("labels", person)
            (core.tables.rebuild if gone else core.tables.clean)()
            core.settle()

    def _check_new(self, persons: list[PersonId]) -> None:
        taken, dead = self._core.keyring.people(), self._core.tables.tombstones()
        for person in persons:
            if len(person) != BYTES:
                raise ModelError(f"a person is named by {BYTES} bytes")
            if person in taken or tombstone(self.site, person) in dead:
                raise DuplicatePersonError("this id is in use, or was: draw another")
        if len(set(persons)) != len(persons):
            raise DuplicatePersonError("the same id twice in one enrolment")


def tag_by(key: DataKey, message: bytes) -> bytes:
    """What ``Vault.tag`` gives for ``message`` of the person whose key this is."""
    return key.derive("subject").tag(message)


def _check_consent(consent: Consent, now: float, templates: Sequence[NewTemplate] = ()) -> None:
    if not isinstance(consent, Consent) or now < consent.given:
        raise ConsentError("nobody is enrolled without a consent that was given before")
    if now >= consent.expires:
        raise ConsentExpiredError("the consent has run out: ask for another")
    if any(one.labels is not None for one in templates):
        check_covered(consent, now)


def _oldest(rows: Sequence[Row], most: int, coming: Mapping[bytes, int]) -> list[TemplateId]:
    """Which of a person's ``rows``, in their order, have to go so that those ``coming`` fit."""
    gone = []
    for trunk in {row[2] for row in rows}:
        own = [TemplateId(row[1]) for row in rows if row[2] == trunk]
        gone += own[: max(0, len(own) + coming.get(trunk, 0) - most)]
    return gone
