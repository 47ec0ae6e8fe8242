"""A release comes, is compared, decides, and goes back; nobody is enrolled again for it."""

import threading
from pathlib import Path

import numpy as np
import pytest

from client.door.calibrating import Target
from client.door.releases import Releases
from client.door.thresholds import Band
from client.vault.store import Vault
from common.errors import (
    DeploymentError,
    InsufficientCalibrationError,
    NotReadyError,
    ReleaseError,
)
from common.models.tail import Tail
from tests.small_releases import (
    DIM,
    NOW,
    OUT,
    PEOPLE,
    TARGET,
    TRUNK,
    deciding,
    decisions,
    enrol,
    peopled,
    releases,
    seen,
    standing,
    tail_of,
    template,
)
from tests.small_vault import LATER, consent, person, place


def test_the_first_release_decides_once_it_is_calibrated(quick_path: Path) -> None:
    with peopled(quick_path) as vault:
        made = releases(quick_path, vault)
        for ask in (lambda: made.active, made.galleries.lead, lambda: made.calibrate(TARGET, NOW)):
            with pytest.raises(NotReadyError):
                ask()
        made.stage(tail_of(1), TRUNK)
        assert made.staged is not None and made.status().active is None
        made.calibrate(TARGET, NOW)
        status = made.status()
        assert (status.active, status.staged) == (tail_of(1).hash, None)
        assert status.calibrated and not status.outgrown and status.previous is None
        assert made.galleries.search(seen(3, 0), 1) == [(person(3), Band.MATCH)]


def test_the_first_release_may_be_promoted_without_a_calibration(quick_path: Path) -> None:
    with peopled(quick_path) as vault:
        made = releases(quick_path, vault)
        made.stage(tail_of(1), TRUNK)
        made.promote()
        assert made.active.calibration is None and not made.status().calibrated
        with pytest.raises(NotReadyError):
            made.galleries.verify(seen(3), person(3))


def test_a_staged_release_is_calibrated_like_the_active_one_and_decides_nothing(
    quick_path: Path,
) -> None:
    with peopled(quick_path) as vault:
        made = deciding(quick_path, vault)
        before = decisions(made)
        made.stage(tail_of(2), TRUNK)
        assert made.staged is not None and made.staged.calibration is not None
        assert made.staged.calibration.verify.rate == TARGET.fmr
        assert decisions(made) == before
        made.unstage()
        assert made.staged is None and decisions(made) == before
        with pytest.raises(ReleaseError, match="staged"):
            made.unstage()


def test_after_a_rollback_every_decision_is_the_one_before_to_the_bit(quick_path: Path) -> None:
    with peopled(quick_path) as vault:
        made = deciding(quick_path, vault)
        before = decisions(made)
        made.stage(tail_of(2), TRUNK)
        made.promote()
        second = decisions(made)
        assert second != before and made.status().previous == tail_of(1).hash
        made.rollback()
        assert decisions(made) == before
        assert decisions(releases(quick_path, vault)) == before  # also by another process
        with pytest.raises(ReleaseError, match="go back"):
            made.rollback()


def test_a_rollback_brings_the_thresholds_of_then_back_whatever_was_calibrated_since(
    quick_path: Path,
) -> None:
    with peopled(quick_path) as vault:
        made = deciding(quick_path, vault)
        before = decisions(made)
        made.stage(tail_of(2), TRUNK)
        made.promote()
        made.calibrate(Target(fmr=0.1, fpir=0.25), NOW + 1)
        made.rollback()
        assert decisions(made) == before


def test_people_who_came_and_went_meanwhile_are_as_if_always_or_never_there(
    quick_path: Path,
) -> None:
    """The row of somebody enrolled by themselves is the row of a gallery made whole."""
    with peopled(quick_path) as vault:
        made = deciding(quick_path, vault)
        made.stage(tail_of(2), TRUNK)
        enrol(vault, [30, 31])
        for number in (30, 31):
            made.enrolled(person(number))
        vault.erase([person(4), person(30)], NOW)
        made.erased([person(4), person(30)])
        for change in (lambda: None, made.promote, made.rollback):
            change()
            again = releases(quick_path, vault)
            assert decisions(made) == decisions(again)
            assert made.active.gallery.people == again.active.gallery.people
            assert person(31) in made.active.gallery


def test_who_is_erased_is_in_no_gallery(quick_path: Path) -> None:
    with peopled(quick_path) as vault:
        made = deciding(quick_path, vault)
        made.stage(tail_of(2), TRUNK)
        rows = [one.gallery._matrix._arrays["rows"] for one in made.galleries.all]
        assert [np.count_nonzero(row.any(axis=1)) for row in rows] == [40, 40]
        vault.erase([person(4)], NOW)
        made.erased([person(4), person(99)])
        assert [np.count_nonzero(row.any(axis=1)) for row in rows] == [38, 38]
        for change in (lambda: None, made.promote, made.rollback):
            change()
            for one in made.galleries.all:
                assert person(4) not in one.gallery and person(4) not in one.gallery.people
                assert all(found != person(4) for found, _ in one.search(seen(4, 0)[TRUNK]))


