"""The whole way once, from pictures of invented people to bands: real eye, vault, log, releases."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from client.door.building import PublicPeople
from client.door.calibrating import Target
from client.door.eye import Eye, EyeRules
from client.door.releases import ReleasePlace, Releases
from client.door.thresholds import Band
from client.vault.disk import Disk
from common.faces.crops import Crop
from common.faces.detect import WholePicture
from common.faces.pictures import encode
from common.models.trunk import Trunk, load_trunk
from common.synthetic.generate import numbered_person, numbered_variation
from common.synthetic.renderer import shoot
from simulations.benchmarks.quality import STARTER
from tests.small_reception import ANYTHING, Site
from tests.small_vault import NOW, consent

STRANGERS = 40
OURS = range(6)


def crop(person: int, view: int) -> Crop:
    return shoot(numbered_person(9, person), numbered_variation(9, person, view)).crop


@pytest.fixture(scope="module")
def strangers(trunk: Trunk) -> PublicPeople:
    crops = np.stack([crop(100 + n // 2, n % 2) for n in range(2 * STRANGERS)])
    return PublicPeople(
        features={trunk.hash: trunk.features(crops)}, person=np.arange(2 * STRANGERS) // 2
    )


@pytest.fixture
def real(quick_path: Path, trunk: Trunk, strangers: PublicPeople) -> Callable[[], Site]:
    def make() -> Site:
        site = Site(quick_path / "real")
        place = ReleasePlace(
            folder=quick_path / "real" / "kept", disk=Disk(), clock=lambda: site.clock()
        )
        site.releases = Releases(place, site.vault, strangers)
        eye = Eye(trunk, WholePicture(), EyeRules(least_quality=0.0))
        easy = dict.fromkeys(("least_quality", "enrol_quality"), 0.0)
        rules = dataclasses.replace(site.parts.rules, **easy)
        site.reception = site.with_parts(eye=eye, releases=site.releases, rules=rules)
        return site

    return make


def test_people_are_enrolled_told_apart_kept_over_a_restart_and_erased(
    real: Callable[[], Site], trunk: Trunk
) -> None:
    tail = load_trunk(STARTER)[1]
    with real() as site:
        ids = {}
        for number in OURS:
            session = site.reception.begin(ANYTHING, consent(), f"person {number}")
            for view in range(3):
                assert site.reception.look(ANYTHING, session, encode(crop(number, view))).accepted
            ids[number] = site.reception.commit(ANYTHING, session).person
        site.reception.stage(ANYTHING, tail, trunk.hash)
        site.reception.calibrate(ANYTHING, Target(fmr=0.08, fpir=0.25))
        right = [
            site.reception.verify(ANYTHING, ids[number], encode(crop(number, 7))) for number in OURS
        ]
        wrong = [
            site.reception.verify(ANYTHING, ids[number], encode(crop((number + 1) % 6, 7)))
            for number in OURS
        ]
        assert right.count(Band.MATCH) >= 5 and wrong.count(Band.MATCH) <= 1
        known = next(number for number in OURS if right[number] == Band.MATCH)
    with real() as again:
        shown = encode(crop(known, 7))
        assert again.reception.verify(ANYTHING, ids[known], shown) == Band.MATCH
        again.reception.erase(ANYTHING, [ids[known]])
        assert again.reception.verify(ANYTHING, ids[known], shown) == Band.NO
        assert all(
            ids[known] != one for one, _ in again.reception.identify(ANYTHING, shown).persons
        )
        assert again.log.verify().broken is None
        assert len(again.vault.people(now=NOW)) == len(OURS) - 1
