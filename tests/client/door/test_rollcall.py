"""Callers come, change and go: each leaves a row before anybody of them is answered."""

import os
from pathlib import Path

import pytest

from client.door.callers import Caller, CallerBook, Role
from client.door.recording import Recorder
from client.door.rollcall import RollCall
from common.errors import AuditError
from tests.small_reception import Site, caller


def book(site: Site, folder: Path) -> CallerBook:
    recorder = Recorder(site.vault, site.log, site.clock)
    return CallerBook(folder / "callers.json", RollCall(recorder))


def added(folder: Path, one: Caller) -> str:
    """As another process adds it."""
    return CallerBook(folder / "callers.json").add(one, os.urandom)


def test_each_change_of_the_callers_is_a_row_that_names_nobody(quick_path: Path) -> None:
    with Site(quick_path / "s") as site:
        known = book(site, quick_path)
        assert known.callers() == ()
        token = added(quick_path, caller("gate", Role.VERIFY))
        assert known.of_token(token).name == "gate"
        CallerBook(quick_path / "callers.json").remove("gate")
        added(quick_path, caller("gate", Role.VERIFY))  # the same, by another token
        known.callers()
        CallerBook(quick_path / "callers.json").remove("gate")
        known.callers()
        assert site.told() == [("caller", "added"), ("caller", "changed"), ("caller", "removed")]
        generation = site.vault.generation
        rows = site.rows()
        assert {row.event.reference for row in rows} == {f"{generation}:verify/1000/1000"}
        assert len({row.event.actors for row in rows}) == 1
        assert all(b"gate" not in row.event.content() for row in rows)


def test_who_may_call_when_a_door_opens_is_told(quick_path: Path) -> None:
    added(quick_path, caller("gate", Role.VERIFY))
    with Site(quick_path / "s") as site:
        book(site, quick_path).callers()
        assert site.told() == [("caller", "present")]


def test_nobody_is_known_of_whom_no_row_can_be_written(quick_path: Path) -> None:
    with Site(quick_path / "s") as site:
        known = book(site, quick_path)
        known.callers()
        token = added(quick_path, caller("gate", Role.VERIFY))
        site.log.close()
        for _ in range(2):
            with pytest.raises(AuditError):
                known.of_token(token)
