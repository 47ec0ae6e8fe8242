"""Who comes to a site alone for the first time is told what to do next, whatever they type."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from client.cli import main
from tests.small_home import SERVE, STARTER, heard, pack


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The home of a site alone, as one command leaves it."""
    pack(tmp_path / "public.npz", 3)
    home = tmp_path / "site"
    paths = ("--trunk", str(STARTER), "--public", str(tmp_path / "public.npz"))
    done = typed(home, "init", "--alone", "--name", "north", *paths)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["next"] == "`mascaron-site serve`"
    return home


def typed(home: Path, *words: str) -> Result:
    return CliRunner().invoke(main, [*words, "--home", str(home)])


@pytest.mark.parametrize(
    "words", ["join", "join --prepare", "admission", "ledger show", "ledger verify", "outbox"]
)
def test_what_only_a_member_can_do_says_how_to_become_one(folder: Path, words: str) -> None:
    done = typed(folder, *words.split())
    assert done.exit_code == 2
    assert "this site is alone" in done.output and "--centre" in done.output


def test_a_door_that_is_not_open_yet_is_told_with_the_command_that_opens_it(folder: Path) -> None:
    assert json.loads(typed(folder, "status").stdout) == {
        "site": "north",
        "alone": True,
        "door": "UNREACHABLE",
    }
    for words in ("people", "release status", "calibrate --fmr 1e-2", "vault rotate"):
        done = typed(folder, *words.split())
        assert done.exit_code == 1
        assert "mascaron-site serve" in done.output, words


def test_a_door_opens_without_a_centre_a_policy_or_a_release(folder: Path) -> None:
    with serving(folder):
        assert json.loads(typed(folder, "status").stdout)["door"] == "OPEN"
        assert json.loads(typed(folder, "people").stdout)["people"] == []
        done = typed(folder, "verify", "00" * 16, str(STARTER))
        assert done.exit_code == 1
        told = typed(folder, "doctor")
        assert told.exit_code == 0, told.stdout
    assert "list" in typed(folder, "audit", "show").stdout
    assert json.loads(typed(folder, "leave", "--yes").stdout)["people_removed"]
    assert json.loads(typed(folder, "audit", "verify").stdout)["verified"] >= 2


@contextmanager
def serving(home: Path) -> Iterator[None]:
    """`mascaron-site serve` in a process of its own, until the block ends."""
    command = [sys.executable, "-c", SERVE, "serve", "--home", str(home)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stderr is not None
        try:
            heard(process.stderr, "the door answers at ")
            yield
            process.terminate()
            assert process.wait(60) == 0
            assert "admission" not in process.stderr.read()
        finally:
            process.kill()
