"""A small site's releases, for tests: people in a vault, strangers, tails that tell them apart."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from client.door.building import PublicPeople
from client.door.calibrating import Target
from client.door.galleries import Features
from client.door.measures import COSINE, Likeness
from client.door.releases import ReleasePlace, Releases
from client.door.serving import Serving
from client.vault.disk import Disk
from client.vault.records import NewTemplate
from client.vault.store import Enrolment, Vault
from common.models.tail import Tail
from tests.small_vault import NOW, OTHER, TRUNK, consent, person, place

DIM, OUT = 24, 16
TARGET = Target(fmr=0.05, fpir=0.2)
PEOPLE = range(20)

Floats = NDArray[np.float32]


def feature(number: int, view: int = 0, trunk: str = TRUNK, spread: float = 0.4) -> Floats:
    """What ``trunk`` makes of a picture of person ``number``; two trunks have nothing in common."""
    kind = int(trunk[:2], 16)
    mean = np.random.default_rng([kind, number]).standard_normal(DIM)
    own = np.random.default_rng([kind, number, view + 1]).standard_normal(DIM)
    return np.asarray(mean + spread * own, np.float16).astype(np.float32)


def seen(number: int, view: int = 9, *trunks: str) -> Features:
    return {trunk: feature(number, view, trunk) for trunk in trunks or (TRUNK, OTHER)}


def template(number: int, view: int, trunk: str = TRUNK) -> NewTemplate:
    drawn = feature(number, view, trunk).astype(np.float16)
    return NewTemplate(trunk=trunk, feature=drawn, quality=0.5)


def enrolment(number: int, *trunks: str) -> Enrolment:
    templates = [template(number, view, trunk) for trunk in trunks or (TRUNK,) for view in (0, 1)]
    return Enrolment(person=person(number), templates=templates, consent=consent())


def enrol(vault: Vault, numbers: Iterable[int], *trunks: str) -> None:
    vault.enrol_all([enrolment(number, *trunks) for number in numbers], NOW)


def public(people: int = 60) -> PublicPeople:
    """Strangers to the site, numbered from a thousand on."""
    features = {
        trunk: np.stack([feature(1000 + n // 2, n % 2, trunk) for n in range(2 * people)])
        for trunk in (TRUNK, OTHER)
    }
    return PublicPeople(features=features, person=np.arange(2 * people) // 2)


def tail_of(seed: int, dim: int = DIM) -> Tail:
    rng = np.random.default_rng(seed)
    weight = rng.standard_normal((OUT, dim)).astype(np.float32)
    return Tail(weight, (rng.standard_normal(OUT) / 10).astype(np.float32))


def peopled(folder: Path, *trunks: str) -> Vault:
    """A new vault at ``folder``/v with PEOPLE in it, open."""
    vault = Vault.create(place(folder / "v"))
    enrol(vault, PEOPLE, *trunks)
    return vault


def releases(
    folder: Path, vault: Vault, disk: Disk | None = None, likeness: Likeness = COSINE
) -> Releases:
    """The releases at ``folder``/releases."""
    at = ReleasePlace(
        folder=folder / "releases", likeness=likeness, disk=disk or Disk(), clock=lambda: NOW
    )
    return Releases(at, vault, public())


def deciding(folder: Path, vault: Vault, likeness: Likeness = COSINE) -> Releases:
    """The same with release 1 active and calibrated."""
    made = releases(folder, vault, likeness=likeness)
    made.stage(tail_of(1), TRUNK)
    made.calibrate(TARGET, NOW)
    return made


def decisions(made: Releases) -> list[object]:
    """What is answered to pictures of people enrolled and of strangers, and to the bit why."""
    galleries = made.galleries
    pictures = [seen(n, view) for n in (*PEOPLE, *range(500, 520)) for view in (7, 8)]
    known = [person(n) for n in PEOPLE if person(n) in made.active.gallery]
    answers: list[object] = [galleries.search(picture) for picture in pictures]
    answers += [galleries.verify(picture, one) for picture in pictures for one in known]
    lead = galleries.lead()
    scores = [
        lead.gallery.search(lead.embed(picture[lead.trunk][None]), 1).scores.tobytes()
        for picture in pictures
    ]
    return [*answers, scores, lead.calibration]


def standing(made: Releases) -> dict[str, object]:
    """All that decides, to the bit: releases, thresholds, and the row of every template."""
    held, status = made.galleries, made.status()
    parts = {"active": held.active, "beside": held.beside, "staged": held.staged}
    found: dict[str, object] = {name: one and exactly(one) for name, one in parts.items()}
    return {**found, "previous": status.previous}


def exactly(serving: Serving) -> tuple[object, ...]:
    """One release: its name, thresholds and rows."""
    gallery = serving.gallery
    rows = {t: gallery._matrix["rows"][row].tobytes() for t, row in gallery._row.items()}
    return serving.name, serving.calibration, rows
