"""A round goes on when nobody waits any more; one at a time; asked to stop, it ends first."""

import logging
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from client.agent.jobs import WAITING, Jobs
from client.serving.quiet import OwnWords, RateLimit
from common.errors import BusyError, DrainingError, NotReadyError, WireError

KEY, OTHER = ("r1", 1, "d"), ("r1", 2, "d")


class Slow:
    """Work that ends when it is told to."""

    def __init__(self) -> None:
        self.begun, self.go, self.times = threading.Event(), threading.Event(), 0

    def __call__(self) -> str:
        self.times += 1
        self.begun.set()
        self.go.wait(10)
        return "done"


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_call_that_cannot_wait_is_told_so_and_the_next_one_gets_the_answer() -> None:
    jobs, work = Jobs(), Slow()
    with pytest.raises(NotReadyError):
        jobs.do(KEY, work, 0.05)
    assert jobs.working == KEY
    work.go.set()
    assert jobs.do(KEY, work, 10.0) == "done"
    eventually(lambda: jobs.working is None)


def test_who_asks_the_same_at_the_same_time_shares_one_job() -> None:
    jobs, work = Jobs(), Slow()
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(jobs.do, KEY, work, 10.0)
        work.begun.wait(10)
        second = pool.submit(jobs.do, KEY, work, 10.0)
        eventually(lambda: jobs._job is not None and jobs._job.waiting == 2)
        work.go.set()
        assert (first.result(10), second.result(10)) == ("done", "done")
    assert work.times == 1


def test_another_round_is_busy_and_so_is_one_waiter_too_many() -> None:
    jobs, work = Jobs(), Slow()
    with ThreadPoolExecutor(WAITING) as pool:
        waiting = [pool.submit(jobs.do, KEY, work, 10.0) for _ in range(WAITING)]
        eventually(lambda: jobs._job is not None and jobs._job.waiting == WAITING)
        for key in (OTHER, KEY, ("r2", 1, "d"), ("r1", 1, "e")):
            with pytest.raises(BusyError):
                jobs.do(key, work, 10.0)
        work.go.set()
        assert {w.result(10) for w in waiting} == {"done"}
    assert jobs.do(OTHER, lambda: "next", 10.0) == "next"


def test_a_failure_is_told_to_who_asked_and_forgotten() -> None:
    jobs = Jobs()

    def fails() -> None:
        raise WireError("malformed")

    with pytest.raises(WireError):
        jobs.do(KEY, fails, 10.0)
    assert jobs.do(KEY, lambda: "done", 10.0) == "done"


def test_draining_ends_what_is_under_way_and_takes_nothing_new() -> None:
    jobs, work = Jobs(), Slow()
    with ThreadPoolExecutor(2) as pool:
        asked = pool.submit(jobs.do, KEY, work, 10.0)
        work.begun.wait(10)
        assert not jobs.drain(0.01)
        with pytest.raises(BusyError):
            jobs.do(OTHER, work, 10.0)
        drained = pool.submit(jobs.drain, 10.0)
        work.go.set()
        assert asked.result(10) == "done"
        assert drained.result(10)
    with pytest.raises(DrainingError):
        jobs.do(OTHER, work, 10.0)
    with pytest.raises(DrainingError):
        jobs.check_open()


def test_a_hostile_courier_writes_so_many_lines_a_minute_and_no_more(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now = [0.0]
    limit = RateLimit(lines=3, now=lambda: now[0])

    def passed(text: str) -> bool:
        record = logging.LogRecord("x", logging.WARNING, "", 0, text, (), None)
        kept = bool(limit.filter(record))
        told.append(record.getMessage())
        return kept

    told: list[str] = []
    assert [passed("a") for _ in range(5)] == [True] * 3 + [False] * 2
    now[0] = 59.0
    assert not passed("a")
    now[0] = 60.0
    assert passed("b")
    assert told[-1] == "(3 lines left out) b"
    assert passed("c")
    assert told[-1] == "c"


def test_what_a_library_repeats_of_a_request_is_not_written() -> None:
    for name, kept in (("client.agent.main", "round 3"), ("grpc._cython", ""), ("root", "")):
        try:
            raise ValueError("who")
        except ValueError:
            error = sys.exc_info()
        record = logging.LogRecord(name, logging.ERROR, "", 0, "%s", ("round 3 who",), error)
        assert OwnWords().filter(record)
        told = logging.Formatter().format(record)
        assert (kept in told) and ("who" in told) == bool(kept)
        assert "Traceback" not in told
