"""A plan says one thing, in one form, and nothing that would void its own promise."""

import dataclasses
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import PlanError
from common.privacy.accountant import Event
from common.privacy.plan import (
    EvaluationMechanism,
    GradientMechanism,
    MomentMechanism,
    PrivacyPlan,
)

POSITIVE = st.floats(1e-3, 1e6)
MOMENTS = st.builds(
    MomentMechanism,
    kind=st.sampled_from(["mean", "scatter", "moments"]),
    sigma=POSITIVE,
    clip=POSITIVE,
    name=st.from_regex(r"[a-z0-9._-]{1,12}", fullmatch=True),
)
GRADIENTS = st.builds(
    GradientMechanism,
    sigma=POSITIVE,
    clip=POSITIVE,
    rate=st.floats(1e-6, 1),
    rounds=st.integers(1, 30),
    steps_per_round=st.integers(1, 5),
    learning_rate=POSITIVE,
    name=st.from_regex(r"g[a-z0-9]{1,12}", fullmatch=True),
)
EVALUATIONS = st.builds(
    EvaluationMechanism,
    sigma=POSITIVE,
    thresholds=st.integers(1, 8),
    name=st.from_regex(r"e[a-z0-9]{1,12}", fullmatch=True),
)
PLANS = st.builds(
    PrivacyPlan,
    mechanisms=st.lists(
        st.one_of(MOMENTS, GRADIENTS, EVALUATIONS),
        min_size=1,
        max_size=4,
        unique_by=lambda m: m.name,
    ).map(tuple),
    people=st.integers(1, 10**6),
    delta=st.floats(1e-12, 0.1),
    trunk=st.text(max_size=8),
)


@given(PLANS)
def test_json_and_back_is_the_same_plan(plan: PrivacyPlan) -> None:
    again = PrivacyPlan.from_json(plan.to_json())
    assert again == plan
    assert again.digest == plan.digest


@given(PLANS)
def test_the_rounds_add_up_to_the_events(plan: PrivacyPlan) -> None:
    assert [r.number for r in plan.rounds] == list(range(1, len(plan.rounds) + 1))
    assert sum(r.event.steps for r in plan.rounds) == sum(e.steps for e in plan.events())
    for mechanism, event in zip(plan.mechanisms, plan.events(), strict=True):
        mine = [r for r in plan.rounds if r.mechanism == mechanism]
        assert [step for r in mine for step in r.steps] == list(range(event.steps))


def test_whole_numbers_and_their_floats_have_one_digest() -> None:
    assert plan(delta=0.5, sigma=1).digest == plan(delta=0.5, sigma=1.0).digest
    text = plan(sigma=1.0).to_json().replace('"sigma":1.0', '"sigma":1')
    assert PrivacyPlan.from_json(text).digest == plan(sigma=1.0).digest


GRADIENT = {"sigma": 1.0, "clip": 1.0, "rate": 0.1, "rounds": 3, "steps_per_round": 2}
OLD = (  # a plan from before there was a proximal term, and its digest then
    '{"adjacency":"add/remove one person","cohort":1,"delta":1e-05,"honest_sites":1,'
    '"mechanisms":[{"clip":1.0,"kind":"gradient","learning_rate":1.0,"name":"gradient",'
    '"negatives":256,"objective":"contrast","rate":0.1,"rounds":3,"scale":16.0,"sigma":1.0,'
    '"steps_per_round":2,"views":4}],"noise":"local","people":100,"pooling":"camera_type",'
    '"public":"","release_slot":0.0,"tail":"","trunk":"","unit":"person"}'
)
OLD_DIGEST = "fd96926b5f82a568980d7875b91bb5320e06809e428bbe0dd84a1edf77340445"


def test_plans_from_before_the_proximal_term_keep_their_digest() -> None:
    assert PrivacyPlan.from_json(OLD).digest == OLD_DIGEST
    assert plan(mechanisms=(GradientMechanism(**GRADIENT),)).digest == OLD_DIGEST
    zero = OLD.replace('"rate":0.1', '"proximal":0.0,"rate":0.1')
    assert PrivacyPlan.from_json(zero).digest == OLD_DIGEST


def test_a_proximal_term_is_part_of_the_plan_and_costs_nothing() -> None:
    without = plan(mechanisms=(GradientMechanism(**GRADIENT),))
    pulled = plan(mechanisms=(GradientMechanism(**GRADIENT, proximal=0.5),))
    assert pulled.digest != without.digest
    assert PrivacyPlan.from_json(pulled.to_json()) == pulled
    assert pulled.events() == without.events()
    with pytest.raises(PlanError, match="'proximall'; did you mean 'proximal'"):
        PrivacyPlan.from_json(pulled.to_json().replace("proximal", "proximall"))


