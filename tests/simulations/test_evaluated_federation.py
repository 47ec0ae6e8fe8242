"""An evaluation end to end: what the centre tells of three sites is what their people are like."""

import dataclasses
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from client.agent.people import SitePeople
from common.models.tail import BIAS, WEIGHT, Tail
from common.moments.matching import site_tail
from common.moments.names import THRESHOLD, asked_name, evaluation_sum
from common.moments.own import own_part
from common.moments.posterior import shared_parts
from common.moments.reference import make_reference
from common.privacy.accountant import epsilon
from common.privacy.plan import (
    EvaluationMechanism,
    GradientMechanism,
    MomentMechanism,
    PrivacyPlan,
)
from server.moments import pools_of
from server.monitor import PublicMonitor, rates_of
from server.public import Opening, watched
from server.runs.verdict import verdict
from server.strategies.choice import StrategyChoice
from simulations.federation import Door, Federation, Outcome
from tests.small_world import small_world

WORLD = small_world(48)
REFERENCE = make_reference(WORLD.tail, WORLD.public)
NEGATIVES = WORLD.public.randomised[:, 0]
SIGMA = 1e-4  # so little noise that figures can be laid beside the truth
PICTURES = (1, 2, 3, 6)  # that the people of a site have, in turn


def door(number: int, kind: str) -> Door:
    camera = 0 if kind == "a" else 1
    mine = np.flatnonzero(WORLD.person % 3 == number)
    kept = np.concatenate(
        [
            mine[WORLD.person[mine] == person][: PICTURES[at % len(PICTURES)]]
            for at, person in enumerate(np.unique(WORLD.person[mine]))
        ]
    )
    people = SitePeople(WORLD.features[camera][kept], WORLD.person[kept])
    return Door(name=f"site-{number}", camera_type=kind, people=people, declared_people=16)


def federation(types: str = "aaa", **how: Any) -> Federation:
    doors = [door(number, kind) for number, kind in enumerate(types)]
    told = {"watched": watched(WORLD.public), "reference": REFERENCE, "trunk": WORLD.trunk}
    return Federation(**{"doors": doors, "negatives": NEGATIVES, **told, **how})


def plan(sigma: float = SIGMA, gradients: bool = False, **terms: Any) -> PrivacyPlan:
    thresholds = len(rates_of(WORLD.public.person))
    first, last = (
        EvaluationMechanism(sigma=sigma, thresholds=thresholds, name=name)
        for name in ("before", "after")
    )
    steps = GradientMechanism(sigma=sigma, clip=0.5, rate=1.0, rounds=2, learning_rate=0.3)
    return PrivacyPlan(
        **{
            "mechanisms": (
                first,
                MomentMechanism(kind="mean", name="mean", sigma=sigma, clip=1.2),
                MomentMechanism(kind="scatter", name="scatter", sigma=sigma, clip=0.5),
                *((steps,) if gradients else ()),
                last,
            ),
            "people": 16,
            "delta": 1e-4,
            "trunk": WORLD.trunk,
            "cohort": 3,
            **terms,
        }
    )


def run(folder: Path, asked: PrivacyPlan, types: str = "aaa", **how: Any) -> Outcome:
    initial = Opening(WORLD.tail, REFERENCE).arrays
    return federation(types, **how).run(asked, dict(initial), folder, (3, 1))


def entry(outcome: Outcome, name: str) -> dict[str, Any]:
    [found] = [e for e in outcome.history if e["mechanism"] == name]
    return dict(found["evaluation"])


def shown(outcome: Outcome, name: str, pool: str = "a") -> tuple[Tail, NDArray[np.float32]]:
    """The tail and the thresholds that sites of ``pool`` were asked with."""
    arrays = outcome.pools[pool]
    tail = Tail(*(arrays[asked_name(name, part)] for part in (WEIGHT, BIAS)))
    return tail, arrays[asked_name(name, THRESHOLD)]


def truth(doors: list[Door], tail: Tail, threshold: float) -> dict[str, float]:
    """The means over people that an evaluation estimates, worked out pair by pair."""
    own, public = [], []
    strangers = _units(tail.embed(NEGATIVES))
    for bag in (bag for door in doors for bag in door.people.bags()):
        points = _units(tail.embed(bag))
        public.append((points @ strangers.T >= threshold).mean())
        if len(bag) > 1:
            pairs = (points @ points.T)[np.triu_indices(len(points), 1)]
            own.append((pairs >= threshold).mean())
    return {
        "people": len(public),
        "paired": len(own),
        "own": np.mean(own),
        "public": np.mean(public),
    }  # type: ignore[dict-item]


def _units(points: NDArray[np.float32]) -> NDArray[np.float64]:
    wide = points.astype(np.float64)
    return np.asarray(wide / np.linalg.norm(wide, axis=1, keepdims=True))


@pytest.mark.parametrize("name", ["before", "after"])
def test_the_figures_are_the_means_over_the_sites_people(tmp_path: Path, name: str) -> None:
    outcome = run(tmp_path, plan())
    told = entry(outcome, name)["pools"]["a"]
    tail, thresholds = shown(outcome, name)
    assert told["sites"] == 3
    assert told["public_rates"] == [1e-2, 1e-3][: len(thresholds)]
    for at, threshold in enumerate(thresholds):
        real = truth(federation().doors, tail, float(threshold))
        assert told["people"]["value"] == pytest.approx(real["people"], abs=1e-2)
        assert told["paired"]["value"] == pytest.approx(real["paired"], abs=1e-2)
        assert told["own"][at]["value"] == pytest.approx(real["own"], abs=2e-3)
        assert told["public"][at]["value"] == pytest.approx(real["public"], abs=2e-3)
        assert 0 < told["own"][at]["error"] < 1e-4


