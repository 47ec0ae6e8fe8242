"""Every strategy runs a whole federation, gradients included, in pools and all together."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from common.errors import ConfigError, ScenarioError
from common.moments.names import noise_name
from common.moments.reference import Reference, make_reference
from server.charter import load_charter
from server.runs.register import laboratory_key
from server.strategies.choice import NAMES
from simulations.arms import Experiment
from simulations.material import Material
from simulations.runner import Run
from simulations.sites import check_people, open_sites
from tests.small_world import TURN, Silent, small_scenario, small_world

POOLED = {"camera_type": 14, "all": 7}  # enough sites for bulyan in every pool of two cameras


@pytest.fixture(scope="module")
def material() -> Material:
    return small_world(people=90, cameras=2)


@pytest.fixture(scope="module")
def reference(material: Material) -> Reference:
    return make_reference(material.tail, material.public)


def told(name: str, **changes: Any) -> dict[str, Any]:
    prox = {"proximal": 20.0} if name == "fedprox" else {}
    steps = {"gradient_share": 0.5, "gradient_rounds": 2, "local_steps": 2}
    return {"strategy": name, **steps, **prox, **changes}


def experiment(material: Material, reference: Reference, **changes: Any) -> Experiment:
    scenario = small_scenario(**changes)
    return Experiment(
        scenario=scenario,
        material=material,
        reference=reference,
        public=material.tail,
        sites=open_sites(material, scenario, TURN, 0),
        seed=(0, 0),
    )


@pytest.mark.parametrize("pooling", sorted(POOLED))
@pytest.mark.parametrize("name", NAMES)
def test_every_strategy_runs_a_whole_federation(
    material: Material, reference: Reference, tmp_path: Path, name: str, pooling: str
) -> None:
    settings = told(name, pooling=pooling, sites=POOLED[pooling])
    ran = experiment(material, reference, **settings)
    arm = ran.federated("none", None, tmp_path)
    assert load_charter(tmp_path, laboratory_key(tmp_path))[0].strategy.name == name
    assert arm.outcome is not None
    pools = arm.outcome.pools
    assert set(pools) == ({"all"} if pooling == "all" else {"camera-0", "camera-1"})
    for arrays in pools.values():
        assert not np.array_equal(arrays["tail.weight"], material.tail.weight)
        assert (arrays[noise_name("scatter")] > 1) == (name in NAMES[4:])
    for tail in arm.tails:
        assert np.isfinite(tail.weight).all()


def test_strategies_of_one_plan_end_elsewhere(material: Material, reference: Reference) -> None:
    ends = {}
    for name in sorted(set(NAMES) - {"fedprox"}):  # whose plan is another one
        ran = experiment(material, reference, **told(name, pooling="all", sites=7))
        outcome = ran.federated("none", None).outcome
        assert outcome is not None
        ends[name] = outcome.pools["all"]["tail.weight"].tobytes()
    assert len(set(ends.values())) == len(ends)


def test_a_strategy_that_needs_more_sites_is_refused_before_anything_is_measured(
    material: Material,
) -> None:
    scenario = small_scenario(strategy="krum", sites=9)
    with pytest.raises(ScenarioError, match=r"krum with malicious = 1 needs 5 sites .* has 4"):
        check_people(material, scenario, [TURN])
    check_people(material, small_scenario(strategy="krum", sites=9, pooling="all"), [TURN])


def test_a_robust_strategy_has_no_row_under_shared_noise(
    material: Material, reference: Reference, tmp_path: Path
) -> None:
    scenario = small_scenario(strategy="fedmedian", seeds=1, upper_bound=False, panel=0)
    run = Run(
        scenario=scenario, material=material, turns=[TURN], folder=tmp_path, progress=Silent()
    )
    summary = run.everything().summary
    rows = [row["name"] for row in summary["rows"]]
    assert rows == ["base", "public", "local", "private", "nonprivate"]
    assert set(summary["statements"]) == {"private"}
    with pytest.raises(ConfigError, match="compares what single sites release"):
        experiment(material, reference, strategy="fedmedian").federated("distributed", 8.0)
