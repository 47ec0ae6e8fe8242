"""Two trunks at one door: each person is judged by one of them, and nothing crosses."""

from pathlib import Path

import numpy as np
import pytest

from client.door.galleries import Galleries
from client.door.releases import Releases
from client.door.serving import Serving
from client.door.thresholds import Band
from client.vault.store import Vault
from common.errors import ModelError, ReleaseError, UnknownPersonError
from tests.small_releases import (
    NOW,
    OTHER,
    PEOPLE,
    TARGET,
    TRUNK,
    deciding,
    decisions,
    enrol,
    feature,
    peopled,
    releases,
    seen,
    standing,
    tail_of,
    template,
)
from tests.small_vault import person

AGAIN = range(12)  # who is enrolled again under the new trunk


def again(vault: Vault, made: Releases, numbers: range = AGAIN) -> None:
    for number in numbers:
        for view in (0, 1):
            vault.add(person(number), template(number, view, OTHER))
        made.enrolled(person(number))


def moved(folder: Path, vault: Vault) -> Releases:
    """Release 2 of the new trunk decides, release 1 of the old one beside it."""
    made = deciding(folder, vault)
    made.stage(tail_of(2), OTHER)
    again(vault, made)
    assert made.tend()
    made.promote()
    return made


def test_a_release_of_a_new_trunk_shows_who_is_enrolled_again(quick_path: Path) -> None:
    with peopled(quick_path) as vault:
        made = deciding(quick_path, vault)
        assert made.status().progress is None and made.trunks == (TRUNK,)
        made.stage(tail_of(2), OTHER)
        assert made.trunks == (TRUNK, OTHER)
        assert made.status().progress == 0 and not made.status().staged_calibrated
        for count, share in ((1, 0.0), (3, 0.1), (12, 0.6), (20, 1.0)):
            again(vault, made, range(len(made.galleries.all[1].gallery.people), count))
            assert made.status().progress == share
        assert made.tend() and made.status().staged_calibrated


def test_after_the_move_each_is_judged_by_the_newest_trunk_they_were_seen_by(
    quick_path: Path,
) -> None:
    with peopled(quick_path) as vault:
        made = moved(quick_path, vault)
        assert made.beside is not None and made.beside.release == tail_of(1).hash
        assert made.status().progress == 0.6 and made.trunks == (OTHER, TRUNK)
        found = made.galleries
        for number in PEOPLE:
            wrong = OTHER if number not in AGAIN else TRUNK
            noise = {wrong: -feature(number, 0, wrong)}  # what the other trunk says has no weight
            assert found.verify(seen(number, 0) | noise, person(number)) == Band.MATCH
            assert found.search(seen(number, 0) | noise, 1) == [(person(number), Band.MATCH)]
            assert found.resembles(seen(number, 0))
        with pytest.raises(UnknownPersonError):
            found.verify(seen(77), person(77))
        none = {trunk: -feature(1, 0, trunk) for trunk in (TRUNK, OTHER)}
        assert found.search(none) == [] and not found.resembles(none)


