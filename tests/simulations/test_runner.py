"""A whole run is pieces: all rows measured, and the same summary however often it was stopped."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from common.errors import RunError, ScenarioError
from simulations import runner as room
from simulations.arms import Experiment
from simulations.material import Material
from simulations.origin import read_origin
from simulations.pieces import PIECES, SUMMARY, Pieces
from simulations.results import ROWS
from simulations.runner import Run
from simulations.scenario import Scenario
from tests.small_world import TURN, Silent, small_scenario, small_world

SITES = [f"site-{n}" for n in range(6)]


@pytest.fixture(scope="module")
def material() -> Material:
    return small_world()


@pytest.fixture(scope="module")
def whole(material: Material, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return start(material, tmp_path_factory.mktemp("whole")).everything().summary


def start(material: Material, folder: Path, scenario: Scenario | None = None) -> Run:
    return Run(
        scenario=scenario or small_scenario(),
        material=material,
        turns=[TURN],
        folder=folder,
        progress=Silent(),
    )


def test_summary_has_every_row_and_every_site(whole: dict[str, Any]) -> None:
    assert whole["schema"] == 1
    assert (whole["scenario"], whole["seeds"], whole["entropy"]) == ("small", 2, "seeded")
    assert [row["name"] for row in whole["rows"]] == list(ROWS)
    for row in whole["rows"]:
        assert list(row["per_site"]) == SITES
        assert 0 < row["tar_at_far"]["1e-1"] <= 1
        assert row["per_site"]["site-0"]["people"] == 20
        assert row["tar_at_far"]["1e-3"] is None  # too few impostors to say
    epsilon = {row["name"]: row["epsilon"] for row in whole["rows"]}
    assert epsilon == dict.fromkeys(ROWS, 0.0) | {
        "panel": None,
        "private": 8.0,
        "private_secagg": 8.0,
        "nonprivate": None,
        "upper_bound": None,
    }
    assert set(whole["gain"]) == {"private", "private_secagg"}


def test_every_site_spent_what_the_plan_costs_and_the_statement_says_so(
    whole: dict[str, Any],
) -> None:
    assert set(whole["epsilon_spent"]["8"]) == set(SITES)
    for spent in whole["epsilon_spent"]["8"].values():
        assert 7.9 < spent <= 8.0
    for row in ("private", "private_secagg"):
        told = whole["statements"][row]["8"]
        assert told["claim"] == "none (laboratory)"  # seeded noise protects nobody
        assert told["epsilon_if_disjoint"] == pytest.approx(8.0, abs=0.1)
        assert told["development_people"] == 10
    assert whole["turns"] == [{"train": [1, 2, 3], "choose": [4], "report": [5, 6]}]


def test_no_persons_number_reaches_the_summary(whole: dict[str, Any]) -> None:
    def keys(table: Any) -> set[str]:
        if isinstance(table, list):
            return set().union(*map(keys, table)) if table else set()
        if not isinstance(table, dict):
            return set()
        return set(table) | set().union(*map(keys, table.values()))

    assert not {"person", "names", "picture", "features"} & keys(whole)


def test_missing_pieces_are_measured_again_to_the_same_summary(
    material: Material, whole: dict[str, Any], tmp_path: Path
) -> None:
    run = start(material, tmp_path)
    assert run.everything().summary == whole
    written = (tmp_path / SUMMARY).read_bytes()
    assert json.loads(written) == whole
    for gone in sorted((tmp_path / PIECES).glob("fold*.npz"))[::3]:
        gone.unlink()
    (tmp_path / SUMMARY).unlink()
    start(material, tmp_path).everything()
    assert (tmp_path / SUMMARY).read_bytes() == written


def test_run_interrupted_in_the_middle_goes_on(
    material: Material, whole: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[float | None] = []
    federated = Experiment.federated

    def stop(self: Experiment, noise: Any, epsilon: float | None, *more: Any) -> Any:
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(epsilon)
        return federated(self, noise, epsilon, *more)

    with monkeypatch.context() as patch:
        patch.setattr(Experiment, "federated", stop)
        with pytest.raises(KeyboardInterrupt):
            start(material, tmp_path).everything()
    assert not (tmp_path / SUMMARY).exists()
    assert len(list((tmp_path / PIECES).glob("fold*.npz"))) == 6
    assert start(material, tmp_path).everything().summary == whole


def test_more_seeds_and_epsilons_join_a_folder_and_fewer_are_still_answered(
    material: Material, whole: dict[str, Any], tmp_path: Path
) -> None:
    one = start(material, tmp_path, small_scenario(seeds=1)).everything().summary
    assert one["seeds"] == 1
    more = small_scenario(seeds=2, epsilon=(8.0, 1.0))
    both = start(material, tmp_path, more).everything().summary
    assert [r["epsilon"] for r in both["rows"] if r["name"] == "private"] == [8.0, 1.0]
    assert start(material, tmp_path).everything().summary == whole
    assert start(material, tmp_path, small_scenario(seeds=1)).everything().summary == one


def test_pieces_of_another_run_are_not_mixed(material: Material, tmp_path: Path) -> None:
    run = start(material, tmp_path)
    Pieces(tmp_path / PIECES, run.identity)
    others = {
        "scenario": start(material, tmp_path, small_scenario(sites=5)),
        "faces": start(small_world(size=1.1), tmp_path),
        "draws": start(material, tmp_path, small_scenario(draws=51)),
    }
    for other in others.values():
        with pytest.raises(RunError, match="pieces of another run"):
            other.everything()


def test_other_public_people_or_another_tail_are_another_run(
    material: Material, tmp_path: Path
) -> None:
    import dataclasses

    tail = material.tail.then(2 * np.eye(12), np.zeros(12))
    public = dataclasses.replace(material.public, randomised=material.public.randomised + 1)
    run = start(material, tmp_path)
    for change in ({"tail": tail}, {"public": public}):
        other = start(dataclasses.replace(material, **change), tmp_path)  # type: ignore[arg-type]
        assert other.identity != run.identity


def test_run_that_cannot_work_writes_nothing(material: Material, tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="30 people with two pictures cannot fill 40 sites"):
        start(material, tmp_path / "out", small_scenario(sites=40)).everything()
    assert not (tmp_path / "out").exists()


def test_folder_that_cannot_be_written_is_refused_by_name(
    material: Material, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot write to"):
        start(material, tmp_path / "file").everything()


def test_what_is_shared_helps_and_noise_costs(tmp_path: Path) -> None:
    """In a world of shifted cameras: nonprivate >= private at epsilon 8 >= private at 0.2."""
    world = small_world(people=180, size=2.0)
    scenario = small_scenario(sites=15, epsilon=(8.0, 0.2), seeds=2, panel=0)
    summary = start(world, tmp_path, scenario).everything().summary
    tar = {(r["name"], r["epsilon"]): r["tar_at_far"]["1e-2"] for r in summary["rows"]}
    assert tar["nonprivate", None] >= tar["private", 8.0] - 0.005
    assert tar["private", 8.0] > tar["private", 0.2]
    assert tar["private_secagg", 8.0] >= tar["private", 8.0] - 0.005
    assert tar["nonprivate", None] > tar["local", 0.0] > tar["public", 0.0]


def test_own_tuning_is_a_part_of_every_arm_that_sees_own_people(tmp_path: Path) -> None:
    world = small_world(people=120, size=2.0)
    tar = []
    for own_tuning in (False, True):
        scenario = small_scenario(sites=3, seeds=1, own_tuning=own_tuning, panel=5)
        summary = start(world, tmp_path / str(own_tuning), scenario).everything().summary
        tar.append({row["name"]: row["tar_at_far"]["1e-1"] for row in summary["rows"]})
    without, tuned = tar
    assert {name for name in ROWS if without[name] == tuned[name]} == {"base", "public"}


def test_constants_of_the_estimator_reach_every_arm_that_estimates(
    material: Material, tmp_path: Path
) -> None:
    shown = {}
    for change in ({}, {"ridge": 100.0}, {"own_shrink": 0.1}):
        scenario = small_scenario(seeds=1, upper_bound=False, **change)
        made = start(material, tmp_path / str(change), scenario).everything().first.local()
        shown[str(change)] = made.tails[0].hash
    assert len(set(shown.values())) == 3


def test_panel_of_nobody_has_no_row(material: Material, tmp_path: Path) -> None:
    rows = list(start(material, tmp_path, small_scenario(panel=0))._rows())
    assert "panel" not in {name for name, *_ in rows}
    assert room.SUMMARY == "summary.json"


def test_gradients_after_the_moments_cost_no_more_than_the_budget(
    material: Material, tmp_path: Path
) -> None:
    scenario = small_scenario(seeds=1, gradient_share=0.3, gradient_rounds=2)
    summary = start(material, tmp_path, scenario).everything().summary
    rows = {row["name"]: row for row in summary["rows"]}
    assert rows["private"]["tar_at_far"]["1e-1"] > 0.5 * rows["base"]["tar_at_far"]["1e-1"]
    for spent in summary["epsilon_spent"]["8"].values():
        assert 7.9 <= spent <= 8.0
    told = summary["statements"]["private"]["8"]
    assert [m["kind"] for m in told["mechanisms"]] == ["mean", "scatter", "gradient"]


def test_summary_says_what_a_report_draws(whole: dict[str, Any]) -> None:
    assert set(whole["training_people"]) == set(SITES)
    assert all(people == 5 for people in whole["training_people"].values())
    for row in ("private", "private_secagg"):
        sent = whole["bytes"][row]["8"]
        assert set(sent) == set(SITES)
        assert all(up > 0 and down > 0 for up, down in sent.values())
        assert [r["sites"] for r in whole["rounds"][row]["8"]] == [6, 6]
        assert len(whole["gain_by_seed"][row]["8"]) == 2
    assert "base" not in whole["bytes"]
    assert whole["settings"]["sites"] == 6
    assert len(whole["rows"][0]["fnmr"]) == len(whole["fmr_grid"])


def test_many_sites_are_judged_by_a_few_and_all_are_counted(
    material: Material, tmp_path: Path
) -> None:
    scenario = small_scenario(seeds=1, judged=3, panel=0)
    summary = start(material, tmp_path, scenario).everything().summary
    assert len(summary["sites"]) == 3
    assert len(summary["rows"][0]["per_site"]) == 3
    assert set(summary["epsilon_spent"]["8"]) == set(SITES)
    assert set(summary["training_people"]) == set(SITES)


def test_folder_says_whether_the_run_ended(material: Material, tmp_path: Path) -> None:
    origin = read_origin(tmp_path)
    assert origin is None
    start(material, tmp_path, small_scenario(seeds=1)).everything()
    origin = read_origin(tmp_path)
    assert origin is not None
    assert origin["started"] <= origin["finished"]
    assert origin["pieces"] == origin["arms"] == len(ROWS)
