"""Programs are kept running, asked to stop in peace, and never left behind."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from common.daemons.hearing import LONGEST_LINE

ROOT = Path(__file__).parents[3]
DRIVER = """
import json, os, sys
from pathlib import Path
from common.daemons.supervisor import Care, Daemon, Patience, Supervisor

settings = json.loads(sys.argv[1])
names = settings.pop("programs")
made = 0

def make():
    global made
    made += 1
    return [
        Daemon(name=name, command=("/bin/sh", "-c", script, name), folder=Path("/"),
               environment={"PATH": "/usr/bin:/bin", "MADE": str(made)}, leads=name == "lead")
        for name, script in names.items()
    ]

def heard(name, line):
    print(json.dumps([name, line]), flush=True)

print(json.dumps(["pid", os.getpid()]), flush=True)
supervisor = Supervisor(make, Care(heard=heard, patience=Patience(**settings)))
print(json.dumps(["end", supervisor.run()]), flush=True)
print(json.dumps(["restarts", supervisor.restarts]), flush=True)
"""
STAY = 'echo "$$ $MADE"; while :; do sleep 0.1; done'
PATIENCE = {"tick": 0.02, "first_pause": 0.05, "longest_pause": 0.2, "steady": 60.0, "stop": 5.0}
Heard = Iterator[tuple[str, Any]]


@contextmanager
def supervising(
    programs: dict[str, str], **patience: float
) -> Iterator[tuple["subprocess.Popen[str]", Heard]]:
    settings = json.dumps({"programs": programs, **PATIENCE, **patience})
    process = subprocess.Popen(
        [sys.executable, "-c", DRIVER, settings],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    heard = (tuple(json.loads(line)) for line in process.stdout)
    assert next(heard)[0] == "pid"
    try:
        yield process, heard
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_what_ends_is_started_again_by_itself() -> None:
    with supervising({"lead": STAY, "other": STAY}) as (_, heard):
        first = {name: line.split() for name, line in (next(heard), next(heard))}
        os.kill(int(first["other"][0]), signal.SIGKILL)
        assert next(heard) == ("other", "ended with -9")
        name, line = next(heard)
        assert (name, line.split()[1]) == ("other", "1")
        assert alive(int(first["lead"][0]))


def test_when_one_that_leads_ends_all_are_made_anew() -> None:
    with supervising({"lead": STAY, "other": STAY}) as (_, heard):
        first = {name: line.split() for name, line in (next(heard), next(heard))}
        os.kill(int(first["lead"][0]), signal.SIGKILL)
        assert next(heard) == ("lead", "ended with -9")
        again = {name: line.split() for name, line in (next(heard), next(heard))}
        assert {made for _, made in again.values()} == {"2"}
        await_gone(int(first["other"][0]))


def test_restarts_wait_longer_each_time_and_no_longer_than_said() -> None:
    with supervising(
        {"lead": STAY, "other": "date +%s.%N"}, first_pause=0.1, longest_pause=0.4
    ) as (_, heard):
        times = [float(line) for _, line in heard_of("other", heard, 6) if line[0].isdigit()]
    gaps = [later - sooner for sooner, later in pairwise(times)]
    assert all(gap >= 0.99 * least for gap, least in zip(gaps, (0.1, 0.2, 0.4), strict=False))


def heard_of(name: str, heard: Heard, number: int) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    while len(found) < number:
        told = next(heard)
        if told[0] == name:
            found.append(told)
    return found


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_asked_to_stop_it_asks_the_programs_and_hears_them_out(number: signal.Signals) -> None:
    obliging = "trap 'echo farewell; exit 0' TERM; echo up; while :; do sleep 0.05; done"
    with supervising({"lead": obliging, "other": obliging}) as (process, heard):
        assert {next(heard), next(heard)} == {("lead", "up"), ("other", "up")}
        process.send_signal(number)
        told = list(heard)
        assert {("lead", "farewell"), ("other", "farewell")} <= set(told)
        assert told[-2:] == [("end", number.name), ("restarts", 0)]
        assert process.wait(20) == 0


def test_whoever_will_not_stop_is_killed_with_all_that_it_started() -> None:
    stubborn = "trap '' TERM; sh -c 'echo $$; while :; do sleep 0.1; done' & echo $$; wait; wait"
    with supervising({"lead": stubborn}, stop=0.3) as (process, heard):
        numbers = [int(next(heard)[1]), int(next(heard)[1])]
        process.terminate()
        assert next(heard) == ("end", "SIGTERM")
        process.wait(20)
        for number in numbers:
            await_gone(number)


def test_what_a_program_started_does_not_outlive_it() -> None:
    parent = "sh -c 'echo $$; while :; do sleep 0.1; done' & sleep 0.3; exit 3"
    with supervising({"lead": STAY, "other": parent}) as (_, heard):
        told = heard_of("other", heard, 2)
        assert told[1][1] == "ended with 3"
        await_gone(int(told[0][1]))


def test_killed_itself_it_leaves_no_orphan() -> None:
    with supervising({"lead": STAY, "other": STAY}) as (process, heard):
        numbers = [int(next(heard)[1].split()[0]) for _ in range(2)]
        process.kill()
        process.wait()
        for number in numbers:
            await_gone(number)


def test_a_program_that_cannot_be_started_ends_the_others() -> None:
    """An interpreter that is gone, say: an error that names the program, and nothing left."""
    code = DRIVER.replace(
        '"/bin/sh", "-c", script', '"/bin/sh" if name == "lead" else name, "-c", script'
    )
    settings = json.dumps({"programs": {"lead": STAY, "/nonexistent": "x"}, **PATIENCE})
    done = subprocess.run(
        [sys.executable, "-c", code, settings], cwd=ROOT, capture_output=True, text=True
    )
    assert "DeploymentError: cannot start /nonexistent" in done.stderr
    for line in done.stdout.splitlines():
        name, told = json.loads(line)
        if name == "lead":
            await_gone(int(told.split()[0]))


def test_a_line_without_end_is_passed_on_in_bounded_pieces() -> None:
    endless = "head -c 200000 /dev/zero | tr '\\0' x; echo; " + STAY
    with supervising({"lead": endless}) as (_, heard):
        total, pieces = 0, 0
        while (line := next(heard)[1])[0] == "x":
            assert len(line) <= LONGEST_LINE
            total, pieces = total + len(line), pieces + 1
        assert 1 < pieces < 200000 / 1000


def test_bytes_that_are_no_text_do_no_harm() -> None:
    with supervising({"lead": "printf '\\377\\376 x\\n'; " + STAY}) as (_, heard):
        assert next(heard) == ("lead", "\ufffd\ufffd x")


def alive(number: int) -> bool:
    """Whether that process runs; one that ended and was not fetched yet does not."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def await_gone(number: int) -> None:
    await_true(lambda: not alive(number), f"process {number} was left behind")


def await_true(condition: Callable[[], bool], told: str) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, told
        time.sleep(0.02)
