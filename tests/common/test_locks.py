"""A lock is held by one process, ends with it, and a link in its place is not followed."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from common.errors import BusyError, DeploymentError
from common.locks import is_locked, locked

HOLD = """
import sys, time
from pathlib import Path
from common.locks import locked
with locked(Path(sys.argv[1]), "it"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_what_one_process_holds_no_other_takes_until_it_dies(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        assert is_locked(path)
        with pytest.raises(BusyError, match="a serve is at work"), locked(path, "a serve"):
            pass
        process.kill()
    assert not is_locked(path)
    with locked(path, "a serve"):
        assert is_locked(path)
    assert not is_locked(path)


def test_a_patient_one_waits_for_its_turn(tmp_path: Path) -> None:
    path, order = tmp_path / "lock", []

    def second() -> None:
        with locked(path, "a change", patient=True):
            order.append("second")

    waiting = threading.Thread(target=second)
    with locked(path, "a change", patient=True):
        waiting.start()
        waiting.join(0.2)
        order.append("first")
    waiting.join(10)
    assert order == ["first", "second"]


def test_looking_makes_no_file(tmp_path: Path) -> None:
    assert not is_locked(tmp_path / "lock")
    assert not (tmp_path / "lock").exists()


def test_a_link_in_the_place_of_a_lock_is_refused(tmp_path: Path) -> None:
    (tmp_path / "lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DeploymentError, match="cannot open"), locked(tmp_path / "lock", "it"):
        pass
    assert not (tmp_path / "elsewhere").exists()
