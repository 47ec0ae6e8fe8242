"""All templates at once are the templates one by one, and nothing altered or erased among them."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.vault import core, loading
from client.vault.identity import PersonId, TemplateId
from client.vault.loading import Loaded
from client.vault.records import About, Abouts, NewTemplate
from client.vault.store import Vault
from client.vault.tables import Tables
from common.errors import ModelError, VaultError
from tests.small_vault import NOW, OTHER, TRUNK, consent, enrol, filled, person, place, template

IDS = st.binary(min_size=16, max_size=16)


def as_stored(loaded: Loaded) -> list[tuple[bytes, bytes, bytes, float]]:
    return [
        (bytes(who), bytes(made), feature.tobytes(), float(quality))
        for who, made, feature, quality in zip(
            loaded.persons, loaded.templates, loaded.features, loaded.quality, strict=True
        )
    ]


def one_by_one(vault: Vault, trunk: str = TRUNK) -> list[tuple[bytes, bytes, bytes, float]]:
    return [
        (bytes(s.person), bytes(s.template), s.feature.tobytes(), s.quality)
        for s in vault.templates(trunk)
    ]


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages end in the middle of people."""
    monkeypatch.setattr(loading, "PAGE", 3)
    monkeypatch.setattr(core, "PAGE", 3)


@given(st.text(max_size=5), IDS, IDS, st.binary(max_size=32), st.integers(1, 2048), st.integers(0))
def test_texts_from_pieces_are_the_texts(
    site: str, who: bytes, made: bytes, trunk: bytes, dim: int, row: int
) -> None:
    row %= 2**63
    about = About(
        site=site, person=PersonId(who), template=TemplateId(made), trunk=trunk, dim=dim, row=row
    )
    pieces = Abouts(site, trunk, dim)
    for _ in range(2):  # the second is from memory
        assert pieces.of(who) + made + pieces.end(row) == about.to_bytes()


@pytest.mark.usefixtures("small_pages")
def test_all_at_once_are_the_templates_one_by_one(quick_path: Path) -> None:
    filled(quick_path / "v", range(7))
    with Vault(place(quick_path / "v")) as vault:
        for number in (2, 5):
            vault.add(person(number), template(number, OTHER))
        for trunk, count in ((TRUNK, 14), (OTHER, 2)):
            loaded = vault.load(trunk)
            assert as_stored(loaded) == one_by_one(vault, trunk) and len(loaded.persons) == count
            assert loaded.features.dtype == np.float16 and loaded.quality.dtype == np.float64
        loaded.wipe()
        assert not loaded.features.any() and not loaded.quality.any()
        assert "features" not in repr(loaded) and "quality" not in repr(loaded)
        nothing = vault.load("00" * 32)
        assert nothing.features.shape == (0, 0) and as_stored(nothing) == []
        with pytest.raises(ModelError):
            vault.load("no hash")