def test_what_is_evaluated_is_the_tail_of_a_site_without_own_people(tmp_path: Path) -> None:
    asked = plan()
    outcome = run(tmp_path, asked)
    before, _ = shown(outcome, "before")
    after, thresholds = shown(outcome, "after")
    nobody = own_part(REFERENCE, ())
    assert before.hash == site_tail(REFERENCE, nobody, None).hash
    parts = shared_parts(REFERENCE, pools_of(outcome.pools, asked), {"a": 3})
    assert after.hash == site_tail(REFERENCE, nobody, parts["a"]).hash != before.hash
    found = PublicMonitor(*watched(WORLD.public)).thresholds(after)
    np.testing.assert_array_equal(thresholds, found)
    assert entry(outcome, "after")["tail"] == "of a site without own people"


def test_without_public_statistics_the_shared_tail_is_evaluated(tmp_path: Path) -> None:
    outcome = run(tmp_path, plan(gradients=True), reference=None)
    before, after = (shown(outcome, name)[0] for name in ("before", "after"))
    arrays = outcome.pools["a"]
    assert before.hash == WORLD.tail.hash
    assert after.hash == Tail(arrays[WEIGHT], arrays[BIAS]).hash != before.hash
    assert entry(outcome, "after")["tail"] == "shared"


def test_nothing_of_an_evaluation_enters_the_model(tmp_path: Path) -> None:
    judged = run(tmp_path / "judged", plan(gradients=True))
    alone = plan(gradients=True)
    mechanisms = tuple(m for m in alone.mechanisms if m.kind != "evaluation")
    silent = run(tmp_path / "alone", dataclasses.replace(alone, mechanisms=mechanisms))
    assert set(silent.pools["a"]) < set(judged.pools["a"])
    for name in (WEIGHT, BIAS):  # noise of 1e-4 differs, for it is drawn in another order
        np.testing.assert_allclose(judged.pools["a"][name], silent.pools["a"][name], atol=2e-3)
    scores = [[e["public"] for e in o.history if "public" in e] for o in (judged, silent)]
    assert len(scores[0]) == len(scores[1]) == 2


@pytest.mark.parametrize("noise", ["local", "distributed"])
def test_every_site_pays_for_it_and_only_named_arrays_leave(
    tmp_path: Path, noise: Literal["local", "distributed"]
) -> None:
    asked = plan(3.0, noise=noise, honest_sites=3 if noise == "distributed" else 1)
    outcome = run(tmp_path, asked, secure=noise == "distributed")
    cost = epsilon(asked.events(), 1e-4)
    assert all(spent == pytest.approx(cost, abs=1e-9) for spent in outcome.spent.values())
    names = {name for _, name, _ in outcome.left}
    if noise == "local":
        assert {evaluation_sum("before"), evaluation_sum("after")} < names
    else:
        assert not names  # under masks only


def test_a_secure_sum_tells_the_same_as_single_releases(tmp_path: Path) -> None:
    shared = plan(noise="distributed", honest_sites=3)
    secure, plain = (run(tmp_path / str(s), shared, secure=s) for s in (True, False))
    one, other = (entry(outcome, "after")["pools"]["a"] for outcome in (secure, plain))
    assert one["sites"] == other["sites"] == 3
    assert one["people"]["value"] == pytest.approx(other["people"]["value"], abs=0.05)
    for at in range(len(one["own"])):
        assert one["own"][at]["value"] == pytest.approx(other["own"][at]["value"], abs=5e-3)
        assert one["own"][at]["error"] == pytest.approx(other["own"][at]["error"], rel=1e-2)


def test_each_pool_has_its_own_tail_and_all_together_have_less_noise(tmp_path: Path) -> None:
    outcome = run(tmp_path, plan(0.05), "aab")
    told = entry(outcome, "after")
    assert set(told["pools"]) == {"a", "b"}
    assert shown(outcome, "after", "a")[0].hash != shown(outcome, "after", "b")[0].hash
    assert told["together"]["sites"] == 3
    errors = [told["pools"][pool]["own"][0]["error"] for pool in "ab"]
    assert told["together"]["own"][0]["error"] < min(errors)
    lines = verdict(outcome.history)
    assert any(line.startswith("after, b: at the threshold where 1 % of") for line in lines)
    assert any(line.startswith("gain, all pools: ") for line in lines)


def test_a_robust_rule_says_how_much_more_noise_its_figures_have(tmp_path: Path) -> None:
    plain = entry(run(tmp_path / "plain", plan()), "after")["pools"]["a"]
    median = StrategyChoice(name="fedmedian")
    robust = entry(run(tmp_path / "median", plan(), strategy=median), "after")["pools"]["a"]
    assert robust["people"]["error"] > plain["people"]["error"]


@pytest.mark.slow
def test_the_errors_that_are_told_are_those_that_are_made(tmp_path: Path) -> None:
    asked, off = plan(1.0, people=48), []
    for seed in range(80):
        folder, initial = tmp_path / str(seed), Opening(WORLD.tail, REFERENCE).arrays
        outcome = federation().run(asked, dict(initial), folder, (seed, 9))
        tail, thresholds = shown(outcome, "before")  # the same in every run
        told = entry(outcome, "before")["pools"]["a"]
        real = truth(federation().doors, tail, float(thresholds[0]))
        off += [
            (told["own"][0]["value"] - real["own"]) / told["own"][0]["error"],
            (told["people"]["value"] - real["people"]) / told["people"]["error"],
        ]
    assert np.std(off) == pytest.approx(1.0, abs=0.2)
    assert abs(np.mean(off)) < 0.3
