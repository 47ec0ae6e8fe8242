"""After an erasure no file holds anything of the person, and no older copy brings them back."""

import shutil
import sqlite3
from pathlib import Path

import pytest

from client.vault.handles import DataKey
from client.vault.keyring import Keyring
from client.vault.records import About, open_feature
from client.vault.store import Vault
from common.errors import SealedError, UnknownPersonError, VaultError, VaultRollbackError
from tests.small_vault import (
    NOW,
    SITE,
    TRUNK,
    consent,
    enrol,
    enrolled,
    files,
    filled,
    person,
    place,
    provider,
    template,
    windows,
)

GONE = (3, 40, 41, 77)


def raw(key: DataKey) -> bytes:
    return key.sealed_with(lambda content, about: content, b"")


def secrets(vault: Vault, number: int) -> list[bytes]:
    """Templates plain and sealed, the record, the key plain and wrapped, the label."""
    who, core = person(number), vault._core
    rows = core.tables.select("template", who) + core.tables.select("person", who)
    plain = [template(n).feature.tobytes() for n in (number, number + 1000)]
    wrapped = core.keyring._ring.entries[who]
    key = core.keyring.key(who)
    return [
        *plain,
        *(row[-1] for row in rows),
        raw(key),
        wrapped,
        b"a very long label %4d" % number,
    ]


def found(folder: Path, secret: bytes) -> list[str]:
    looked = [(path.name, path.read_bytes()) for path in files(folder)]
    assert {"vault.db", "keyring"} <= {name for name, _ in looked}
    return [name for name, content in looked for part in windows(secret) if part in content]


def test_no_window_of_template_or_key_is_left_in_any_file(quick_path: Path) -> None:
    folder = quick_path / "all" / "v"
    folder.parent.mkdir()
    with Vault.create(place(folder)) as vault:
        for n in range(80):
            two = [template(n), template(n + 1000)]
            vault.enrol(person(n), two, consent(), now=NOW, label=f"a very long label {n:4d}")
        kept = secrets(vault, 5)
        erased = [secret for n in GONE for secret in secrets(vault, n)]
        assert found(folder.parent, kept[2]), "the scan would not find what is there"
        wrapped_slot = (folder / "keyring.epoch-1").read_bytes()
        epoch_key = raw(vault._core.keyring._key)
        vault.erase([person(n) for n in GONE], NOW)
        for secret in (*erased, wrapped_slot, epoch_key):
            assert not found(folder.parent, secret)
        assert found(folder.parent, kept[2])
        assert enrolled(vault) == set(range(80)) - set(GONE)
        assert not {p.name for p in files(folder)} & {"keyring.epoch-1"}
    for secret in (*erased, wrapped_slot, epoch_key):
        assert not found(folder.parent, secret)


def test_a_removed_template_is_in_no_file(quick_path: Path) -> None:
    filled(quick_path / "v", [1, 2])
    with Vault(place(quick_path / "v")) as vault:
        gone = next(s for s in vault.templates(TRUNK) if s.person == person(1))
        (row,) = vault._core.tables.select("template", gone.person, gone.template)
        assert found(quick_path, row[-1])
        vault.remove(gone.person, gone.template)
        assert not found(quick_path, row[-1])


def test_a_database_from_before_opens_none_of_the_erased_with_todays_keyring(
    quick_path: Path,
) -> None:
    folder, copy = quick_path / "v", quick_path / "copy"
    filled(folder, range(4))
    shutil.copytree(folder, copy)
    with Vault(place(folder)) as vault:
        vault.erase([person(1), person(2)], NOW)
    shutil.copy(copy / "vault.db", folder / "vault.db")
    with pytest.raises(VaultRollbackError):
        Vault(place(folder))
    ring = Keyring.open(place(folder).keyring)  # and with the check taken out:
    for who in (person(1), person(2)):
        with pytest.raises(UnknownPersonError):
            ring.key(who)
    database = sqlite3.connect(folder / "vault.db")
    rows = database.execute("SELECT person, template, trunk, dim, row, sealed FROM template")
    opened = set()
    for who, which, trunk, dim, row, sealed in rows.fetchall():
        about = About(site=SITE, person=who, template=which, trunk=trunk, dim=dim, row=row)
        for owner in ring.people():
            try:
                opened.add(open_feature(ring.key(owner), sealed, about).person)
            except VaultError:
                continue
    database.close()
    assert opened == {person(0), person(3)}


def test_a_keyring_from_before_opens_no_more(quick_path: Path) -> None:
    folder, copy = quick_path / "v", quick_path / "copy"
    filled(folder, range(3))
    shutil.copytree(folder, copy)
    with Vault(place(folder)) as vault:
        vault.erase([person(1)], NOW)
    for name in ("vault.db", "keyring"):
        shutil.copy(copy / name, folder / name)
    with pytest.raises(SealedError):
        Vault(place(folder))
    slot = next(folder.glob("keyring.epoch-*"))
    shutil.copy(slot, folder / "keyring.epoch-1")  # today's key under yesterday's name
    with pytest.raises(VaultError):
        Vault(place(folder))


def test_keys_of_the_erased_say_nothing_any_more(quick_path: Path) -> None:
    filled(quick_path / "v", [1, 2])
    with Vault(place(quick_path / "v")) as vault:
        before = vault.tag(person(1), b"event"), vault.tag(person(2), b"event")
        site = vault.derive("audit").tag(b"x")
        vault.erase([person(1)], NOW)
        assert vault.tag(person(2), b"event") == before[1] != before[0]
        assert vault.derive("audit").tag(b"x") == site
        with pytest.raises(UnknownPersonError):
            vault.tag(person(1), b"event")
    assert provider(quick_path / "v")


def test_who_is_erased_while_templates_are_read_is_left_out(quick_path: Path) -> None:
    filled(quick_path / "v", [1])
    with Vault(place(quick_path / "v")) as vault:
        enrol(vault, [2])
        reading = vault.templates(TRUNK)
        vault.erase([person(1)], NOW)
        assert {stored.person for stored in reading} == {person(2)}
