"""Attacks are what their papers say; robust rules bear what averaging does not."""

import dataclasses
import itertools
import json
from collections.abc import Callable
from statistics import NormalDist

import numpy as np
import pytest
from numpy.typing import NDArray

from common.errors import ScenarioError
from common.metrics.intervals import person_weights
from common.metrics.verification import Pairs
from common.models.tail import BIAS, WEIGHT, Tail
from common.moments.reference import make_reference
from server.public import Opening
from simulations.arms import Experiment
from simulations.evidence.byzantine import Arena, attacked, configured, judged
from simulations.evidence.malice import (
    ATTACKS,
    EDGE,
    Seen,
    backdoor,
    little_is_enough,
    scaling,
    sign_flip,
    swap_labels,
)
from simulations.evidence.tolerance import RULES, ToleranceOptions, markdown, tolerance
from simulations.sites import open_sites, report_pictures
from tests.small_world import TURN, small_scenario, small_world

SITES = 7
MALICE = {malice.name: malice for malice in ATTACKS}


@pytest.fixture(scope="module")
def arena() -> Arena:
    material = small_world(people=84, cameras=1)
    scenario = small_scenario(
        sites=SITES, pooling="all", gradient_share=0.5, gradient_rounds=2, learning_rate=0.5
    )
    reference = make_reference(material.tail, material.public)
    experiment = Experiment(
        scenario=scenario,
        material=material,
        reference=reference,
        public=material.tail,
        sites=open_sites(material, scenario, TURN, 0),
        seed=(0, 0),
    )
    tested = report_pictures(material, scenario, TURN.report)
    pairs = Pairs.of(material.person[tested])
    sites = []
    for site in experiment.sites:
        features, person = material.features[0][site.pictures], material.person[site.pictures]
        sites.append([features[person == one] for one in np.unique(person)])
    return Arena(
        plan=experiment.plan("none", None),
        initial=dict(Opening(material.tail, reference).arrays),
        reference=reference,
        sites=sites,
        public=material.public.randomised[:, 0],
        tested=material.features[0][tested],
        pairs=pairs,
        weights=person_weights(pairs.people, 50, 0),
        trigger=np.full(features.shape[1], 2.0),
        seed=0,
    )


def test_averaging_falls_to_one_site_that_scales_where_a_median_stands(arena: Arena) -> None:
    lost = {}
    for name in ("fedavg", "fedmedian"):
        choice = configured(name, 1, SITES)
        honest = attacked(arena, choice, None, 0)
        spoiled = attacked(arena, choice, MALICE["scaling"], 1)
        assert honest.refused == spoiled.refused == 0  # the bound is looser than that
        lost[name] = {p: honest.phases[p].tar - spoiled.phases[p].tar for p in honest.phases}
    assert lost["fedavg"]["gradients"] > 0.1
    assert lost["fedmedian"]["gradients"] < 0.02
    assert lost["fedmedian"]["moments"] < lost["fedavg"]["moments"]


def test_a_run_is_the_same_run_when_repeated(arena: Arena) -> None:
    once, again = (
        attacked(arena, configured("fedavg", 2, SITES), MALICE["backdoor"], 2) for _ in range(2)
    )
    for phase, outcome in once.phases.items():
        assert outcome.tar == again.phases[phase].tar
        assert outcome.triggered == again.phases[phase].triggered


def test_an_update_beyond_the_bound_never_reaches_the_rule(arena: Arena) -> None:
    shouting = dataclasses.replace(
        MALICE["scaling"], update=lambda seen: scaling(seen) * (1.01 / EDGE)
    )
    ran = attacked(arena, configured("fedavg", 1, SITES), shouting, 1)
    assert ran.refused == len(arena.plan.rounds)


@pytest.mark.parametrize("name", RULES)
def test_rules_are_set_up_for_no_more_than_they_can_promise(name: str) -> None:
    for malicious, sites in itertools.product(range(5), (7, 10)):
        choice = configured(name, malicious, sites)
        assert choice.too_few({"all": sites}) is None


def test_the_table_says_what_was_borne(arena: Arena) -> None:
    given = ToleranceOptions(people=112, sites=SITES, seeds=1, most=0.3, rules=("fedavg",))
    figures = tolerance(given, [arena], Quiet())
    assert json.loads(json.dumps(figures)) == figures
    scaled = figures["rules"]["fedavg"]["attacks"]["scaling"]
    assert scaled["tolerated"]["gradients"] == 0
    first = scaled["shares"][f"{1 / SITES:g}"]["gradients"]["drop"]
    assert first["ci95"][0] <= first["value"] <= first["ci95"][1]
    table = markdown(figures).splitlines()
    assert len(table) == 3
    assert len({line.count("|") for line in table}) == 1


def test_sign_flip_and_scaling_point_away_from_what_was_learned() -> None:
    honest = np.array([[2.0, -2.0], [4.0, -6.0]])
    seen = Seen(own=np.array([3.0, -4.0]), honest=honest, malicious=1, bound=100.0)
    assert sign_flip(seen).tolist() == [-3, 4]
    assert scaling(seen) == pytest.approx([-0.6 * 99, 0.8 * 99])


def test_alie_stays_as_near_to_the_mean_as_its_majority_asks() -> None:
    """Fifty sites, twenty-four malicious: the paper's own example, two supporters short."""
    honest = np.random.default_rng(0).normal(5.0, 2.0, (26, 4))
    seen = Seen(own=honest[0], honest=honest, malicious=24, bound=1e9)
    z = NormalDist().inv_cdf((50 - 24 - 2) / (50 - 24))
    assert little_is_enough(seen) == pytest.approx(honest.mean(axis=0) - z * honest.std(axis=0))


def test_swapped_labels_keep_pictures_and_their_numbers() -> None:
    bags = people()
    swapped = swap_labels(bags, np.zeros(2), np.random.default_rng(1))
    assert [len(bag) for bag in swapped] == [len(bag) for bag in bags]
    assert sorted(np.concatenate(swapped)[:, 0]) == sorted(np.concatenate(bags)[:, 0])
    assert any(not np.array_equal(a, b) for a, b in zip(bags, swapped, strict=True))


def test_a_backdoor_is_worn_by_half_of_the_people() -> None:
    worn = backdoor(people(), np.array([100.0, 0.0]), np.random.default_rng(1))
    assert [bool((bag[:, 0] >= 100).all()) for bag in worn] == [True, False, True, False]


def test_a_trigger_that_all_wear_makes_strangers_alike(arena: Arena) -> None:
    tail = Tail(arena.initial[WEIGHT], arena.initial[BIAS])
    plain = dataclasses.replace(arena, trigger=np.zeros_like(arena.trigger))
    worn = dataclasses.replace(arena, trigger=50 * arena.trigger)
    assert judged(plain, tail).triggered == pytest.approx(0.01, abs=0.005)
    assert judged(worn, tail).triggered > 0.9


def test_too_few_people_for_the_sites_are_refused() -> None:
    with pytest.raises(ScenarioError, match="at least 160 people"):
        ToleranceOptions(people=100)
    with pytest.raises(ScenarioError, match="fewer than half"):
        ToleranceOptions(most=0.5)


def people() -> list[NDArray[np.float32]]:
    return [np.full((2 + n % 2, 2), n, np.float32) for n in range(4)]


class Quiet:
    """Tells nobody of progress."""

    def start(self, what: str, total: int) -> Callable[[int], None]:
        return lambda steps: None