@pytest.mark.parametrize("change", ["stage", "rollback", "calibrate"])
def test_who_comes_or_goes_while_a_release_is_made_is_followed_before_it_decides(
    quick_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    with peopled(quick_path) as vault:
        made = deciding(quick_path, vault)
        made.stage(tail_of(2), TRUNK)
        made.promote()
        load, came = vault.load, threading.Event()

        def meanwhile() -> None:  # by another thread, as at a door: it waits for nothing
            enrol(vault, [40])
            made.enrolled(person(40))
            vault.erase([person(4)], NOW)
            made.erased([person(4)])
            came.set()

        def slow(trunk: str) -> object:
            found = load(trunk)  # as of before
            if not came.is_set():
                threading.Thread(target=meanwhile).start()
                assert came.wait(20), "a change of releases keeps people waiting"
            return found

        monkeypatch.setattr(vault, "load", slow)
        if change == "stage":
            made.stage(tail_of(3), TRUNK)
        elif change == "rollback":
            made.rollback()
        else:
            made.calibrate(TARGET, NOW)
        assert came.is_set()
        for one in made.galleries.all:
            assert person(4) not in one.gallery and person(40) in one.gallery
        monkeypatch.undo()
        held = standing(made)
        assert standing(releases(quick_path, vault)) == held
        assert made._touched is None


def test_a_release_that_does_not_fit_is_refused_and_changes_nothing(quick_path: Path) -> None:
    with peopled(quick_path) as vault:
        made = deciding(quick_path, vault)
        before, files = decisions(made), sorted((quick_path / "releases").iterdir())
        flat = Tail(np.zeros((OUT, DIM), np.float32), np.zeros(OUT, np.float32))
        for tail, trunk, why in (
            (tail_of(2, DIM + 1), TRUNK, "takes 25"),
            (tail_of(2), "9f" * 32, "no trunk"),
            (tail_of(1), TRUNK, "decides already"),
            (flat, TRUNK, "nothing"),
        ):
            with pytest.raises(ReleaseError, match=why):
                made.stage(tail, trunk)
        with pytest.raises(ReleaseError, match="staged"):
            made.promote()
        assert decisions(made) == before
        assert sorted((quick_path / "releases").iterdir()) == files


def test_without_people_enough_nothing_is_calibrated_and_nothing_changes(quick_path: Path) -> None:
    with peopled(quick_path) as vault:
        made = deciding(quick_path, vault)
        before = decisions(made)
        with pytest.raises(InsufficientCalibrationError):
            made.calibrate(Target(fmr=1e-6, fpir=0.2), NOW)
        assert decisions(made) == before
        made.stage(tail_of(2), TRUNK)  # by the target of before
        assert made.status().staged_calibrated


def test_a_staged_release_without_thresholds_does_not_follow_one_that_has_them(
    quick_path: Path,
) -> None:
    with peopled(quick_path) as vault:
        made = deciding(quick_path, vault)
        vault.erase([person(n) for n in range(1, 20)], NOW)
        made.erased([person(n) for n in range(1, 20)])
        made.stage(tail_of(2), TRUNK)
        assert not made.status().staged_calibrated
        with pytest.raises(ReleaseError, match="not calibrated"):
            made.promote()
        assert made.due and not made.tend() and not made.due  # until somebody comes or goes
        enrol(vault, range(30, 45))
        for number in range(30, 45):
            made.enrolled(person(number))
        before = made.active.calibration
        assert made.tend() and made.status().staged_calibrated
        assert not made.status().outgrown and made.active.calibration == before
        made.promote()


def test_what_the_gallery_has_outgrown_is_calibrated_again(quick_path: Path) -> None:
    with peopled(quick_path) as vault:
        made = deciding(quick_path, vault)
        assert not made.due and not made.tend()
        enrol(vault, range(30, 90))
        for number in range(30, 90):
            made.enrolled(person(number))
        assert made.status().outgrown and made.due
        assert made.tend() and not made.due and not made.tend()
        assert not made.status().outgrown
        assert made.active.calibration is not None and made.active.calibration.gallery == 80
        assert decisions(releases(quick_path, vault)) == decisions(made)


def test_only_people_who_agreed_to_be_compared_are_calibrated_on(quick_path: Path) -> None:
    with peopled(quick_path) as vault:
        for number in (50, 51):
            vault.enrol(person(number), [template(number, 0)], consent("training"), now=NOW)
        made = deciding(quick_path, vault)
        assert made.active.calibration is not None and made.active.calibration.gallery == 20
        with pytest.raises(InsufficientCalibrationError):
            made.calibrate(TARGET, LATER)  # when nobody's consent holds any more


def test_another_template_of_a_person_and_one_less_are_followed(quick_path: Path) -> None:
    with peopled(quick_path) as vault:
        made = deciding(quick_path, vault)
        added = vault.add(person(4), template(4, 5))
        made.enrolled(person(4))
        assert len(made.active.gallery) == 41
        vault.remove(person(4), added)
        made.enrolled(person(4))
        assert len(made.active.gallery) == 40
        made.enrolled(person(77))  # nobody
        assert decisions(made) == decisions(releases(quick_path, vault))


def test_a_closed_house_holds_nobody(quick_path: Path) -> None:
    with peopled(quick_path) as vault:
        made = deciding(quick_path, vault)
        rows = made.active.gallery._matrix._arrays["rows"]
        made.close()
        assert not rows.any() and not made.galleries.all
        with pytest.raises(DeploymentError):
            made.stage(tail_of(2), TRUNK)


def test_an_empty_vault_has_a_release_too(quick_path: Path) -> None:
    with Vault.create(place(quick_path / "v")) as vault:
        made = releases(quick_path, vault)
        made.stage(tail_of(1), TRUNK)
        with pytest.raises(InsufficientCalibrationError):
            made.calibrate(TARGET, NOW)
        assert made.status().active is None and made.status().staged == tail_of(1).hash
        enrol(vault, PEOPLE)
        for number in PEOPLE:
            made.enrolled(person(number))
        made.calibrate(TARGET, NOW)
        assert (
            isinstance(made, Releases) and made.galleries.verify(seen(3, 0), person(3)) == "match"
        )
