"""What may be searched over, and what a search file that cannot be meant is told."""

from pathlib import Path
from typing import Any

import pytest

from common.errors import ConfigError, ScenarioError
from simulations.laboratory import AFTER_FEATURES
from simulations.scenario import Scenario
from simulations.tuning.asked import SEARCHES, load_search
from simulations.tuning.space import KNOBS, PUBLIC_ONLY, Between, OneOf, read_space

BASE = Scenario(name="base", sites=3, epsilon=(8.0,))
RIDGE = {"low": 1.0, "high": 100.0, "log": True}
FILE = """name = "mine"
scenario = "demo"
epsilon = 4
[set]
seeds = 2
[space]
ridge = { low = 3, high = 3000, log = true }
own_tuning = [true, false]
"""


def write(folder: Path, text: str) -> str:
    (folder / "mine.toml").write_text(text, "utf-8")
    return str(folder / "mine.toml")


@pytest.mark.parametrize("path", sorted(SEARCHES.glob("*.toml")), ids=lambda path: path.stem)
def test_every_shipped_search_can_be_read(path: Path) -> None:
    asked = load_search(path.stem)
    assert asked.trials and asked.space.knobs and not asked.private


def test_no_knob_moves_a_picture_and_every_one_is_a_setting() -> None:
    assert set(KNOBS) <= AFTER_FEATURES and set(PUBLIC_ONLY) <= set(KNOBS)
    questions = {"epsilon", "delta", "sites", "people", "seeds", "judged", "report_pictures"}
    assert not set(KNOBS) & questions


def test_a_search_file_says_scenario_epsilon_and_space(tmp_path: Path) -> None:
    asked = load_search(write(tmp_path, FILE))
    assert (asked.epsilon, asked.scenario.seeds, asked.scenario.upper_bound) == (4.0, 2, False)
    assert asked.space.knobs["ridge"] == Between(low=3.0, high=3000.0, log=True)
    assert asked.space.knobs["own_tuning"] == OneOf((True, False))
    assert asked.space.default == {"ridge": 300.0, "own_tuning": True}
    assert asked.space.at({"ridge": 5.0, "own_tuning": False}).ridge == 5.0


@pytest.mark.parametrize(
    "table, told",
    [
        ({}, "at least one knob"),
        ({"epsilon": {"low": 1.0, "high": 8.0}}, "unknown key 'epsilon'"),
        ({"ridgee": RIDGE}, "did you mean 'ridge'"),
        ({"ridge": {"low": 10.0, "high": 1.0}}, "low must be below high"),
        ({"ridge": {"low": 0.0, "high": 9.0, "log": True}}, "above 0"),
        ({"ridge": {"low": "1", "high": 9.0}}, "expected low and high"),
        ({"ridge": {"low": 1.0}}, "expected low and high"),
        ({"ridge": {"low": 10.0, "high": 20.0}}, "which is outside"),
        ({"ridge": {"low": -1.0, "high": 20.0}}, "ridge must be in"),
        ({"gradient_rounds": {"low": 5.5, "high": 40}}, "own type"),
        ({"strategy": {"low": 1, "high": 2}}, "list of values"),
        ({"strategy": ["fedavg", "fedavg"]}, "different values"),
        ({"strategy": ["fedavg", "fedadam"]}, "acts on gradients"),
        ({"own_tuning": []}, "list of values"),
    ],
)
def test_a_space_that_cannot_be_meant_is_refused_with_the_knob(table: Any, told: str) -> None:
    with pytest.raises((ConfigError, ScenarioError), match=told):
        read_space(table, BASE, "search.toml")


@pytest.mark.parametrize(
    "old, new, told",
    [
        ("seeds = 2", "epsilon = 2.0", "stands above"),
        ("epsilon = 4", "trials = 0", "trials must be in"),
        ("epsilon = 4", 'noise = "none"', "noise"),
        ('"demo"', '"nothing"', "no scenario"),
        ("seeds = 2", "seeds = 2\nlocal_steps = 3\n", None),
    ],
)
def test_a_search_file_that_cannot_be_meant_is_refused(
    tmp_path: Path, old: str, new: str, told: str | None
) -> None:
    path = write(tmp_path, FILE.replace(old, new))
    if told is None:
        path = write(tmp_path, Path(path).read_text("utf-8").replace("epsilon = 4", NOISE))
        told = "needs a strategy of sums"
    with pytest.raises((ConfigError, ScenarioError), match=told):
        load_search(path)


NOISE = 'epsilon = 4\nnoise = "distributed"'


def test_an_unknown_search_names_those_that_there_are() -> None:
    with pytest.raises(ScenarioError, match="demo, small"):
        load_search("nothing")
