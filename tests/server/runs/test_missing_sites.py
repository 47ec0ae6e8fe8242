"""A run looks for sites as long as it was told to, and never goes on quietly without a pool."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from flwr.app import Message

from common.trust.charter import CharterTerms
from server.charter import load_charter
from server.checkpoint import read_checkpoint
from server.cli import main
from server.clock import Clock
from server.commands.rounds import rounds_command
from server.commands.status import status_command
from server.home import CentreConfig, CentreHome
from server.runs.manner import WAITING, Manner
from server.runs.progress import Progress, read_rounds
from server.runs.register import open_register
from server.runs.running import LEAST, Running
from tests.seeded_sites import SeededSites
from tests.small_centre import NOW, centre, initial, signed

LOST = 3  # the only site of its camera type


@dataclass
class Federation:
    """Three sites of camera type a and one of b; ``away`` are not connected, ``mute`` refuse."""

    home: CentreHome
    sites: SeededSites
    terms: CharterTerms
    time: float = 1000.0
    step: float = 60.0
    away: set[int] = field(default_factory=set)
    then: Callable[[float], None] = lambda time: None

    def sleep(self, seconds: float) -> None:
        self.time += max(self.step, seconds)
        self.then(self.time)

    def go(self, **how: Any) -> Progress:
        key, register = open_register(self.home)
        charter, _, seal = load_charter(self.home.charter("r1"), key)
        grid = self.sites.grid()
        everybody = grid.get_node_ids
        grid.get_node_ids = lambda: [  # type: ignore[method-assign]
            node for at, node in enumerate(everybody()) if at not in self.away
        ]
        running = Running(
            grid=grid,
            charter=charter,
            signed=seal,
            folder=self.home.run("r1"),
            register=register,
            clock=Clock(now=lambda: self.time, sleep=self.sleep),
            manner=Manner(**how),
        )
        return running.go(initial())

    def tails(self) -> dict[str, dict[str, bytes]]:
        state = read_checkpoint(self.home.run("r1"), self.terms.plan.digest)
        assert state is not None
        return {
            pool: {name: np.asarray(array).tobytes() for name, array in arrays.items()}
            for pool, arrays in state.pools.items()
        }


def federation(folder: Path, types: str = "aaab", **how: Any) -> Federation:
    home = centre(folder)
    settings = CentreConfig(name="doors", host="fl.example")
    home.settings.write_text(settings.to_toml(), "utf-8")
    sites = SeededSites(home=home, count=4, types=types, **how)
    return Federation(home, sites, signed(home, rounds=6, people=10))


@pytest.mark.parametrize("wait", [0.0, 300.0, WAITING])
def test_a_run_looks_for_its_sites_as_long_as_it_is_told_to(tmp_path: Path, wait: float) -> None:
    it = federation(tmp_path)
    it.away = {1, 2}
    paused = it.go(wait=wait)
    assert (paused.state, paused.round, paused.wait) == ("paused", 0, wait)
    assert "2 sites are connected, the cohort minimum is 3" in paused.message
    assert f"None came within {wait:.0f} s, and a longer --wait" in paused.message
    assert it.time == 1000.0 + wait
    assert not read_rounds(it.home.run("r1"))


def test_sites_that_come_in_time_are_taken(tmp_path: Path) -> None:
    it = federation(tmp_path)
    it.away = {1, 2}
    it.then = lambda time: it.away.clear() if time >= 1240 else None
    assert it.go(wait=300.0).state == "done"
    assert it.time == 1240.0


def test_how_long_it_looks_can_be_read_while_it_does(tmp_path: Path) -> None:
    it, seen = federation(tmp_path), []
    it.away = {1, 2}
    it.then = lambda time: seen.append(rounds_command(it.home, "r1")["wait"])
    it.go(wait=120.0)
    assert seen == [120.0, 120.0]
    assert status_command(it.home, NOW)["runs"][0]["wait"] == 120.0


@pytest.mark.parametrize(("wait", "asked"), [(10.0, LEAST), (600.0, 600.0), (9000.0, 3600.0)])
def test_a_site_that_says_nothing_is_not_waited_for_longer(
    tmp_path: Path, wait: float, asked: float
) -> None:
    it, limits = federation(tmp_path), dict[str, float | None]()
    grid = it.sites.grid()
    answered = grid.send_and_receive

    def exchange(messages: Iterable[Message], *, timeout: float | None = None) -> Any:
        asked = list(messages)
        limits[asked[0].metadata.message_type] = timeout
        return answered(asked, timeout=timeout)

    grid.send_and_receive = exchange  # type: ignore[method-assign]
    it.sites.grid = lambda connected=None: grid  # type: ignore[method-assign]
    assert it.go(wait=wait).state == "done"
    assert limits == {"query.describe": asked, "query.accept": asked, "train": 3600.0}


def test_a_round_that_took_longer_than_the_wait_and_failed_is_tried_again(tmp_path: Path) -> None:
    it, lost = federation(tmp_path), [3600.0]
    grid = it.sites.grid()
    answered = grid.send_and_receive

    def exchange(messages: Iterable[Message], *, timeout: float | None = None) -> Any:
        asked = list(messages)
        if asked[0].metadata.message_type == "train" and lost:
            it.time += lost.pop()
            return []
        return answered(asked, timeout=timeout)

    grid.send_and_receive = exchange  # type: ignore[method-assign]
    it.sites.grid = lambda connected=None: grid  # type: ignore[method-assign]
    assert it.go(wait=300.0).state == "done"
    lost += [3600.0] * 9  # and never more than that: it ends
    it.home.run("r1").joinpath("checkpoint.safetensors").unlink()
    assert it.go(wait=300.0).state == "paused"
    assert len(lost) == 7


def test_a_pool_that_is_lost_in_a_round_pauses_the_run_and_its_return_ends_it(
    tmp_path: Path,
) -> None:
    whole = federation(tmp_path / "whole")
    assert whole.go().state == "done"
    mute = {LOST}
    it = federation(tmp_path / "it", answers=lambda site, number: number < 5 or site not in mute)
    paused = it.go()
    assert (paused.state, paused.round, paused.reason) == ("paused", 4, "COHORT_TOO_SMALL")
    assert "round 5: no site of b takes part any more: site-3 (admitted)" in paused.message
    assert "--without b goes on with the others" in paused.message
    assert "site-3: NOT_READY" in paused.message
    assert "site-0" not in paused.message
    mute.clear()
    assert it.go(resume=True).state == "done"
    assert it.tails() == whole.tails()


def test_a_pool_that_is_gone_when_a_run_is_resumed_pauses_it_as_well(tmp_path: Path) -> None:
    here = {"a"}
    it = federation(tmp_path, answers=lambda site, number: number < 5 or "a" in here)
    here.clear()
    assert it.go(wait=0.0).round == 4
    here.add("a")
    it.away = {LOST}
    paused = it.go(resume=True, wait=0.0)
    assert (paused.state, paused.round) == ("paused", 4)
    assert "enlisting: no site of b takes part any more: site-3 (admitted)" in paused.message
    assert "site-3: not connected" in paused.message


def test_who_says_so_goes_on_without_a_pool_and_the_others_end_as_they_would(
    tmp_path: Path,
) -> None:
    whole = federation(tmp_path / "whole")
    whole.go()
    it = federation(tmp_path / "it", answers=lambda site, number: number < 5 or site != LOST)
    assert it.go(wait=0.0).round == 4
    stood = it.tails()["b"]
    it.away = {LOST}
    assert it.go(resume=True, without=frozenset("a"), wait=0.0).state == "paused"
    assert it.go(resume=True, without=frozenset("b"), wait=0.0).state == "done"
    assert it.tails()["a"] == whole.tails()["a"]
    assert it.tails()["b"] == stood  # as far as it had come


def test_a_pool_that_never_began_is_nobodys_loss(tmp_path: Path) -> None:
    it = federation(tmp_path)
    it.away = {LOST}
    assert it.go(wait=0.0).state == "done"
    assert set(it.tails()) == {"a"}


def test_too_few_sites_are_told_as_such_and_not_as_lost_pools(tmp_path: Path) -> None:
    it = federation(tmp_path, types="aabb", answers=lambda site, number: number < 5 or site < 2)
    paused = it.go(wait=0.0)
    assert "2 sites answered, the cohort minimum is 3" in paused.message


@pytest.mark.parametrize(
    ("options", "exit_code", "told"),
    [
        (["--wait", "soon"], 2, "such as 30d"),
        (["--without", "z"], 1, "no site has the camera type"),
    ],
)
def test_what_nobody_can_mean_is_told_before_anything_starts(
    tmp_path: Path, options: list[str], exit_code: int, told: str
) -> None:
    it = federation(tmp_path)
    ran = CliRunner().invoke(main, ["run", "r1", "--home", str(it.home.folder), *options])
    assert ran.exit_code == exit_code
    assert told in ran.stderr


def test_the_help_says_how_long_a_run_looks_for_sites() -> None:
    told = " ".join(CliRunner().invoke(main, ["run", "--help"]).output.split())
    assert "[default: 15m]" in told and "--without" in told and "--no-follow" in told
    assert WAITING == 15 * 60
