"""The bench of private heads compares what it says, on material small enough to look at."""

import dataclasses

import numpy as np
import pytest
import torch

from client.agent.labels import SiteLabels, labels_of
from common.errors import ConfigError
from common.faces.crops import StoredCrops
from common.faces.faceset import FaceSet
from common.heads.head import PictureLabels
from common.privacy.plan import GradientMechanism
from server.heads import HeadsRequest, Pupils, train_public
from server.runs.pacing import paced
from server.runs.reading import chosen_of
from simulations.arms import Experiment, with_heads
from simulations.benchmarks.private_heads import _pooled, main, row
from simulations.benchmarks.private_heads_arena import Arena
from simulations.evaluation import Jury
from simulations.sites import open_sites, report_pictures
from tests.small_world import TURN, small_scenario, small_world


@pytest.fixture(scope="module")
def arena() -> Arena:
    """Whoever's first number is large wears glasses; ages rise along the second one."""
    world = small_world()
    scenario = small_scenario(gradient_share=0.5, gradient_rounds=2, seeds=1)
    public = world.public
    seen = public.randomised[:, 0]
    said = (seen[:, :1] > 0).astype(np.int8)
    labels = PictureLabels(
        attributes=torch.from_numpy(said),
        age=torch.from_numpy(np.clip(40 + 10 * seen[:, 1], 16, 89)),
    )
    pupils = Pupils(
        trunk=world.trunk, features=seen, person=public.person, labels=labels, names=("glasses",)
    )
    made, _ = train_public(pupils, HeadsRequest(kinds=("attributes", "age")))
    own = world.features[0]
    faces = FaceSet(
        source=StoredCrops(np.zeros((len(own), 112, 112, 3), np.uint8)),
        person=world.person,
        names=tuple(str(n) for n in range(int(world.person.max()) + 1)),
        attributes=(own[:, :1] > 0).astype(np.int8),
        attribute_names=("glasses",),
        age=np.clip(40 + 10 * own[:, 1], 16, 89).astype(np.float32),
    )
    opening = world.opening(scenario.public_steps)
    experiment = Experiment(
        scenario=scenario,
        material=world,
        reference=opening.reference,
        public=opening.tail,
        sites=open_sites(world, scenario, TURN, 0),
        seed=(5, 0),
        labels=SiteLabels(names=("glasses",), attributes=faces.attributes, age=faces.age),
    )
    jury = Jury(world, report_pictures(world, scenario, TURN.report), 50, 5)
    labels = labels_of(faces)
    assert labels is not None
    chosen = chosen_of(made, ("attributes", "age", "identity:0"))
    return Arena(experiments=[experiment], jury=jury, labels=labels, chosen=chosen)


def test_a_row_sets_heads_beside_the_same_plan_without_them(arena: Arena) -> None:
    told = row(arena, "local", None)
    assert set(told["identity"]) == {
        "with", "without", "public", "with_less_without", "with_less_public"
    }  # fmt: skip
    for key, arm in (("identity", "without"), ("attributes", "public"), ("age", "public")):
        value, low, high = told[key][f"with_less_{arm}"]
        assert low <= value <= high
        assert abs(told[key]["with"][0] - told[key][arm][0] - value) < 0.02
    assert told["attributes"]["public"][0] > 60  # cameras move and stretch, the line stays
    assert set(told["leak"]) == {"with", "without"}
    assert set(told["learning_rates"]) == {"attributes", "age"}


def test_heads_alone_are_set_beside_moments_that_got_the_whole_budget(arena: Arena) -> None:
    """Without noise the moments are the same, so identity is: heads move no tail."""
    told = row(arena, "local", None)["identity"]
    assert told["with"] == told["without"]


def test_a_plan_with_heads_differs_by_its_heads_alone(arena: Arena) -> None:
    (plain,) = arena.experiments
    full = dataclasses.replace(plain, heads=arena.chosen)
    one, other = plain.plan("none", None), full.plan("none", None)
    bare = dataclasses.replace(one, mechanisms=with_heads(one.mechanisms, arena.chosen))
    assert other == paced(bare)
    assert other.events() == one.events()
    trained = [m for m in other.mechanisms if isinstance(m, GradientMechanism)]
    assert [[h.kind for h in m.heads] for m in trained] == [["attributes", "age"]]


def test_a_pool_counts_the_people_of_its_sites(arena: Arena) -> None:
    (experiment,) = arena.experiments
    counted = _pooled(experiment)
    assert sum(counted.values()) == sum(len(bags) for bags in experiment._bags.values())


@pytest.mark.parametrize("asked", [["--head", "gender"], ["--rounds", "0"], ["--epsilon", "much"]])
def test_what_nobody_can_measure_is_told(asked: list[str]) -> None:
    with pytest.raises((ConfigError, SystemExit)):
        main(asked)