@pytest.mark.usefixtures("small_pages")
@pytest.mark.parametrize("page", range(1, 6))
def test_who_is_erased_or_loses_a_template_meanwhile_is_left_out(
    quick_path: Path, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    filled(quick_path / "v", range(6))
    read, calls = Tables.sealed, []

    with Vault(place(quick_path / "v")) as vault:
        gone = one_by_one(vault)[-1][:2]

        def disturbed(self: Tables, *arguments: Any) -> list[Any]:
            calls.append(len(calls) + 1)
            return read(self, *arguments)

        def between(self: core.Core) -> Any:
            if len(calls) == page and not done:
                done.append(True)
                vault.erase([person(0), person(3)], NOW)
                vault.remove(PersonId(gone[0]), TemplateId(gone[1]))
                enrol(vault, [9])
            return guard(self)

        done: list[bool] = []
        guard = core.Core.guard
        monkeypatch.setattr(Tables, "sealed", disturbed)
        monkeypatch.setattr(core.Core, "guard", between)
        loaded = vault.load(TRUNK)
        monkeypatch.undo()
        assert done
        left = [row for row in one_by_one(vault) if row[0] != person(9)]
        assert [row for row in as_stored(loaded) if row[0] != person(9)] == left
        assert len(left) == 7


def test_whatever_is_altered_while_the_vault_is_open_is_noticed(quick_path: Path) -> None:
    filled(quick_path / "v", range(3))
    with Vault(place(quick_path / "v")) as vault:
        database = vault._core.tables._database
        rows = vault._core.tables.select("template")
        for statement in (
            "UPDATE template SET sealed = zeroblob(length(sealed)) WHERE template = ?",
            "UPDATE template SET sealed = substr(sealed, 1, 40) WHERE template = ?",
            "UPDATE template SET sealed = zeroblob(9999) WHERE template = ?",
            "UPDATE template SET row = row + 1 WHERE template = ?",
            "UPDATE template SET row = -1 WHERE template = ?",
            "UPDATE template SET template = substr(template, 1, 15) WHERE template = ?",
            "UPDATE template SET template = randomblob(16) WHERE template = ?",
            "UPDATE template SET person = randomblob(16) WHERE template = ?",
            "UPDATE template SET person = (SELECT max(person) FROM person) WHERE template = ?",
        ):
            database.execute("PRAGMA foreign_keys = OFF")
            database.execute("BEGIN")
            database.execute(statement, (rows[1][1],))
            with pytest.raises(VaultError):
                vault.load(TRUNK)
            vault._core._broken = False  # as after opening again
            database.execute("ROLLBACK")
        for position in range(len(rows[1][5])):
            raw = bytearray(rows[1][5])
            raw[position] ^= 1 << position % 8
            database.execute("BEGIN")
            database.execute(
                "UPDATE template SET sealed = ? WHERE template = ?", (bytes(raw), rows[1][1])
            )
            with pytest.raises(VaultError):
                vault.load(TRUNK)
            vault._core._broken = False
            database.execute("ROLLBACK")
        assert as_stored(vault.load(TRUNK)) == one_by_one(vault)


def test_templates_of_one_trunk_have_one_length(quick_path: Path) -> None:
    with Vault.create(place(quick_path / "v")) as vault:
        enrol(vault, [1])
        longer = NewTemplate(trunk=TRUNK, feature=np.ones(30, np.float16))
        vault.enrol(person(2), [longer], consent(), now=NOW)
        with pytest.raises(ModelError, match="different lengths"):
            vault.load(TRUNK)
        assert len(one_by_one(vault)) == 3, "the vault is open still"


@pytest.mark.usefixtures("small_pages")
def test_what_was_opened_is_zeroed_where_loading_fails(quick_path: Path) -> None:
    with Vault.create(place(quick_path / "v")) as vault:
        enrol(vault, range(3))
        reading = loading.Loading(vault._core, TRUNK)
        opened, pages = reading._open, list[Any]()

        def failing(rows: Any) -> None:
            if pages:
                assert reading._content.any()
                raise VaultError("altered")
            pages.append(rows)
            opened(rows)

        reading._open = failing  # type: ignore[method-assign]
        with pytest.raises(VaultError):
            reading.run()
        assert not reading._content.any()


def test_people_enrolled_while_memory_is_full_are_left_out(
    quick_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "PAGE", 2)
    with Vault.create(place(quick_path / "v")) as vault:
        enrol(vault, range(4))
        whole = as_stored(vault.load(TRUNK))
        room = 5 * (8 + 2 * 24 + 28)
        monkeypatch.setattr(Tables, "size", room)
        assert as_stored(vault.load(TRUNK)) == whole[:4]


def test_random_ids_do_not_change_what_is_loaded(quick_path: Path) -> None:
    with Vault.create(place(quick_path / "v")) as vault:
        for number in range(20):
            made = [template(number), template(number + 50), template(number + 70)]
            who = PersonId(os.urandom(16))
            vault.enrol(who, made[: 1 + number % 3], consent(), now=NOW)
        assert as_stored(vault.load(TRUNK)) == one_by_one(vault)
