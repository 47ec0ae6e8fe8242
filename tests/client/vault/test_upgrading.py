"""A vault from before there were labels opens as it was, takes them, and goes no way back."""

import contextlib
import sqlite3
from pathlib import Path

import pytest

from client.vault.handles import framed
from client.vault.schema import SINCE, VERSION
from client.vault.store import Vault
from client.vault.tables import _HEAD
from common.errors import MascaronError, VaultError
from tests.dying_disk import DyingDisk
from tests.small_labels import AGREED, HAT, told
from tests.small_vault import NOW, SITE, consent, content, enrol, files, person, place


def aged(folder: Path, version: int = 1) -> None:
    """Makes the vault in ``folder`` one that an earlier version wrote."""
    with Vault(place(folder)) as vault:
        tables = vault._core.tables
        head, key = tables.head, tables._head_key
        plain = _HEAD.pack(head.generation, head.epoch, head.total.to_bytes(32, "big"))
        sealed = key.seal(plain, framed("head", version, SITE))
    written(folder, "UPDATE head SET sealed = ?", sealed)
    for name, since in SINCE.items():
        if since > version:
            written(folder, f"DROP TABLE {name}")
    written(folder, f"PRAGMA user_version = {version}")


def written(folder: Path, statement: str, *values: bytes) -> None:
    database = sqlite3.connect(folder / "vault.db")
    with contextlib.closing(database), database:
        database.execute(statement, values)


@pytest.fixture
def old(quick_path: Path) -> Path:
    folder = quick_path / "v"
    with Vault.create(place(folder)) as vault:
        enrol(vault, [1, 2])
        vault.erase([person(2)], NOW)
    aged(folder)
    return folder


def test_an_old_vault_opens_with_all_that_was_in_it_and_takes_labels(old: Path) -> None:
    with Vault(place(old)) as vault:
        assert (vault.generation, vault.epoch) == (3, 2)
        assert vault.export(person(1))["templates"] == 2 and told(vault, person(1)) == []
        before = content(vault)
        vault.renew(person(1), consent(*AGREED), now=NOW)
        vault.labels.put(person(1), HAT, now=NOW)
    with Vault(place(old)) as vault:
        assert content(vault).keys() == before.keys()
        assert told(vault, person(1)) == [HAT.table()] * 2
        vault.verify()


def test_any_write_that_fails_while_it_is_brought_up_to_date_costs_nothing(old: Path) -> None:
    kept = {path.name: path.read_bytes() for path in files(old)}
    fatal, whole = 0, False
    while not whole:
        fatal += 1
        for path in list(files(old)):
            path.unlink()
        for file, raw in kept.items():
            (old / file).write_bytes(raw)
        disk = DyingDisk(fatal, for_good=fatal % 2 == 0)
        with contextlib.suppress(MascaronError), Vault(place(old, disk)):
            pass
        whole = disk.count < fatal
        with Vault(place(old)) as vault:
            assert vault.export(person(1))["templates"] == 2
            vault.verify()
    assert fatal > 20


def test_an_old_vault_that_was_altered_is_not_made_a_good_one(old: Path) -> None:
    kept = (old / "vault.db").read_bytes()
    for statement in (
        "DELETE FROM template",
        "DELETE FROM tombstone",
        "UPDATE person SET sealed = randomblob(200)",
        "CREATE TABLE labels (person BLOB)",
        "UPDATE head SET sealed = randomblob(76)",
        "PRAGMA user_version = 0",
    ):
        (old / "vault.db").write_bytes(kept)
        written(old, statement)
        with pytest.raises(VaultError):
            Vault(place(old))
    (old / "vault.db").write_bytes(kept)
    Vault(place(old)).close()


def test_todays_vault_is_not_taken_for_an_old_one_whose_labels_never_were(
    quick_path: Path,
) -> None:
    """Whoever lacks the keys cannot seal the head of another version."""
    folder = quick_path / "v"
    with Vault.create(place(folder)) as vault:
        enrol(vault, [1])
    kept = (folder / "vault.db").read_bytes()
    for statements in (
        ("PRAGMA user_version = 1",),
        ("DROP TABLE labels", "PRAGMA user_version = 1"),
        ("DROP TABLE labels",),
        (f"PRAGMA user_version = {VERSION + 1}",),
    ):
        (folder / "vault.db").write_bytes(kept)
        for statement in statements:
            written(folder, statement)
        with pytest.raises(VaultError):
            Vault(place(folder))
