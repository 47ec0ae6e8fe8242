"""A backup opens to the recovery key alone, and brings back all but the past and the erased."""

from contextlib import suppress
from pathlib import Path

import pytest

from client.vault.backup import Known, backup, restore, retire
from client.vault.core import VaultPlace
from client.vault.recovery import RecoveryKey, RecoveryLock
from client.vault.store import Vault
from common.errors import ConfigError, MascaronError, SealedError, VaultError, VaultRollbackError
from tests.dying_disk import DyingDisk
from tests.small_labels import BARE, HAT, enrol_labelled, lies_in, sealed_labels, told
from tests.small_vault import (
    NOW,
    consent,
    content,
    enrol,
    enrolled,
    files,
    filled,
    person,
    place,
    windows,
)

ANYTHING = Known(generation=0, epoch=0)


@pytest.fixture
def recovery(quick_path: Path) -> RecoveryKey:
    return RecoveryKey.create(quick_path / "recovery.key")


@pytest.fixture
def saved(quick_path: Path, recovery: RecoveryKey) -> Path:
    """A backup of persons 1, 2, 3, made by who can open none; the vault is closed again."""
    filled(quick_path / "v", [1, 2, 3])
    (quick_path / "backups").mkdir()
    with Vault(place(quick_path / "v")) as vault:
        return backup(vault, quick_path / "backups", RecoveryLock.of(recovery.lock.text))


def elsewhere(folder: Path) -> VaultPlace:
    (folder / "new").mkdir()
    return place(folder / "new" / "v")


def known(vault: Vault, *, losing: bool = False) -> Known:
    return Known(
        generation=vault.generation,
        epoch=vault.epoch,
        tombstones=vault.tombstones(),
        losing=losing,
    )


def test_a_backup_brings_back_all_of_it_in_a_new_epoch(
    quick_path: Path, recovery: RecoveryKey, saved: Path
) -> None:
    with Vault(place(quick_path / "v")) as vault:
        before, last = content(vault), known(vault)
        tag, site = vault.tag(person(1), b"x"), vault.derive("audit").tag(b"x")
    with restore(saved, recovery, elsewhere(quick_path), last) as vault:
        assert content(vault) == before and enrolled(vault) == {1, 2, 3}
        assert vault.generation == last.generation + 1 and vault.epoch == last.epoch + 1
        assert vault.tag(person(1), b"x") == tag and vault.derive("audit").tag(b"x") == site
        enrol(vault, [4])
    with Vault(place(quick_path / "new" / "v")) as vault:
        assert enrolled(vault) == {1, 2, 3, 4}


def test_only_the_recovery_key_opens_it(
    quick_path: Path, recovery: RecoveryKey, saved: Path
) -> None:
    there = elsewhere(quick_path)
    for wrong in (recovery.lock, RecoveryKey.create(quick_path / "other.key"), there.provider):
        with pytest.raises((SealedError, VaultError)):
            restore(saved, wrong, there, ANYTHING)
    (quick_path / "recovery.key").chmod(0o644)
    with pytest.raises(ConfigError):
        RecoveryKey(quick_path / "recovery.key")
    with pytest.raises(VaultError):
        restore(saved, recovery, place(quick_path / "x", site="south"), ANYTHING)
    with pytest.raises(VaultError):
        restore(saved, recovery, place(quick_path / "v"), ANYTHING)


def test_nothing_of_a_row_or_key_is_to_be_read_in_it(quick_path: Path, saved: Path) -> None:
    written = saved.read_bytes()
    with Vault(place(quick_path / "v")) as vault:
        rows = vault._core.tables.select("template") + vault._core.tables.select("person")
        for row in rows:
            assert not any(window in written for window in windows(row[-1]))
        for stored in vault.templates("1a" * 32):
            assert not any(part in written for part in windows(stored.feature.tobytes()))


def test_any_altered_or_shortened_backup_is_refused(
    quick_path: Path, recovery: RecoveryKey, saved: Path
) -> None:
    there, whole = elsewhere(quick_path), saved.read_bytes()
    for position in range(0, len(whole), 11):
        altered = bytearray(whole)
        altered[position] ^= 1 << position % 8
        for bad in (bytes(altered), whole[:position]):
            saved.write_bytes(bad)
            with pytest.raises(VaultError):
                restore(saved, recovery, there, ANYTHING)
    assert not there.folder.exists()


