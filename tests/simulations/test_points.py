"""A sweep's file becomes points, or one line that names the file, the point and the mistake."""

from pathlib import Path

import pytest

from common.errors import ConfigError, ScenarioError
from simulations.points import SWEEPS, load_sweep
from tests.small_laboratory import write_sweep

HEAD = 'name = "s"\nscenario = "base.toml"\n'


def test_axes_are_multiplied_out_and_points_by_hand_follow(tmp_path: Path) -> None:
    text = HEAD + "[set]\nseeds = 3\n[axes]\nsites = [2, 4]\npeople = [5, 6]\n"
    text += "[[point]]\nsites = 9\nseeds = 1\n"
    asked = load_sweep(write_sweep(tmp_path, text))
    labels = [point.label for point in asked.points]
    assert labels == [
        *("sites=2, people=5", "sites=2, people=6", "sites=4, people=5", "sites=4, people=6"),
        "sites=9, seeds=1",
    ]
    assert [point.scenario.seeds for point in asked.points] == [3, 3, 3, 3, 1]
    assert asked.points[3].scenario.people == 6
    assert {point.scenario.draws for point in asked.points} == {50}  # of the file beside it


def test_the_same_scenario_is_one_point_however_often_it_is_asked_for(tmp_path: Path) -> None:
    text = HEAD + "[axes]\nsites = [2, 2, 3]\n[[point]]\nsites = 3\n"
    asked = load_sweep(write_sweep(tmp_path, text))
    assert [point.label for point in asked.points] == ["sites=2", "sites=3"]


def test_an_epsilon_is_a_list_of_one_and_a_list_is_one_value(tmp_path: Path) -> None:
    text = HEAD + "[axes]\nepsilon = [8, 2.0, [8.0, 1.0]]\n"
    asked = load_sweep(write_sweep(tmp_path, text))
    assert [point.scenario.epsilon for point in asked.points] == [(8.0,), (2.0,), (8.0, 1.0)]


def test_every_shipped_sweep_is_consistent() -> None:
    shipped = sorted(path.stem for path in SWEEPS.glob("*.toml"))
    assert "small" in shipped
    for name in shipped:
        assert load_sweep(name).points


BAD = {
    "value out of range": ("[axes]\nsites = [2, 0]\n", ["[point sites=0]:", "sites must be in"]),
    "value of another type": (
        "[axes]\nsites = [2, 2.5]\n",
        ["[point sites=2.5] sites: expected int"],
    ),
    "unknown axis": ("[axes]\nsede = [1]\n", ["[point sede=1]:", "'sede'", "'seeds'"]),
    "unknown setting": ("[set]\nsede = 1\n[axes]\nsites = [2]\n", ["'sede'", "'seeds'"]),
    "unknown table": ("[axis]\nsites = [2]\n", ["unknown key 'axis'", "'axes'"]),
    "axis without values": ("[axes]\nsites = []\n", ["[axes] sites", "list of values"]),
    "axis that is no list": ("[axes]\nsites = 2\n", ["[axes] sites", "list of values"]),
    "point that is no table": ("point = [1]\n", ["[[point]]"]),
    "set that is no table": ("set = 1\n[axes]\nsites = [2]\n", ["table [set]"]),
    "nothing to do": ("", ["neither [axes] nor a [[point]]"]),
    "no TOML": ("[axes\n", ["cannot read"]),
    "objective without gradients": (
        '[axes]\nobjective = ["compact"]\n',
        ["[point objective=compact]:", "gradient_share above 0"],
    ),
}


@pytest.mark.parametrize("how", BAD)
def test_what_is_wrong_with_a_sweep_is_told_with_file_and_point(tmp_path: Path, how: str) -> None:
    text, words = BAD[how]
    with pytest.raises(ConfigError) as caught:
        load_sweep(write_sweep(tmp_path, HEAD + text))
    for word in ("sweep.toml", *words):
        assert word in str(caught.value)


def test_too_many_points_are_refused(tmp_path: Path) -> None:
    axes = "".join(f"{key} = [{', '.join(map(str, range(2, 32)))}]\n" for key in ("sites", "panel"))
    text = HEAD + "[axes]\n" + axes + "people = [2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]\n"
    with pytest.raises(ScenarioError, match="10800 points, more than 10000"):
        load_sweep(write_sweep(tmp_path, text))


def test_an_unknown_sweep_or_scenario_lists_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"no sweep 'smal'; there are: .*small"):
        load_sweep("smal")
    text = HEAD.replace("base.toml", "fleat") + "[axes]\nsites = [2]\n"
    with pytest.raises(ScenarioError, match=r"no scenario 'fleat'; there are: .*fleet"):
        load_sweep(write_sweep(tmp_path, text))
