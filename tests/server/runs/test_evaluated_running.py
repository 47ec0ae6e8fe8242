"""A run with an evaluation as an administrator sees it: noted, told in words, paused, resumed."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from common.errors import RunError
from server.charter import load_charter
from server.checkpoint import read_checkpoint
from server.commands.rounds import rounds_command
from server.home import CentreHome
from server.monitor import find_monitor, save_public
from server.runs.manner import Manner
from server.runs.progress import Progress, read_progress
from server.runs.register import open_register
from server.runs.running import Running
from tests.seeded_sites import SeededSites
from tests.small_centre import centre, initial, signed


def federation(folder: Path, **how: Any) -> tuple[CentreHome, SeededSites]:
    home = centre(folder)
    sites = SeededSites(home=home, **how)
    signed(home, people=10, evaluation=0.2)
    rng = np.random.default_rng(1)
    save_public(home.charter("r1"), rng.standard_normal((60, 3)).astype("f4"), np.arange(60))
    return home, sites


def go(home: CentreHome, sites: SeededSites, *, resume: bool = False) -> Progress:
    key, register = open_register(home)
    charter, _, seal = load_charter(home.charter("r1"), key)
    running = Running(
        grid=sites.grid(),
        charter=charter,
        signed=seal,
        folder=home.run("r1"),
        register=register,
        manner=Manner(resume=resume, wait=0.0),
        monitor=find_monitor(home.charter("r1")),
    )
    return running.go(initial())


def test_the_end_of_a_run_says_what_was_found(tmp_path: Path) -> None:
    home, sites = federation(tmp_path)
    told = go(home, sites)
    assert (told.state, told.round) == ("done", 3)
    assert told.message.startswith("after, a: at the threshold where 1 % of public pairs pass: ")
    assert "people at 3 sites" in told.message
    assert read_progress(home.run("r1")) == told  # which `status` shows


def test_rounds_have_the_figures_beside_who_answered(tmp_path: Path) -> None:
    home, sites = federation(tmp_path)
    go(home, sites)
    told = rounds_command(home, "r1")
    last = told["done"][-1]
    assert (last["mechanism"], last["refused"]) == ("after", {})
    assert last["answered"] == ["site-0", "site-1", "site-2"]
    assert last["sent"] > last["received"] > 0
    figures = last["evaluation"]["pools"]["a"]
    assert figures["sites"] == 3
    assert {"people", "paired", "own", "public", "thresholds", "public_rates"} <= set(figures)
    assert "; ".join(told["evaluations"]) == told["message"]


def test_a_run_that_paused_before_its_evaluation_asks_the_same_when_it_goes_on(
    tmp_path: Path,
) -> None:
    here = [0]
    asked = tmp_path / "asked"
    home, sites = federation(
        tmp_path / "home", asked=asked, answers=lambda site, number: site in here or number < 3
    )
    paused = go(home, sites)
    assert (paused.state, paused.round, paused.reason) == ("paused", 2, "COHORT_TOO_SMALL")
    here += [1, 2]
    assert go(home, sites, resume=True).state == "done"
    heard = [line.split() for line in asked.read_text("utf-8").splitlines()]
    assert len({digest for _, number, digest in heard if number == "3"}) == 1
    assert {site for site, number, _ in heard if number == "3"} == {"0", "1", "2"}


def test_a_run_whose_public_people_are_gone_says_so_and_charges_nobody(tmp_path: Path) -> None:
    home, sites = federation(tmp_path / "home", asked=tmp_path / "asked")
    (home.charter("r1") / "public.safetensors").unlink()
    with pytest.raises(RunError, match="public people beside the charter"):
        go(home, sites)
    assert not (tmp_path / "asked").exists()
    key, _ = open_register(home)
    charter, _, _ = load_charter(home.charter("r1"), key)
    assert read_checkpoint(home.run("r1"), charter.plan.digest) is None
