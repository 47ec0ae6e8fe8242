"""A run of a real centre: it waits, pauses with a word, notes its rounds, and outlives any kill."""

import multiprocessing
import os
import signal
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from common.errors import BusyError, RunError
from common.locks import is_locked, locked
from common.trust.charter import CharterTerms
from server.app import app, run_of_centre
from server.checkpoint import PoolArrays, read_checkpoint
from server.clock import Clock
from server.home import CentreHome
from server.runs.manner import Manner
from server.runs.progress import LOCK, ROUNDS, Progress, read_progress, read_rounds
from server.runs.register import open_register
from server.runs.running import Running
from tests.seeded_sites import SeededSites
from tests.small_centre import centre, initial, signed

GRADIENTS = 6  # rounds, after two of moments


class Hands:
    """A clock that moves only when somebody sleeps; ``then`` happens after so many sleeps."""

    def __init__(self) -> None:
        self.time, self.sleeps = 1000.0, 0

    def clock(self, step: float) -> Clock:
        def sleep(seconds: float) -> None:
            self.time += max(step, seconds)
            self.sleeps += 1

        return Clock(now=lambda: self.time, sleep=sleep)


def running(
    home: CentreHome,
    sites: SeededSites,
    connected: int | None = None,
    clock: Clock | None = None,
    **how: Any,
) -> Running:
    from server.charter import load_charter

    key, register = open_register(home)
    charter, _, seal = load_charter(home.charter("r1"), key)
    return Running(
        grid=sites.grid(connected),
        charter=charter,
        signed=seal,
        folder=home.run("r1"),
        register=register,
        clock=clock or Hands().clock(1e9),
        manner=Manner(**how),
    )


def federation(folder: Path, **how: object) -> tuple[CentreHome, SeededSites, CharterTerms]:
    home = centre(folder)
    sites = SeededSites(home=home, **how)  # type: ignore[arg-type]
    return home, sites, signed(home, rounds=GRADIENTS, people=10)


def pools(home: CentreHome, terms: CharterTerms) -> dict[str, dict[str, bytes]]:
    state = read_checkpoint(home.run("r1"), terms.plan.digest)
    assert state is not None
    return {pool: _bytes(arrays) for pool, arrays in state.pools.items()}


def _bytes(arrays: PoolArrays) -> dict[str, bytes]:
    return {name: np.asarray(array).tobytes() for name, array in arrays.items()}


def test_a_run_ends_and_every_round_can_be_read_afterwards(tmp_path: Path) -> None:
    home, sites, terms = federation(
        tmp_path, answers=lambda site, number: (site, number) != (3, 2), count=4
    )
    run = running(home, sites)
    told = run.go(initial())
    assert (told.state, told.round, told.rounds) == ("done", 8, 8)
    assert read_progress(home.run("r1")) == told
    rounds = read_rounds(home.run("r1"))
    assert [entry["round"] for entry in rounds] == list(range(1, 9))
    assert [entry["mechanism"] for entry in rounds[:3]] == ["mean", "scatter", "gradient"]
    assert rounds[0]["answered"] == ["site-0", "site-1", "site-2", "site-3"]
    assert rounds[1]["refused"] == {"site-3": "NOT_READY"}
    assert rounds[1]["sites"] == 3
    assert sum(e["received"] for e in rounds) == sum(run.grid.uploaded.values())  # type: ignore[attr-defined]
    assert all(entry["seconds"] >= 0 for entry in rounds)
    assert len(pools(home, terms)["a"]) > 4


def test_too_few_sites_pause_a_run_with_a_word_and_it_goes_on_later(tmp_path: Path) -> None:
    here = [0, 1, 2]
    home, sites, terms = federation(
        tmp_path, answers=lambda site, number: site in here or number < 5
    )
    whole, others, _ = federation(tmp_path / "whole")
    running(whole, others).go(initial())
    here.remove(2)
    paused = running(home, sites).go(initial())
    assert (paused.state, paused.round, paused.reason) == ("paused", 4, "COHORT_TOO_SMALL")
    assert "2 sites answered, the cohort minimum is 3" in paused.message
    assert "run r1 --resume` goes on with round 5" in paused.message
    assert paused.sites == ("site-0", "site-1", "site-2")
    here.append(2)
    done = running(home, sites, resume=True).go(initial())
    assert (done.state, done.attempt) == ("done", 2)
    assert pools(home, terms) == pools(whole, terms)


def test_a_site_that_is_not_of_the_roster_does_not_count(tmp_path: Path) -> None:
    home, sites, _ = federation(tmp_path)
    sites.keys[2] = sites.keys[1]  # signs with a key that is another's
    paused = running(home, sites).go(initial())
    assert paused.state == "paused"
    assert "2 sites accepted" in paused.message


def test_a_run_that_began_is_not_begun_again(tmp_path: Path) -> None:
    home, sites, _ = federation(tmp_path)
    running(home, sites).go(initial())
    with pytest.raises(RunError, match="began already"):
        running(home, sites).go(initial())
    told = read_progress(home.run("r1"))
    assert told is not None
    assert told.state == "failed"
    assert running(home, sites, resume=True).go(initial()).state == "done"


