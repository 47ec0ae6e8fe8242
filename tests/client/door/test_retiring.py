"""An old trunk goes once nobody needs it: no feature of it stays, and nobody is lost by it."""

import contextlib
import threading
from pathlib import Path

import pytest

from client.door.releases import Releases
from client.vault.identity import PersonId
from client.vault.store import Vault
from common.errors import MascaronError, ReleaseError
from tests.dying_disk import DyingDisk
from tests.small_reception import ANYTHING, Site, picture, shown
from tests.small_releases import (
    PEOPLE,
    TARGET,
    deciding,
    decisions,
    peopled,
    releases,
    standing,
    tail_of,
    template,
)
from tests.small_vault import NOW, OTHER, TRUNK, content, files, person, place


def come_over(made: Releases, vault: Vault, number: int) -> None:
    vault.refresh(person(number), [template(number, 5, OTHER)], most=8, now=NOW)
    made.enrolled(person(number))


def moved(folder: Path, vault: Vault) -> Releases:
    """Everybody was seen by two trunks; the newer one decides, and the older serves beside it."""
    made = deciding(folder, vault)
    made.stage(tail_of(2), OTHER)
    made.promote()
    assert made.beside is not None and made.status().progress == 1
    return made


def test_the_old_trunk_goes_and_its_features_with_it(quick_path: Path) -> None:
    with peopled(quick_path, TRUNK, OTHER) as vault:
        made = moved(quick_path, vault)
        before, kept = decisions(made), content(vault, OTHER)
        made.retire()
        assert (made.beside, made.trunks, made.status().progress) == (None, (OTHER,), None)
        assert not content(vault) and content(vault, OTHER) == kept
        assert decisions(made) == before
        with pytest.raises(ReleaseError, match="no release to go back to"):
            made.rollback()
        with pytest.raises(ReleaseError, match="no old trunk"):
            made.retire()
        again = releases(quick_path, vault)
        assert standing(again) == standing(made) and again.trunks == (OTHER,)
        raw = b"".join(path.read_bytes() for path in files(quick_path))
        assert bytes.fromhex(TRUNK) not in raw and TRUNK.encode() not in raw


def test_it_stays_while_somebody_was_seen_by_it_alone(quick_path: Path) -> None:
    with peopled(quick_path, TRUNK) as vault:
        made = deciding(quick_path, vault)
        for wrong in (made, releases(quick_path, vault)):
            with pytest.raises(ReleaseError, match="no old trunk"):
                wrong.retire()
        made.stage(tail_of(2), OTHER)
        for number in list(PEOPLE)[:-1]:
            come_over(made, vault, number)
        made.calibrate(TARGET, NOW)
        made.promote()
        assert made.status().progress == 0.9
        before = standing(made), content(vault)
        with pytest.raises(ReleaseError, match="alone"):
            made.retire()
        assert (standing(made), content(vault)) == before
        made.rollback()
        made.stage(tail_of(2), OTHER)
        made.promote()
        come_over(made, vault, PEOPLE[-1])
        made.stage(tail_of(3), TRUNK)
        with pytest.raises(ReleaseError, match="unstage"):
            made.retire()
        made.unstage()
        made.retire()
        assert not content(vault) and vault.people(now=NOW) == {person(n) for n in PEOPLE}


def test_a_way_back_within_the_new_trunk_stays(quick_path: Path) -> None:
    with peopled(quick_path, TRUNK, OTHER) as vault:
        made = moved(quick_path, vault)
        second = decisions(made)
        made.stage(tail_of(3), OTHER)
        made.promote()
        made.retire()
        made.rollback()
        assert made.status().active == tail_of(2).hash and made.beside is None
        assert decisions(made) == second


@pytest.mark.parametrize("which", ["releases", "vault"])
def test_any_write_that_fails_is_finished_by_the_same_again(quick_path: Path, which: str) -> None:
    with peopled(quick_path, TRUNK, OTHER) as vault:
        made = moved(quick_path, vault)
        before = decisions(made)
    held = {path: path.read_bytes() for path in files(quick_path)}
    fatal, whole, done = 0, False, False
    while not whole:
        fatal += 1 if which == "releases" else 67  # of hundreds: each is tried in the vault's own
        for path in list(files(quick_path)):
            path.unlink()
        for path, raw in held.items():
            path.write_bytes(raw)
            path.chmod(0o600)
        disk, done = DyingDisk(fatal, for_good=True), False
        here, there = (disk, None) if which == "vault" else (None, disk)
        with contextlib.suppress(MascaronError), Vault(place(quick_path / "v", here)) as vault:
            releases(quick_path, vault, there).retire()
            done = True
        whole = disk.count < fatal
        with Vault(place(quick_path / "v")) as vault:
            again = releases(quick_path, vault)
            assert decisions(again) == before, f"write {fatal}"
            assert not (done and again.beside)
            if again.beside is not None:
                again.retire()
            assert again.trunks == (OTHER,) and not content(vault)
    assert done and fatal > 4, "the last one ran through, after as many failures as it writes"


def test_who_is_enrolled_at_that_moment_leaves_nothing_of_the_old_trunk(
    quick_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Site(quick_path, trunks=(OTHER, TRUNK)) as site:
        site.open_for(range(12))
        site.reception.stage(ANYTHING, tail_of(2), OTHER)
        for number in range(12):
            session = site.reception.begin(ANYTHING, None, "", person(number))
            for view in (3, 4, 5):
                site.reception.look(ANYTHING, session, picture(number, view))
            site.reception.commit(ANYTHING, session)
        site.reception.calibrate(ANYTHING, TARGET)
        site.reception.promote(ANYTHING)
        session = shown(site, 50)
        enrol, writing, go = site.vault.enrol, threading.Event(), threading.Event()

        def slow(*given: object, **named: object) -> None:
            writing.set()
            assert go.wait(30)
            enrol(*given, **named)  # type: ignore[arg-type]

        monkeypatch.setattr(site.vault, "enrol", slow)
        found: list[PersonId] = []
        threads = [
            threading.Thread(
                target=lambda: found.append(site.reception.commit(ANYTHING, session).person)
            ),
            threading.Thread(target=lambda: site.reception.retire(ANYTHING)),
        ]
        threads[0].start()
        assert writing.wait(30)
        threads[1].start()
        go.set()
        for thread in threads:
            thread.join(60)
        assert site.vault.export(found[0])["trunks"] == [OTHER] and not content(site.vault)
        assert found[0] in site.releases.active.gallery
        assert ("promote", "retired") in site.told()  # whichever of the two ends last