HARD = {"adversarial_steps": 3, "adversarial_eps": 0.5}


def test_plans_without_an_attack_keep_their_text_and_an_attack_costs_nothing() -> None:
    without = plan(mechanisms=(GradientMechanism(**GRADIENT),))
    assert "adversarial" not in without.to_json()
    zero = OLD.replace('"clip"', '"adversarial_steps":0,"adversarial_eps":0,"clip"')
    assert PrivacyPlan.from_json(zero).digest == OLD_DIGEST
    attacked = plan(mechanisms=(GradientMechanism(**GRADIENT, **HARD),))
    assert PrivacyPlan.from_json(attacked.to_json()) == attacked
    assert attacked.events() == without.events()
    changes: tuple[dict[str, Any], ...] = (
        {}, {"adversarial_steps": 4}, {"adversarial_eps": 0.6}, {"adversarial_on": "crops"},
    )  # fmt: skip
    told = [plan(mechanisms=(GradientMechanism(**GRADIENT, **HARD | c),)) for c in changes]
    assert len({OLD_DIGEST, *(one.digest for one in told)}) == 5


@pytest.mark.parametrize(
    "wrong",
    [
        {"adversarial_steps": 3},
        {"adversarial_eps": 0.5},
        {"adversarial_on": "crops"},
        {"adversarial_steps": 21, "adversarial_eps": 0.5},
        {"adversarial_steps": -1, "adversarial_eps": 0.5},
        {"adversarial_steps": 3, "adversarial_eps": math.nan},
        {"adversarial_steps": 3, "adversarial_eps": -1.0},
        {"adversarial_steps": 3, "adversarial_eps": 1.5, "adversarial_on": "crops"},
        {"adversarial_steps": 3, "adversarial_eps": 0.5, "adversarial_on": "names"},
    ],
)
def test_half_an_attack_or_an_impossible_one_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(PlanError, match="adversarial"):
        GradientMechanism(**GRADIENT, **wrong)


def test_an_evaluation_states_no_sensitivity_of_its_own() -> None:
    one = plan(mechanisms=(EvaluationMechanism(sigma=2.0, thresholds=2),))
    assert one.mechanisms[0].clip == math.sqrt(5) / 2
    assert '"clip"' not in one.to_json()
    for smaller in ('"clip":0.1,"sigma"', '"rounds":3,"sigma"'):
        with pytest.raises(PlanError, match="unknown key"):
            PrivacyPlan.from_json(one.to_json().replace('"sigma"', smaller))
    assert one.events() == (Event(2.0),)
    assert [r.number for r in one.rounds] == [1]


@pytest.mark.parametrize("proximal", [-0.1, 10.5, math.inf, math.nan])
def test_a_proximal_term_that_would_overshoot_is_refused(proximal: float) -> None:
    with pytest.raises(PlanError, match="1 / learning_rate"):
        GradientMechanism(**GRADIENT, learning_rate=0.1, proximal=proximal)


def test_every_changed_setting_changes_the_digest() -> None:
    base = plan(noise="distributed", cohort=9, honest_sites=4)
    changes: dict[str, Any] = {
        "people": 101, "delta": 1e-6, "honest_sites": 3, "trunk": "x", "tail": "x",
        "public": "x", "cohort": 8, "release_slot": 1.0,
    }  # fmt: skip
    digests = {dataclasses.replace(base, **{key: value}).digest for key, value in changes.items()}
    assert len(digests | {base.digest}) == len(changes) + 1


def test_distributed_noise_is_shared_so_that_the_honest_sites_make_it_whole() -> None:
    shared = plan(noise="distributed", cohort=20, honest_sites=16, sigma=2.0)
    assert shared.site_sigma(shared.mechanisms[0]) ** 2 * 16 == pytest.approx(2.0**2)
    alone = plan(sigma=2.0)
    assert alone.site_sigma(alone.mechanisms[0]) == 2.0
    assert shared.events() == alone.events() == (Event(2.0),)


