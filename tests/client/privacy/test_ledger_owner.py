"""One process, one key, one file: whoever else opens a ledger is refused, and harms nothing."""

import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import client
from client.privacy.ledger import Ledger
from common.errors import LedgerError, LedgerFullError
from common.privacy.accountant import Event
from tests.small_ledger import BUDGET, KEY, PLAN, spend

ROOT = Path(client.__file__).parents[1]


def test_only_the_owner_can_read_the_files(ledger: Ledger, path: Path) -> None:
    ledger.accept("run", PLAN)
    assert {p.stat().st_mode & 0o777 for p in path.parent.iterdir()} == {0o600}


def test_a_second_agent_on_the_same_ledger_is_refused(ledger: Ledger, path: Path) -> None:
    with pytest.raises(LedgerError, match="another agent"):
        Ledger(path, KEY, BUDGET)
    reader, writer = os.pipe()
    child = os.fork()
    if not child:  # neither the inherited object nor a new one works in another process
        answers = [_refused(lambda: ledger.accept("run", PLAN))]
        answers.append(_refused(lambda: Ledger(path, KEY, BUDGET)))
        os.write(writer, bytes(answers))
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reader, 8) == bytes([True, True])
    os.close(reader)
    os.close(writer)
    ledger.accept("run", PLAN)


def _refused(call: Any) -> bool:
    try:
        call()
    except LedgerError:
        return True
    return False


FORK = """
import os, sys
from pathlib import Path
from client.privacy.ledger import Budget, Ledger
from common.privacy.accountant import Event
from common.privacy.plan import MomentMechanism, PrivacyPlan

mechanism = MomentMechanism(kind="mean", sigma=9.0, clip=1.0, name="mean")
ledger = Ledger(Path(sys.argv[1]), b"k" * 32, Budget(8.0, 1e-5))
ledger.accept("run", PrivacyPlan(mechanisms=(mechanism,), people=9, delta=1e-5))
child = os.fork()
if child:
    os.waitpid(child, 0)
    ledger.reserve("run", 1, "request", Event(9.0))
    os._exit(0)  # as a crash would
"""


def test_a_forked_child_that_ends_takes_nothing_of_its_parents_ledger_along(path: Path) -> None:
    subprocess.run([sys.executable, "-c", FORK, str(path)], check=True, cwd=ROOT)
    with Ledger(path, KEY, BUDGET) as ledger:
        assert ledger.events() == (Event(9.0),)


def test_a_dropped_ledger_gives_its_lock_back(path: Path) -> None:
    first = Ledger(path, KEY, BUDGET)
    del first
    Ledger(path, KEY, BUDGET).close()


def test_a_closed_ledger_answers_nothing(path: Path) -> None:
    ledger = Ledger(path, KEY, BUDGET)
    ledger.close()
    ledger.close()
    with pytest.raises(LedgerError):
        ledger.epsilon()


def test_another_key_opens_nothing(path: Path) -> None:
    with Ledger(path, KEY, BUDGET) as ledger:
        spend(ledger, "run", PLAN, 1)
    with pytest.raises(LedgerError):
        Ledger(path, b"x" * 32, BUDGET)
    with pytest.raises(ValueError, match="key"):
        Ledger(path, b"short", BUDGET)


def test_an_error_while_writing_closes_the_ledger_until_it_is_read_again(path: Path) -> None:
    with Ledger(path, KEY, BUDGET) as ledger:
        ledger.accept("run", PLAN)
        pages = ledger._database.execute("PRAGMA page_count").fetchone()[0]
        ledger._database.execute(f"PRAGMA max_page_count = {pages}").fetchall()  # a full disk
        ledger.reserve("run", 1, "d", Event(4.0))
        with pytest.raises(LedgerFullError):
            ledger.release("run", 1, "d", b"x" * 100_000)
        with pytest.raises(LedgerError):
            ledger.replay("run", 1, "d")
    with Ledger(path, KEY, BUDGET) as ledger:
        assert ledger.events() == (Event(4.0),)
        assert ledger.replay("run", 1, "d") is None


def test_a_disk_without_room_is_told_from_a_ledger_that_is_broken(path: Path) -> None:
    class OnAFullDisk(Ledger):
        _settings = ("max_page_count = 1",)

    with pytest.raises(LedgerFullError, match="free some"):
        OnAFullDisk(path, KEY, BUDGET)
    with Ledger(path, KEY, BUDGET) as ledger:
        assert ledger.entries() == ()


def test_paths_that_cannot_hold_a_ledger_are_a_ledger_error(tmp_path: Path) -> None:
    (tmp_path / "folder.db").mkdir()
    (tmp_path / "text.db").write_text("this is not a database, though long enough to be one" * 9)
    (tmp_path / "link.db").symlink_to(tmp_path / "elsewhere.db")
    for name in ("missing/ledger.db", "folder.db", "text.db", "link.db"):
        with pytest.raises(LedgerError):
            Ledger(tmp_path / name, KEY, BUDGET)


def test_a_ledger_of_a_later_version_is_left_alone(path: Path) -> None:
    Ledger(path, KEY, BUDGET).close()
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version = 2")
    database.close()
    with pytest.raises(LedgerError, match="version 2"):
        Ledger(path, KEY, BUDGET)