def test_an_older_backup_is_refused_and_brings_nobody_erased_back(
    quick_path: Path, recovery: RecoveryKey, saved: Path
) -> None:
    with Vault(place(quick_path / "v")) as vault:
        enrol(vault, [4])
        since = known(vault, losing=True)
        vault.erase([person(2)], NOW)
        vault.rotate(NOW)
        last = known(vault, losing=True)
    there = elsewhere(quick_path)
    for other in (
        Known(generation=last.generation, epoch=last.epoch),
        Known(generation=last.generation, epoch=last.epoch, losing=True),
        Known(
            generation=last.generation,
            epoch=last.epoch,
            tombstones=frozenset(mark for mark in last.tombstones if mark[0] != 2),
            losing=True,
        ),
    ):
        with pytest.raises(VaultRollbackError):
            restore(saved, recovery, there, other)
    with restore(saved, recovery, there, last) as vault:
        assert enrolled(vault) == {1, 3} and vault.generation > last.generation
        with pytest.raises(MascaronError):
            enrol(vault, [2])
    with restore(saved, recovery, place(quick_path / "w"), since) as vault:
        assert enrolled(vault) == {1, 2, 3}, "4 was enrolled later, and nobody erased by then"


def test_backups_from_before_an_erasure_are_shredded(
    quick_path: Path, recovery: RecoveryKey, saved: Path
) -> None:
    with Vault(place(quick_path / "v")) as vault:
        vault.erase([person(1)], NOW)
        fresh = backup(vault, saved.parent, recovery.lock)
        assert retire(saved.parent, vault.epoch, place(quick_path / "v")) == 1
    assert list(files(saved.parent)) == [fresh]


def test_a_backup_that_fails_anywhere_leaves_none_or_a_whole_one(
    quick_path: Path, recovery: RecoveryKey
) -> None:
    filled(quick_path / "v", [1])
    folder, fatal, done = quick_path / "backups", 0, False
    folder.mkdir()
    while not done:
        fatal += 1
        disk = DyingDisk(10**9, for_good=True)
        with Vault(place(quick_path / "v", disk)) as vault:
            disk.fatal = disk.count + fatal
            try:
                backup(vault, folder, recovery.lock)
                done = True
            except MascaronError:
                pass
            disk.fatal = 10**9
        for path in files(folder):
            where = quick_path / f"r{fatal}"
            with restore(path, recovery, place(where), ANYTHING) as vault:
                assert enrolled(vault) == {1}
            path.unlink()
    assert fatal > 4 and not any(folder.iterdir())


@pytest.mark.parametrize("for_good", [False, True])
def test_a_restoring_that_fails_anywhere_leaves_no_vault_or_a_whole_one(
    quick_path: Path, recovery: RecoveryKey, saved: Path, for_good: bool
) -> None:
    fatal, whole, missing = 0, False, 0
    while not whole:
        fatal += 1
        disk = DyingDisk(fatal, for_good=for_good)
        there = place(quick_path / f"w{fatal}", disk)
        done = False
        with suppress(MascaronError):
            restore(saved, recovery, there, ANYTHING).close()
            done = True
        whole = disk.count < fatal
        again = place(quick_path / f"w{fatal}")
        if not there.folder.exists():
            missing += 1
            assert not done
            restore(saved, recovery, again, ANYTHING).close()
        with Vault(again) as vault:
            assert enrolled(vault) == {1, 2, 3}
            vault.verify()
        assert not list(quick_path.glob(".*.restoring")), "nothing half made stays"
    assert done and missing > 20


def test_keys_that_a_crash_left_half_restored_are_overwritten(
    quick_path: Path, recovery: RecoveryKey, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = place(quick_path / "w", DyingDisk(10**9, for_good=True))
    monkeypatch.setattr(there.disk, "rename", broken)
    with pytest.raises(MascaronError):
        restore(saved, recovery, there, ANYTHING)
    left = {path.name for path in files(quick_path / ".w.restoring")}
    assert left, "it was cut off when all but the last step was done"
    monkeypatch.undo()
    shredded: list[str] = []
    shred = there.disk.shred
    monkeypatch.setattr(there.disk, "shred", lambda path: shredded.append(path.name) or shred(path))
    restore(saved, recovery, there, ANYTHING).close()
    assert {name for name in left if "keyring" in name} <= set(shredded)


def broken(source: Path, target: Path) -> None:
    if target.name == "w":
        raise OSError(5, "cut off")
    source.replace(target)


def test_labels_come_back_with_a_backup_and_not_those_of_who_was_erased(
    quick_path: Path, recovery: RecoveryKey
) -> None:
    folder = quick_path / "backups"
    folder.mkdir()
    with Vault.create(place(quick_path / "v")) as vault:
        for number in (1, 2):
            enrol_labelled(vault, number, HAT, None, BARE)
        enrol(vault, [3])
        before = content(vault)
        saved = backup(vault, folder, recovery.lock)
        assert not lies_in(folder, sealed_labels(vault, person(1)))
        vault.erase([person(2)], NOW)
        last = known(vault, losing=True)
    with restore(saved, recovery, elsewhere(quick_path), last) as vault:
        after = content(vault)
        assert after.items() < before.items() and len(after) == len(before) - 3
        assert told(vault, person(1)) == [HAT.table(), BARE.table()]
        assert {row[0] for row in vault._core.tables.select("labels")} == {person(1)}
        vault.renew(person(1), consent("verify"), now=NOW)
        assert told(vault, person(1)) == []
