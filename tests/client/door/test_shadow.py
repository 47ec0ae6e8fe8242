"""A staged release is tried on the probes of the day, and only how often it differs is kept."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.door.calibrating import Target
from client.door.shadow import Answer, Shadow
from client.door.thresholds import Band
from tests.small_releases import (
    NOW,
    OTHER,
    PEOPLE,
    TARGET,
    TRUNK,
    deciding,
    peopled,
    releases,
    seen,
    tail_of,
    template,
)
from tests.small_vault import person

ANSWERS = st.tuples(st.sampled_from(list(Band)), st.one_of(st.none(), st.just(person(1))))


@given(pairs=st.lists(st.tuples(ANSWERS, ANSWERS)))
def test_what_is_alike_and_what_changes_add_up_to_the_probes(
    pairs: list[tuple[Answer, Answer]],
) -> None:
    counts = Shadow()
    for old, new in pairs:
        counts.note(old, new)
    assert counts.probes == len(pairs)
    alike = sum(old == new for old, new in pairs)
    assert counts.alike == (alike / len(pairs) if pairs else None)
    assert sum(change[2] for change in counts.changes) == len(pairs) - alike
    assert [change[2] for change in counts.changes] == sorted(
        (change[2] for change in counts.changes), reverse=True
    )


def test_a_release_that_is_the_same_answers_alike(quick_path: Path) -> None:
    with peopled(quick_path) as vault:
        made = deciding(quick_path, vault)
        made.stage(tail_of(2), TRUNK)
        made.promote()
        made.stage(tail_of(1), TRUNK)
        for number in range(20, 40):
            made.observe({TRUNK: -seen(number)[TRUNK]})
        found = made.status()
        assert found.probes == 20 and found.alike is not None and found.alike > 0.5


def test_each_probe_is_counted_by_what_both_would_answer(quick_path: Path) -> None:
    with peopled(quick_path) as vault:
        made = deciding(quick_path, vault)
        made.stage(tail_of(2), TRUNK)
        assert made.staged is not None
        expected = Shadow()
        for number in range(30):
            probe, claimed = seen(number, 7), person(number % 20)
            made.observe(probe, claimed)
            made.observe(probe)
            pair = [made.active, made.staged]
            old, new = (one.verify(probe[TRUNK], claimed) for one in pair)
            expected.note((old, claimed), (new, claimed))
            best = [one.search(probe[TRUNK], 1) for one in pair]
            old_best, new_best = (
                (one[0][1], one[0][0]) if one else (Band.NO, None) for one in best
            )
            expected.note(old_best, new_best)
        status = made.status()
        assert status.probes == 60 == expected.probes
        assert status.alike == expected.alike and status.changes == expected.changes
        assert status.changes, "the two releases are not the same"


def test_nothing_is_counted_where_one_of_the_two_cannot_be_asked(quick_path: Path) -> None:
    with peopled(quick_path) as vault:
        made = releases(quick_path, vault)
        made.observe(seen(1))
        made.stage(tail_of(1), TRUNK)
        made.observe(seen(1))
        made.calibrate(Target(fmr=0.05, fpir=None), NOW)
        made.observe(seen(1))
        made.stage(tail_of(2), TRUNK)
        made.observe(seen(1))  # no thresholds for searches
        made.observe(seen(1), person(77))  # nobody
        made.observe({}, person(1))  # not seen
        assert made.status().probes == 0 and made.status().alike is None
        made.observe(seen(1), person(1))
        assert made.status().probes == 1


def test_under_a_new_trunk_only_people_enrolled_again_are_asked_about(quick_path: Path) -> None:
    with peopled(quick_path) as vault:
        made = deciding(quick_path, vault)
        made.stage(tail_of(2), OTHER)
        for number in range(12):
            for view in (0, 1):
                vault.add(person(number), template(number, view, OTHER))
            made.enrolled(person(number))
        assert made.tend()
        for number in PEOPLE:
            made.observe(seen(number, 0), person(number))
        assert made.status().probes == 12 and made.status().alike == 1
        for number in range(12, 20):
            made.observe(seen(number, 0))  # in neither, as far as both know
        found = made.status()
        assert found.probes == 20
        assert all(old != Band.MATCH for old, _, _ in found.changes)
        made.observe(seen(3, 0), None, [person(3)])
        assert made.status().probes == 21


@pytest.mark.parametrize("change", ["stage", "unstage", "promote", "calibrate"])
def test_counts_begin_anew_when_a_release_changes(quick_path: Path, change: str) -> None:
    with peopled(quick_path) as vault:
        made = deciding(quick_path, vault)
        made.stage(tail_of(2), TRUNK)
        made.observe(seen(1))
        assert made.status().probes == 1
        if change == "stage":
            made.stage(tail_of(3), TRUNK)
        elif change == "calibrate":
            made.calibrate(TARGET, NOW)
        else:
            getattr(made, change)()
        assert made.status().probes == 0


def test_a_status_names_neither_people_nor_thresholds(quick_path: Path) -> None:
    with peopled(quick_path) as vault:
        made = deciding(quick_path, vault)
        made.stage(tail_of(2), TRUNK)
        for number in PEOPLE:
            made.observe(seen(number))
        told = repr(made.status()) + repr(made) + repr(made.galleries)
        calibration = made.active.calibration
        assert calibration is not None
        for secret in (calibration.verify.match, calibration.verify.near):
            assert str(secret)[:6] not in told
        assert all(str(bytes(person(number)))[2:-1] not in told for number in PEOPLE)
