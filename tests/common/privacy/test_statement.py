"""The statement says what was spent, on whose honesty it rests, and never too little."""

import dataclasses
import json
from typing import Any

import pytest

from common.privacy.accountant import Event, epsilon
from common.privacy.plan import GradientMechanism, MomentMechanism, PrivacyPlan
from common.privacy.statement import EXCLUDED, statement

MEAN = MomentMechanism(kind="mean", sigma=4.0, clip=1.0, name="mean")
PLAN = PrivacyPlan(mechanisms=(MEAN,), people=100, delta=1e-5)
SHARED = dataclasses.replace(PLAN, noise="distributed", honest_sites=3, cohort=4)
SPENT = {"north": (Event(4.0),), "south": (Event(4.0, 1.0, 2),)}


def test_the_worst_site_and_the_sum_over_sites_are_both_stated() -> None:
    told = statement(PLAN, SPENT)
    assert told["epsilon_spent"]["north"] == epsilon([Event(4.0)], 1e-5)
    assert told["epsilon_if_disjoint"] == epsilon([Event(4.0, 1.0, 2)], 1e-5)
    assert told["epsilon_if_at_every_site"] == epsilon([Event(4.0, 1.0, 3)], 1e-5)
    assert told["epsilon_of_plan"] == epsilon(PLAN.events(), 1e-5)


def test_under_one_shared_noise_a_person_at_every_site_counts_several_times_at_once() -> None:
    told = statement(SHARED, dict.fromkeys("abcd", (Event(4.0),)))
    assert told["epsilon_if_disjoint"] == epsilon([Event(4.0)], 1e-5)
    assert told["epsilon_if_at_every_site"] == epsilon([Event(1.0)], 1e-5)
    assert "at least 3 sites" in told["trust"]


def test_several_coins_for_one_sampled_step_are_one_larger_coin() -> None:
    told = statement(SHARED, dict.fromkeys("ab", (Event(4.0, 0.5, 10),)))
    assert told["epsilon_if_at_every_site"] == epsilon([Event(2.0, 0.75, 10)], 1e-5)


def test_shared_noise_promises_nothing_against_who_sees_what_single_sites_sent() -> None:
    assert "sees everything that left" in statement(PLAN, SPENT)["in_plain_words"]
    told = statement(SHARED, SPENT)["in_plain_words"]
    assert "sees the sums over the sites, and no single site's contribution," in told
    assert "everything" not in told


@pytest.mark.parametrize("changes, entropy", [({"noise": "none"}, "os"), ({}, "seeded")])
def test_a_laboratory_run_claims_nothing(changes: dict[str, Any], entropy: str) -> None:
    silent = dataclasses.replace(MEAN, sigma=0.0) if changes else MEAN
    plan = dataclasses.replace(PLAN, mechanisms=(silent,), **changes)
    told = statement(plan, {"north": plan.events()}, entropy=entropy)
    assert told["claim"] == "none (laboratory)"
    assert told["in_plain_words"] == "Nothing is promised to the people in this run."
    if changes:
        assert told["epsilon_of_plan"] is told["epsilon_if_disjoint"] is None


def test_the_statement_is_json_and_names_unit_adjacency_and_what_it_leaves_out() -> None:
    phase = GradientMechanism(sigma=2.0, clip=1.0, rate=0.1, rounds=3)
    plan = dataclasses.replace(PLAN, mechanisms=(MEAN, phase))
    told = json.loads(json.dumps(statement(plan, SPENT, development_people=40), allow_nan=False))
    assert told["claim"] == "differential privacy"
    assert told["unit"] == "one person, with all pictures"
    assert told["adjacency"] == "add/remove one person"
    assert told["development_people"] == 40
    assert told["declared_people"] == 100
    assert told["excluded"] == list(EXCLUDED)
    assert [m["kind"] for m in told["mechanisms"]] == ["mean", "gradient"]
    assert told["plan"] == plan.digest


def test_what_a_phase_trains_against_is_stated_and_nothing_where_it_is_not() -> None:
    plain = GradientMechanism(sigma=2.0, clip=1.0, rate=0.1, rounds=3)
    hard = dataclasses.replace(plain, adversarial_steps=2, adversarial_eps=0.5)
    told = [
        statement(dataclasses.replace(PLAN, mechanisms=(one,)), SPENT)["mechanisms"][0]
        for one in (plain, hard)
    ]
    assert "adversarial" not in told[0]
    assert told[1]["adversarial"] == {"steps": 2, "eps": 0.5, "on": "features"}


def test_nothing_spent_yet_is_zero() -> None:
    assert statement(PLAN, {})["epsilon_if_disjoint"] == 0
    assert statement(PLAN, {"north": ()})["epsilon_if_at_every_site"] == 0