@pytest.mark.parametrize(
    "changes",
    [
        {"mechanisms": ()},
        {"people": 0},
        {"people": 10**10},
        {"delta": 0.0},
        {"delta": 1.0},
        {"delta": math.nan},
        {"cohort": 0},
        {"honest_sites": 0},
        {"honest_sites": 2, "cohort": 2},  # local noise
        {"noise": "distributed", "honest_sites": 5, "cohort": 4},
        {"noise": "none"},  # with a sigma that would then be a lie
        {"sigma": 0.0},
        {"release_slot": -1.0},
        {"release_slot": math.inf},
        {"sigma": -1.0},
        {"sigma": math.nan},
        {"clip": 0.0},
        {"clip": math.inf},
        {"name": "no names of persons"},
    ],
)
def test_plans_that_contradict_themselves_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(PlanError):
        plan(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"rate": 0.0}, {"rate": 1.5}, {"rounds": 0}, {"rounds": 10**9}, {"views": 0},
        {"steps_per_round": 10**5, "rounds": 2}, {"learning_rate": 0.0}, {"scale": math.nan},
        {"negatives": -1},
    ],
)  # fmt: skip
def test_impossible_gradient_phases_are_refused(changes: dict[str, Any]) -> None:
    settings: dict[str, Any] = {"sigma": 1.0, "clip": 1.0, "rate": 0.1, "rounds": 3} | changes
    with pytest.raises(PlanError):
        GradientMechanism(**settings)


def test_a_second_local_step_under_a_share_of_the_noise_is_refused() -> None:
    two = GradientMechanism(sigma=1.0, clip=1.0, rate=0.1, rounds=3, steps_per_round=2)
    plan(mechanisms=(two,))
    with pytest.raises(PlanError, match="one step a round"):
        plan(mechanisms=(two,), noise="distributed", cohort=4, honest_sites=4)


def test_a_plan_too_long_to_price_is_refused() -> None:
    many = tuple(MomentMechanism(kind="mean", sigma=1.0, clip=1.0, name=f"m{i}") for i in range(65))
    plan(mechanisms=many[:64])
    with pytest.raises(PlanError, match="1 to 64"):
        plan(mechanisms=many)


def test_two_mechanisms_of_one_name_are_refused() -> None:
    one = MomentMechanism(kind="mean", sigma=1.0, clip=1.0, name="same")
    with pytest.raises(PlanError, match="same name"):
        plan(mechanisms=(one, one))


def test_a_misspelt_key_is_named_with_what_was_meant() -> None:
    table = json.loads(plan().to_json())
    table["mechanisms"][0]["simga"] = table["mechanisms"][0].pop("sigma")
    with pytest.raises(PlanError, match="'simga'; did you mean 'sigma'"):
        PrivacyPlan.from_json(json.dumps(table))


@pytest.mark.parametrize(
    "text",
    [
        "", "null", "[]", "{}", "3", '"plan"', '{"mechanisms": {}}', '{"mechanisms": [1]}',
        '{"mechanisms": []}', '{"mechanisms": [{"kind": "gradient"}], "people": 1, "delta": 0.1}',
        '{"mechanisms": [{"kind": []}], "people": 1, "delta": 0.1}', "[" * 100_000,
        '{"people": ' + "9" * 5000 + ', "mechanisms": []}',
    ],
)  # fmt: skip
def test_text_that_is_no_plan_is_refused(text: str) -> None:
    with pytest.raises(PlanError):
        PrivacyPlan.from_json(text)


@pytest.mark.parametrize(
    "old, new",
    [
        ('"people":100', '"people":100,"people":1'),
        ('"people":100', '"people":true'),
        ('"people":100', '"people":100.5'),
        ('"people":100', '"people":"100"'),
        ('"delta":1e-05', '"delta":NaN'),
        ('"delta":1e-05', '"delta":1e-400'),
        ('"delta":1e-05', '"delta":null'),
        ('"sigma":1.0', '"sigma":Infinity'),
        ('"unit":"person"', '"unit":"picture"'),
        ('"noise":"local"', '"noise":"secret"'),
        ('"kind":"mean"', '"kind":"median"'),
        ('"trunk":""', '"trunk":[]'),
    ],
)
def test_a_tampered_plan_is_refused(old: str, new: str) -> None:
    text = plan().to_json()
    assert old in text
    with pytest.raises(PlanError):
        PrivacyPlan.from_json(text.replace(old, new))


def plan(**changes: Any) -> PrivacyPlan:
    settings: dict[str, Any] = {"kind": "mean", "sigma": 1.0, "clip": 1.0, "name": "mean"}
    settings |= {key: changes.pop(key) for key in list(changes) if key in settings}
    if "mechanisms" not in changes:
        changes["mechanisms"] = (MomentMechanism(**settings),)
    return PrivacyPlan(**({"people": 100, "delta": 1e-5} | changes))
