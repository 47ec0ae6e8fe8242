"""A small site's whole reception, for tests: a real vault, log and releases, and an eye for words.

A picture is ``b"<person> <view>"``: what the trunks make of that person's picture. Other words are
pictures that cannot be seen.
"""

import dataclasses
import os
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from client.audit.chain import Entry
from client.audit.log import AuditLog
from client.door.callers import Caller, Role
from client.door.eye import Seen
from client.door.labelling import LabelRules
from client.door.parts import Parts
from client.door.reception import Reception
from client.door.releases import Releases
from client.door.rules import DoorRules
from client.door.vouching import Alone
from client.door.wording import Wording
from client.vault.disk import Disk
from client.vault.identity import PersonId
from client.vault.store import Vault
from common.errors import NoFaceError, PadError, PictureError, QualityError
from common.faces.quality import Quality
from tests import small_audit, small_releases, small_vault
from tests.small_labels import ALL_KINDS
from tests.small_releases import TARGET, TRUNK, enrolment, tail_of
from tests.small_vault import NOW, consent
from tests.small_words import words

ANYTHING = Caller(name="all", roles=frozenset(Role), hourly=10_000, daily=10_000)
RULES = DoorRules(
    identify=True,
    describe=True,
    search=True,
    heads=Path("heads"),
    four_eyes=False,
    least_quality=0.3,
    enrol_quality=0.4,
)
SPOILT: dict[bytes, PictureError] = {
    b"broken": PictureError("not a readable picture"),
    b"empty": NoFaceError("no face was found"),
    b"blurred": QualityError("not seen well enough: blurred", ("blurred",)),
    b"paper": PadError("not taken for a living person"),
}


class Clock:
    """Stands still until it is set."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class WordEye:
    """Sees pictures that are words."""

    def __init__(self, *trunks: str) -> None:
        self.trunks, self.looked, self.last = trunks or (TRUNK,), 0, None
        self.trunk = SimpleNamespace(hash=self.trunks[0])

    def see(self, picture: bytes, least_quality: float | None = None) -> Seen:
        self.looked += 1
        if picture in SPOILT:
            raise SPOILT[picture]
        number, view = map(int, picture.split())
        self.last = Seen(dict(small_releases.seen(number, view, *self.trunks)), Quality(0.9, ()))
        return self.last


class Site:
    """The parts of a reception, and the reception; ``log`` may be put to sleep."""

    def __init__(
        self,
        folder: Path,
        rules: DoorRules = RULES,
        trunks: Iterable[str] = (),
        disk: Disk | None = None,
        log_disk: Disk | None = None,
    ) -> None:
        folder.mkdir(exist_ok=True)
        self.folder, self.clock, self.eye = folder, Clock(), WordEye(*trunks)
        new = not (folder / "v").exists()
        self.vault = (Vault.create if new else Vault)(small_vault.place(folder / "v", disk))
        self.log = AuditLog(small_audit.place(folder / "audit.db", log_disk))
        self.releases: Releases = small_releases.releases(folder, self.vault)
        self.key = small_audit.key()
        self.parts = Parts(
            vault=self.vault,
            eye=self.eye,  # type: ignore[arg-type]
            releases=self.releases,
            log=self.log,
            rules=rules,
            clock=self.clock,
            random=os.urandom,
            identity=self.key,
            vouching=Alone(),
            words=Wording(words()),
            labels=LabelRules(ALL_KINDS),
            uptime=self.clock,  # it never leaps, unless a test says so
        )
        self.reception = Reception(self.parts)

    def with_parts(self, **other: Any) -> Reception:
        """Another reception of the same site."""
        return Reception(dataclasses.replace(self.parts, **other))

    def open_for(self, numbers: Iterable[int], *purposes: str) -> None:
        """Enrols people and lets release 1 decide."""
        some = consent(*purposes)
        batch = [dataclasses.replace(enrolment(n), consent=some, label=f"L{n}") for n in numbers]
        self.vault.enrol_all(batch, NOW)
        for one in batch:
            self.releases.enrolled(one.person)
        if self.releases.galleries.active is None:
            self.releases.stage(tail_of(1), TRUNK)
            self.releases.calibrate(TARGET, NOW)

    def rows(self) -> list[Entry]:
        return list(self.log.entries())

    def told(self) -> list[tuple[str, str]]:
        """What each row says: kind and outcome."""
        return [(row.event.kind.value, row.event.outcome) for row in self.rows()]

    def close(self) -> None:
        self.log.close()
        self.vault.close()

    def __enter__(self) -> "Site":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def caller(name: str, *roles: Role, hourly: int = 1000, daily: int = 1000) -> Caller:
    return Caller(name=name, roles=frozenset(roles), hourly=hourly, daily=daily)


def picture(number: int, view: int = 7) -> bytes:
    return f"{number} {view}".encode()


def shown(site: Site, number: int, views: Iterable[int] = (3, 4, 5), label: str = "") -> bytes:
    """A session in which so many pictures of a person were taken."""
    session = site.reception.begin(ANYTHING, consent(), label)
    for view in views:
        assert site.reception.look(ANYTHING, session, picture(number, view)).accepted
    return session


def enrol(site: Site, number: int) -> PersonId:
    return site.reception.commit(ANYTHING, shown(site, number), True).person
