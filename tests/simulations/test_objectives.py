"""A plug-in objective runs only after it has shown that it mixes no people; the page says how."""

import dataclasses
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from client.policy import SitePolicy
from client.privacy.objective import OBJECTIVES, BagContrast, Factory, register_objective
from common.errors import MascaronError, PlanError, ScenarioError
from common.privacy.plan import GradientMechanism, PrivacyPlan
from simulations.objectives import check_objective, use_objective
from simulations.runner import Run
from simulations.scenario import load_scenario
from tests.small_world import TURN, Silent, small_scenario, small_world

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "objective.md"
NAME = "centre_pull:CentrePull"


@pytest.fixture
def plugged(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A folder where Python finds modules; registry and modules are as before afterwards."""
    monkeypatch.syspath_prepend(str(tmp_path))
    objectives, modules = dict(OBJECTIVES), set(sys.modules)
    yield tmp_path
    OBJECTIVES.clear()
    OBJECTIVES.update(objectives)
    for name in set(sys.modules) - modules:
        if name in ("centre_pull", "mutant"):
            del sys.modules[name]


def documented(language: str) -> str:
    """The first block of ``language`` on the page."""
    found = re.search(rf"```{language}\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert found
    return found[1]


def own_only(module: nn.Module, bag: Tensor) -> Tensor:
    unit = functional.normalize(module(bag))
    return (unit - unit.mean(dim=0)).square().sum()


def with_loss(loss: Any) -> Factory:
    return lambda module, negatives, scale: loss


class RemembersPeople:
    """MUTANT: the people seen so far in the step are negatives."""

    def __init__(self, module: nn.Module, negatives: Tensor, scale: float) -> None:
        self.pool, self.scale = negatives, scale

    def __call__(self, module: nn.Module, bag: Tensor) -> Tensor:
        loss = BagContrast(module, self.pool, self.scale)(module, bag)
        self.pool = torch.cat([self.pool, bag])
        return loss


class RemembersSteps:
    """MUTANT: a memory bank that outlives the step."""

    seen = 0.0

    def __init__(self, module: nn.Module, negatives: Tensor, scale: float) -> None: ...

    def __call__(self, module: nn.Module, bag: Tensor) -> Tensor:
        type(self).seen += float(bag.mean())
        return own_only(module, bag) * (1 + self.seen)


def rolls_dice(module: nn.Module, bag: Tensor) -> Tensor:
    return own_only(module, bag + torch.randn_like(bag))


def trains_by_itself(module: nn.Module, bag: Tensor) -> Tensor:
    with torch.no_grad():
        for p in module.parameters():
            p.mul_(1.01)
    return own_only(module, bag)


MUTANTS: dict[str, tuple[Factory, str]] = {
    "not a scalar": (with_loss(lambda m, bag: m(bag)), "not a scalar"),
    "a number": (with_loss(lambda m, bag: 1.0), "not a scalar"),
    "not finite": (with_loss(lambda m, bag: own_only(m, bag) / 0), "not finite"),
    "bad for one picture": (
        with_loss(lambda m, bag: own_only(m, bag) / (len(bag) - 1)),
        "not finite for 1 pictures",
    ),
    "gradient not finite": (
        with_loss(lambda m, bag: torch.sqrt((m(bag) * 0).sum())),
        "gradient is not finite",
    ),
    "nothing to learn": (with_loss(lambda m, bag: bag.sum()), "does not depend on the model"),
    "dice": (with_loss(rolls_dice), "not deterministic"),
    "memory of people": (RemembersPeople, "one person's leaving changes another"),
    "memory of steps": (RemembersSteps, "not deterministic"),
    "trains": (with_loss(trains_by_itself), "changes the model by itself"),
    "raises": (with_loss(lambda m, bag: m(bag[:, :3]).sum()), "fails with RuntimeError"),
}


@pytest.mark.parametrize("name", sorted(OBJECTIVES))
def test_shipped_objectives_pass_the_check(name: str) -> None:
    check_objective(OBJECTIVES[name])


@pytest.mark.parametrize("how", MUTANTS)
def test_a_bad_plug_in_is_refused_with_the_property_it_fails(how: str) -> None:
    factory, word = MUTANTS[how]
    with pytest.raises(ScenarioError, match=word):
        check_objective(factory)


def test_the_example_on_the_page_runs_a_whole_scenario(plugged: Path) -> None:
    (plugged / "centre_pull.py").write_text(documented("python"), "utf-8")
    (plugged / "pull.toml").write_text(documented("toml"), "utf-8")
    scenario = load_scenario(str(plugged / "pull.toml"))
    assert scenario.objective == NAME
    use_objective(scenario.objective)
    summaries = {
        name: run_with(name, plugged / name.partition(":")[0])
        for name in ("contrast", scenario.objective)
    }
    rows = {
        name: {
            row["name"]: [row[key] for key in ("tar_at_far", "ci95", "per_site")]
            for row in summary["rows"]
        }
        for name, summary in summaries.items()
    }
    assert rows[NAME]["local"] == rows["contrast"]["local"]  # no gradients there
    assert rows[NAME]["nonprivate"] != rows["contrast"]["nonprivate"]


def run_with(objective: str, folder: Path) -> dict[str, Any]:
    scenario = small_scenario(
        seeds=1, gradient_share=0.3, gradient_rounds=2, objective=objective, upper_bound=False
    )
    run = Run(
        scenario=scenario,
        material=small_world(),
        turns=[TURN],
        folder=folder,
        progress=Silent(),
    )
    return run.everything().summary


def test_a_plug_in_that_was_not_checked_is_refused_by_the_agents(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(MascaronError, match="0 sites answered"):
        run_with("unchecked:Objective", tmp_path)
    assert "Train refused: PLAN_REFUSED" in caplog.text


def test_a_bad_plug_in_is_never_registered(plugged: Path) -> None:
    source = "def Mutant(module, negatives, scale):\n    return lambda m, bag: m(bag)\n"
    (plugged / "mutant.py").write_text(source, "utf-8")
    with pytest.raises(ScenarioError, match="'mutant:Mutant' is refused: its loss is not a scalar"):
        use_objective("mutant:Mutant")
    assert "mutant:Mutant" not in OBJECTIVES


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("nowhere_at_all:Loss", "cannot be imported"),
        ("math:Loss", "cannot be imported"),
        ("math:pi", "not a class or function"),
    ],
)
def test_a_plug_in_that_is_not_there_is_told(name: str, word: str) -> None:
    with pytest.raises(ScenarioError, match=word):
        use_objective(name)


@pytest.mark.parametrize("name", ["compact", "mine", ""])
def test_nobody_takes_the_name_of_a_shipped_objective(name: str) -> None:
    with pytest.raises(PlanError, match=r"package\.module:name"):
        register_objective(name, BagContrast)


@pytest.mark.parametrize("name", ["mine", "a.b", "a:b:c", "a b:c", ":c", "a:", "../a:b"])
def test_a_scenario_refuses_what_is_no_name_of_an_objective(name: str) -> None:
    with pytest.raises(ScenarioError, match="no objective"):
        small_scenario(gradient_share=0.5, objective=name)


def test_an_objective_that_nothing_would_use_is_refused() -> None:
    with pytest.raises(ScenarioError, match="gradient_share above 0"):
        small_scenario(objective="compact")


def test_only_the_laboratory_can_register_a_plug_in() -> None:
    callers = {
        path.relative_to(ROOT).as_posix()
        for room in ("client", "common", "server", "simulations")
        for path in (ROOT / room).rglob("*.py")
        if "register_objective(" in path.read_text("utf-8")
    }
    laboratory = {"simulations/objectives.py", "simulations/evidence/canaries.py"}
    assert callers == {"client/privacy/objective.py", *laboratory}


def test_an_agent_knows_the_shipped_objectives_and_loads_no_other() -> None:
    code = """
import sys
import client.agent.main
import client.agent.gradients
from client.privacy.objective import OBJECTIVES
from common.privacy.plan import SHIPPED_OBJECTIVES
assert sorted(OBJECTIVES) == sorted(SHIPPED_OBJECTIVES), OBJECTIVES
assert not [m for m in sys.modules if m.split(".")[0] == "simulations"]
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_site_refuses_a_plan_with_a_plug_in_before_pricing_it() -> None:
    policy = SitePolicy(epsilon=8.0, delta=1e-4)
    mechanism = GradientMechanism(sigma=1.0, clip=1.0, rate=0.2, rounds=1, objective=NAME)
    plan = PrivacyPlan(mechanisms=(mechanism,), people=10, delta=1e-4, trunk="t")
    with pytest.raises(PlanError, match="centre_pull:CentrePull' is not allowed at this site"):
        policy.check(PrivacyPlan.from_json(plan.to_json()), "t")
    shipped = dataclasses.replace(mechanism, objective="compact")
    policy.check(dataclasses.replace(plan, mechanisms=(shipped,)), "t")
