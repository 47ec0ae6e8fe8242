"""The bench of private heads compares what it says, on material small enough to look at."""

import dataclasses

import numpy as np
import pytest
import torch

from client.agent.labels import SiteLabels
from common.faces.crops import StoredCrops
from common.faces.faceset import FaceSet
from common.heads.head import PictureLabels
from common.privacy.plan import GradientMechanism
from server.heads import HeadsRequest, Pupils, train_public
from server.runs.reading import chosen_of
from simulations.arms import Experiment, with_heads
from simulations.benchmarks.private_heads import Arena, row
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
    chosen = chosen_of(made, ())
    return Arena(experiments=[experiment], jury=jury, faces=faces, chosen=chosen)


def test_a_row_sets_heads_beside_the_same_plan_without_them(arena: Arena) -> None:
    told = row(arena, "local", None)
    assert set(told["identity"]) == {
        "with", "without", "public", "with_less_without", "with_less_public"
    }  # fmt: skip
    value, low, high = told["identity"]["with_less_without"]
    assert low <= value <= high
    with_, without = (told["identity"][arm][0] for arm in ("with", "without"))
    assert abs(with_ - without - value) < 0.02
    assert told["attributes"]["public"][0] > 60  # cameras move and stretch, the line stays
    assert set(told["leak"]) == {"with", "without"}


def test_a_plan_with_heads_differs_by_its_heads_alone(arena: Arena) -> None:
    (plain,) = arena.experiments
    full = dataclasses.replace(plain, heads=arena.chosen)
    one, other = plain.plan("none", None), full.plan("none", None)
    assert other.mechanisms == with_heads(one.mechanisms, arena.chosen)
    assert other.events() == one.events()
    trained = [m for m in other.mechanisms if isinstance(m, GradientMechanism)]
    assert [m.heads for m in trained] == [arena.chosen.terms]