def test_two_processes_never_run_the_same_run(tmp_path: Path) -> None:
    home, sites, _ = federation(tmp_path)
    home.run("r1").mkdir()
    with locked(home.run("r1") / LOCK, "it"):
        assert is_locked(home.run("r1") / LOCK)
        with pytest.raises(BusyError, match="run r1 is at work already"):
            running(home, sites).go(initial())
    assert not is_locked(home.run("r1") / LOCK)
    assert read_progress(home.run("r1")) is None


def test_a_bug_is_told_by_its_kind_only(tmp_path: Path) -> None:
    home, sites, _ = federation(tmp_path)
    run = running(home, sites)

    def burst(*_: object, **__: object) -> None:
        raise ValueError("secret path /home/somebody")

    run.grid.send_and_receive = burst  # type: ignore[method-assign,assignment]
    with pytest.raises(ValueError, match="secret"):
        run.go(initial())
    told = read_progress(home.run("r1"))
    assert told is not None
    assert (told.state, told.reason) == ("failed", "INTERNAL")
    assert "secret" not in told.message


def test_a_note_that_a_crash_tore_costs_no_round(tmp_path: Path) -> None:
    home, sites, _ = federation(tmp_path)
    running(home, sites).go(initial())
    path = home.run("r1") / ROUNDS
    lines = path.read_text("utf-8").splitlines(keepends=True)
    path.write_text("".join(lines[:-1]) + lines[-1][:20], "utf-8")
    rounds = read_rounds(home.run("r1"))
    assert [entry["round"] for entry in rounds] == list(range(1, 9))
    assert "seconds" not in rounds[-1]
    assert rounds[-1]["sites"] == 3


def test_the_server_app_runs_a_charter_of_its_home(tmp_path: Path) -> None:
    home, sites, _ = federation(tmp_path)
    grid = sites.grid()
    config = {
        "charter": str(home.charter("r1")),
        "folder": str(home.run("r1")),
        "resume": False,
        "centre": str(home.folder),
        "wait": 60.0,
        "without": "[]",
    }
    app(grid, grid.server_context(config))
    told = read_progress(home.run("r1"))
    assert told is not None
    assert told.state == "done"
    assert {path.name for path in home.heads.iterdir()} == {f"site-{n}.json" for n in range(3)}


def test_a_charter_that_was_altered_is_told_to_whoever_follows_the_run(tmp_path: Path) -> None:
    home, sites, _ = federation(tmp_path)
    running(home, sites).go(initial())
    path = home.charter("r1") / "charter.json"
    path.write_text(path.read_text("utf-8").replace("r1", "r2"), "utf-8")
    with pytest.raises(RunError, match="signature"):
        _run(home, sites, resume=True)
    told = read_progress(home.run("r1"))
    assert told is not None
    assert (told.state, told.attempt, told.round) == ("failed", 2, 8)
    assert "signature" in told.message


@pytest.mark.parametrize("kills", [10, pytest.param(200, marks=pytest.mark.slow)])
def test_a_run_that_is_killed_at_random_moments_ends_as_an_undisturbed_one(
    tmp_path: Path, kills: int
) -> None:
    whole, others, _ = federation(tmp_path / "whole")
    start = time.monotonic()
    assert _child(whole, others, resume=False, seconds=None) == "done"
    length = time.monotonic() - start
    rng, died, started = np.random.default_rng(7), 0, 0
    while died < kills:
        home, sites, terms = federation(tmp_path / f"run-{started}")
        sites.asked, started = tmp_path / f"asked-{started}", started + 1
        state = ""
        while state != "done":
            seconds = float(rng.uniform(0, length)) if died < kills else None
            state = _child(home, sites, resume=True, seconds=seconds)
            died += state == "killed"
        assert pools(home, terms) == pools(whole, terms)
        assert [entry["round"] for entry in read_rounds(home.run("r1"))] == list(range(1, 9))
        _no_round_is_asked_in_two_ways(sites.asked)


def _child(home: CentreHome, sites: SeededSites, *, resume: bool, seconds: float | None) -> str:
    """One ServerApp in a process of its own, killed after ``seconds``; how it ended."""
    context = multiprocessing.get_context("fork")
    process = context.Process(target=_run, args=(home, sites, resume))
    process.start()
    process.join(seconds)
    if process.is_alive():
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
    process.join()
    if process.exitcode == -signal.SIGKILL:
        return "killed"
    assert process.exitcode == 0
    told = read_progress(home.run("r1"))
    assert isinstance(told, Progress)
    return told.state


def _run(home: CentreHome, sites: SeededSites, resume: bool) -> None:
    manner = Manner(resume=resume)
    run_of_centre(sites.grid(), home, home.charter("r1"), home.run("r1"), manner)


def _no_round_is_asked_in_two_ways(path: Path) -> None:
    seen: dict[tuple[str, str], set[str]] = defaultdict(set)
    lines = [line.split() for line in path.read_text("utf-8").splitlines()]
    for site, number, digest in lines:
        seen[site, number].add(digest)
    assert set(map(len, seen.values())) == {1}
    numbers = [int(number) for _, number, _ in lines]
    assert numbers == sorted(numbers)
    assert set(numbers) == set(range(1, 9))
