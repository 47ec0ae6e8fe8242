"""What the people enrolled have outgrown is calibrated again by itself, with a row that tells."""

from dataclasses import replace
from pathlib import Path

from tests.small_reception import Site
from tests.small_releases import PEOPLE, TRUNK, enrolment, tail_of
from tests.small_vault import NOW, consent, person


def test_an_outgrown_calibration_is_made_again_when_things_are_tidied(quick_path: Path) -> None:
    with Site(quick_path) as site:
        site.open_for(PEOPLE)
        site.reception.tidy()
        assert site.told() == []
        site.open_for(range(30, 90))
        before = site.releases.active.calibration
        site.reception.tidy()
        assert site.told() == [("calibrate", "pending"), ("calibrate", "done")]
        assert all(row.event.actors == () for row in site.rows())
        assert site.releases.active.calibration != before and not site.releases.due
        site.reception.tidy()
        assert len(site.told()) == 2


def test_where_people_are_too_few_that_is_told_once_a_change(quick_path: Path) -> None:
    with Site(quick_path) as site:
        site.open_for(PEOPLE)
        gone = [person(n) for n in range(1, 20)]
        site.vault.erase(gone, NOW)
        site.releases.erased(gone)
        site.releases.stage(tail_of(2), TRUNK)
        for _ in range(3):
            site.reception.tidy()
        assert site.told() == [
            ("calibrate", "pending"),
            ("calibrate", "INSUFFICIENT_CALIBRATION"),
        ]
        assert not site.releases.status().staged_calibrated


def test_who_agreed_to_training_alone_outgrows_nothing(quick_path: Path) -> None:
    """They are in the gallery, where nobody may ask about them: thresholds are not for them."""
    with Site(quick_path) as site:
        site.open_for(PEOPLE)
        more = [replace(enrolment(n), consent=consent("training")) for n in range(30, 90)]
        site.vault.enrol_all(more, NOW)
        for one in more:
            site.releases.enrolled(one.person)
        assert not site.releases.status().outgrown
        site.reception.tidy()
        assert site.told() == []
