"""A process on a leash ends with its parent; a confined one gains nothing."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from common.daemons import leash
from common.daemons.leash import die_with
from common.errors import DeploymentError

ROOT = Path(__file__).parents[3]


def exit_code_of(inside: object) -> int:
    number = os.fork()
    if number == 0:
        try:
            inside()  # type: ignore[operator]
        except BaseException:
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])


def test_a_confined_process_gains_no_privilege_and_dumps_no_core() -> None:
    code = (
        "from common.daemons.leash import confine; confine(); import resource; "
        "print(resource.getrlimit(resource.RLIMIT_CORE)); "
        "print(open('/proc/self/status').read())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("(0, 0)")
    assert "NoNewPrivs:\t1" in done.stdout


def test_a_process_whose_parent_is_gone_already_does_not_start() -> None:
    def inside() -> None:
        die_with(os.getppid() + 1)  # not its parent
        time.sleep(60)

    assert exit_code_of(inside) == 1


def test_a_process_ends_with_its_parent() -> None:
    code = (
        "import os, time; from common.daemons.leash import die_with\n"
        "me = os.getpid()\n"
        "if os.fork() == 0:\n"
        "    die_with(me); print(os.getpid(), flush=True); time.sleep(60)\n"
        "time.sleep(60)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    assert parent.stdout.read() == ""  # its end comes when nobody holds the pipe any more
    parent.stdout.close()
    for _ in range(500):  # the pipe is let go of a moment before
        if not runs(child):
            return
        time.sleep(0.02)
    pytest.fail("it outlived its parent")


def runs(number: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{number}/status").read_text("utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_where_nothing_can_be_confined_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leash, "_LIBC", None)
    with pytest.raises(DeploymentError, match="run it there, or in a container"):
        leash.confine()
    leash.adopt_orphans()  # of no use there, and no harm
