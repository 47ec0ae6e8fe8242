"""A scenario says what it means, or is refused with file, key and the nearest thing there is."""

from pathlib import Path

import pytest

from common.errors import ConfigError, ScenarioError
from simulations.points import load_sweep
from simulations.scenario import SCENARIOS, Scenario, load_scenario, override

SHIPPED = sorted(path.stem for path in SCENARIOS.glob("*.toml"))


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_scenarios_load_with_their_cameras(name: str) -> None:
    scenario = load_scenario(name)
    assert scenario.name == name
    assert len({camera.name for camera in scenario.camera_list()}) >= 2
    assert scenario.public_camera().operations


def test_scenarios_of_the_issue_are_there() -> None:
    assert {"cameras", "demo", "fleet"} <= set(SHIPPED)
    assert load_scenario("cameras").sites == len(load_scenario("cameras").camera_list()) == 4
    assert load_scenario("fleet").sites == 64
    assert load_scenario("fleet").seeds >= 5


def test_a_sweep_given_as_a_scenario_and_the_reverse_are_told(tmp_path: Path) -> None:
    sweep = write(tmp_path, 'name = "x"\nscenario = "demo"\n[axes]\nsites = [2]\n')
    with pytest.raises(ScenarioError, match="use `mascaron-lab sweep`"):
        load_scenario(str(sweep))
    scenario = write(tmp_path, 'name = "x"\nsites = 2\n')
    with pytest.raises(ScenarioError, match="use `mascaron-lab run`"):
        load_sweep(str(scenario))


def test_unknown_scenario_lists_those_there_are() -> None:
    with pytest.raises(ScenarioError, match=r"no scenario 'fleat'; there are: cameras,.*fleet"):
        load_scenario("fleat")


def test_misspelt_key_is_pointed_out_with_its_file(tmp_path: Path) -> None:
    path = write(tmp_path, 'name = "x"\nsites = 4\nsees = 3\n')
    with pytest.raises(ConfigError, match=r"mine\.toml: unknown key 'sees'; did you mean 'seeds'"):
        load_scenario(str(path))


BAD = {
    "sites = 0": "sites must be in",
    "sites = -3": "sites must be in",
    "sites = 100000000000000000000000": "sites must be in",
    "sites = 4\nseeds = 1001": "seeds",
    "sites = 4\ndraws = 1000000": "draws",
    "sites = 4.5": "sites: expected int",
    'sites = "4"': "sites: expected int",
    "sites = true": "sites: expected int",
    "sites = 4\nseeds = 0": "seeds",
    "sites = 4\nviews = 0": "views",
    "sites = 4\nsimulated_views = 0": "simulated_views",
    "sites = 4\nsimulated_cameras = 0": "simulated_cameras",
    "sites = 4\npublic_steps = -1": "public_steps",
    "sites = 4\npanel = -1": "panel",
    "sites = 4\nreport_pictures = 1": "report_pictures",
    "sites = 4\ndraws = 10": "draws",
    "sites = 4\ndelta = 0.0": "delta",
    "sites = 4\ndelta = 0.5": "delta",
    "sites = 4\ndelta = nan": "delta",
    "sites = 4\nepsilon = []": "epsilon",
    "sites = 4\nepsilon = [0.0]": "epsilon",
    "sites = 4\nepsilon = [-1.0]": "epsilon",
    "sites = 4\nepsilon = [inf]": "epsilon",
    "sites = 4\nepsilon = [nan]": "epsilon",
    "sites = 4\nepsilon = 8.0": "epsilon: expected a list",
    "": "missing sites",
    "sites = ": "cannot read",
}


@pytest.mark.parametrize("body", BAD)
def test_bad_value_is_refused_with_file_and_key(tmp_path: Path, body: str) -> None:
    path = write(tmp_path, f'name = "x"\n{body}\n')
    with pytest.raises(ConfigError, match=BAD[body]) as caught:
        load_scenario(str(path))
    assert "mine.toml" in str(caught.value)


@pytest.mark.parametrize("name", ["", "../evil", "a/b", ".hidden", "a b", "x" * 65])
def test_name_that_is_no_folder_name_is_refused(name: str) -> None:
    with pytest.raises(ScenarioError, match="name must be"):
        Scenario(name=name, sites=4)


def test_override_changes_what_is_given_and_checks_it_again() -> None:
    scenario = Scenario(name="x", sites=4)
    assert override(scenario, sites=None, seeds=2).seeds == 2
    assert override(scenario, sites=None).sites == 4
    with pytest.raises(ScenarioError, match="epsilon"):
        override(scenario, epsilon=(8.0, -1.0))


def test_no_camera_means_pictures_as_they_are() -> None:
    assert Scenario(name="x", sites=4, cameras="none").camera_list() == ()


def test_unknown_cameras_list_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"no cameras 'for\.toml'; there are: .*four\.toml"):
        Scenario(name="x", sites=4, cameras="for.toml").camera_list()
    with pytest.raises(ScenarioError, match="no cameras"):
        Scenario(name="x", sites=4, public_cameras=str(tmp_path / "no.toml")).public_camera()


def write(folder: Path, text: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(text, "utf-8")
    return path


def test_numbers_of_invented_people_are_checked(tmp_path: Path) -> None:
    path = tmp_path / "few.toml"
    path.write_text('name = "few"\nsites = 2\n[invented]\npeople = 7\n', "utf-8")
    with pytest.raises(ScenarioError, match=r"\[?invented.*people must be at least 8"):
        load_scenario(str(path))
