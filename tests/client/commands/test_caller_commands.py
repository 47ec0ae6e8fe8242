"""Roles of a caller as they are typed: all that there are can be read, and none is lost."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from client.cli import main
from client.door.callers import CallerBook, Role
from client.home import SiteHome


@pytest.fixture
def home(tmp_path: Path) -> SiteHome:
    made = SiteHome(tmp_path / "site")
    made.prepare()
    made.settings.write_text("", "utf-8")
    return made


def typed(home: SiteHome, *words: str) -> Result:
    return CliRunner().invoke(main, ["caller", "add", "desk", *words, "--home", str(home.folder)])


def told(home: SiteHome, *words: str) -> Any:
    done = typed(home, *words)
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)["may"]


@pytest.mark.parametrize(
    "words",
    [
        ("--may", "describe,search"),
        ("--may", "describe", "--may", "search"),
        ("--may", "search, describe", "--may", "search"),
    ],
)
def test_roles_are_joined_however_they_are_typed(home: SiteHome, words: tuple[str, ...]) -> None:
    assert told(home, *words) == ["describe", "search"]
    [kept] = CallerBook(home.callers).callers()
    assert kept.roles == {Role.DESCRIBE, Role.SEARCH}


@pytest.mark.parametrize(
    "words",
    [
        ("--may", "verify", "--may", "all"),
        ("--may", "all", "--may", "verify"),
        ("--may", ""),
        ("--may", "verify,"),
    ],
)
def test_one_role_that_there_is_not_takes_nobody_in(home: SiteHome, words: tuple[str, ...]) -> None:
    done = typed(home, *words)
    assert done.exit_code == 2 and "--may takes some of" in done.stderr
    assert CallerBook(home.callers).callers() == ()


def test_a_caller_without_a_role_is_a_mistake_of_typing(home: SiteHome) -> None:
    assert typed(home).exit_code == 2


def test_the_help_names_every_role() -> None:
    shown = CliRunner().invoke(main, ["caller", "add", "--help"]).output
    assert ", ".join(Role) in " ".join(shown.split())