def test_nothing_is_compared_across_trunks(
    quick_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every feature that a release embeds is one that its own trunk made."""
    own = {
        trunk: {feature(n, v, trunk).tobytes() for n in range(2000) for v in (0, 1, 5)}
        for trunk in (TRUNK, OTHER)
    }
    embedded, embed = list[tuple[str, bytes]](), Serving.embed

    def watched(self: Serving, features: object) -> object:
        rows = np.asarray(features, np.float32)
        embedded.extend((self.trunk, row.tobytes()) for row in rows)
        return embed(self, rows)

    monkeypatch.setattr(Serving, "embed", watched)
    with peopled(quick_path) as vault:
        made = moved(quick_path, vault)
        made.stage(tail_of(3), OTHER)
        for number in PEOPLE:
            made.galleries.verify(seen(number, 5), person(number))
            made.galleries.search(seen(number, 5))
            made.galleries.resembles(seen(number, 5))
            made.observe(seen(number, 5))
            made.observe(seen(number, 5), person(number))
        made.rollback()
        releases(quick_path, vault)
    assert len(embedded) > 300 and {trunk for trunk, _ in embedded} == {TRUNK, OTHER}
    assert all(row in own[trunk] for trunk, row in embedded)


def test_a_search_among_some_is_among_those_of_both_trunks(quick_path: Path) -> None:
    with peopled(quick_path) as vault:
        found = moved(quick_path, vault).galleries
        some = {person(3), person(15)}
        for number in (3, 15):
            assert found.search(seen(number, 0), 5, some)[0] == (person(number), Band.MATCH)
        assert all(one in some for n in PEOPLE for one, _ in found.search(seen(n, 0), 5, some))
        assert found.search(seen(3, 0), 5, set()) == []
        answers = [found.search(seen(n, 7), 5) for n in PEOPLE]
        assert all(len(answer) <= 5 for answer in answers)
        for answer in answers:
            bands = [band for _, band in answer]
            assert bands == sorted(bands, key=lambda band: band != Band.MATCH)


def test_a_picture_that_one_trunk_has_not_seen_is_refused(quick_path: Path) -> None:
    with peopled(quick_path) as vault:
        found = moved(quick_path, vault).galleries
        assert found.verify(seen(3, 0, OTHER), person(3)) == Band.MATCH
        for ask in (
            lambda: found.verify(seen(15, 0, OTHER), person(15)),
            lambda: found.search(seen(15, 0, OTHER)),
            lambda: found.verify(seen(3, 0, TRUNK), person(3)),
            lambda: found.resembles({}),
        ):
            with pytest.raises(ModelError, match="not seen by a trunk"):
                ask()


def test_both_trunks_are_there_after_opening_again_and_gone_after_a_rollback(
    quick_path: Path,
) -> None:
    with peopled(quick_path) as vault:
        before = decisions(deciding(quick_path, vault))
        made = releases(quick_path, vault)
        made.stage(tail_of(2), OTHER)
        again(vault, made)
        made.tend()
        made.promote()
        assert standing(releases(quick_path, vault)) == standing(made)
        made.rollback()
        assert decisions(made) == before and made.beside is None
        assert decisions(releases(quick_path, vault)) == before


def test_who_is_enrolled_anew_is_seen_by_both_and_survives_a_rollback(quick_path: Path) -> None:
    with peopled(quick_path) as vault:
        made = moved(quick_path, vault)
        enrol(vault, [40], OTHER, TRUNK)
        made.enrolled(person(40))
        assert made.galleries.verify(seen(40, 0), person(40)) == Band.MATCH
        made.rollback()
        assert made.galleries.verify(seen(40, 0), person(40)) == Band.MATCH


def test_a_new_tail_of_the_new_trunk_keeps_the_old_trunk_beside_it(quick_path: Path) -> None:
    with peopled(quick_path) as vault:
        made = moved(quick_path, vault)
        made.stage(tail_of(3), OTHER)
        made.promote()
        assert made.active.release == tail_of(3).hash
        assert made.beside is not None and made.beside.trunk == TRUNK
        assert made.galleries.verify(seen(15, 0), person(15)) == Band.MATCH
        vault.erase([person(15)], NOW)
        made.erased([person(15)])
        assert all(person(15) not in one.gallery for one in made.galleries.all)
        made.calibrate(TARGET, NOW + 1)
        assert made.beside.calibration is not None and made.beside.calibration.made == NOW + 1


def test_going_back_to_the_old_trunk_by_a_new_tail_keeps_the_new_one_beside(
    quick_path: Path,
) -> None:
    with peopled(quick_path) as vault:
        made = moved(quick_path, vault)
        made.stage(tail_of(3), TRUNK)
        made.promote()
        assert made.active.trunk == TRUNK and made.beside is not None
        assert made.beside.trunk == OTHER
        assert made.galleries.verify(seen(15, 0), person(15)) == Band.MATCH


def test_a_third_trunk_leaves_nobody_behind(
    quick_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    third = "3c" * 32
    with peopled(quick_path) as vault:
        made = moved(quick_path, vault)
        more = np.stack([feature(1000 + n // 2, n % 2, third) for n in range(120)])
        monkeypatch.setitem(made._public.features, third, more)  # type: ignore[arg-type]
        made.stage(tail_of(3), third)
        for number in AGAIN:
            for view in (0, 1):
                vault.add(person(number), template(number, view, third))
            made.enrolled(person(number))
        assert made.tend()
        with pytest.raises(ReleaseError, match="enrol them again"):
            made.promote()
        gone = [person(n) for n in PEOPLE if n not in AGAIN]
        vault.erase(gone, NOW)
        made.erased(gone)
        made.promote()
        assert made.beside is not None and made.beside.trunk == OTHER


def test_the_same_tail_may_follow_two_trunks(quick_path: Path) -> None:
    """As after a trunk was quantised: another trunk, the tail as it was."""
    with peopled(quick_path, TRUNK, OTHER) as vault:
        made = deciding(quick_path, vault)
        made.stage(tail_of(1), OTHER)
        assert made.staged is not None and made.staged.calibration != made.active.calibration
        made.promote()
        assert (made.active.trunk, made.active.release) == (OTHER, tail_of(1).hash)
        assert made.galleries.verify(seen(3, 0), person(3)) == Band.MATCH
        made.rollback()
        assert made.active.trunk == TRUNK


def test_without_a_release_there_is_nothing_to_ask() -> None:
    assert Galleries().all == () and Galleries().trunks == ()
