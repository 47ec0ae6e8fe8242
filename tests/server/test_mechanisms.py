"""However a budget is shared out, it is spent to the last part in a thousand and never exceeded."""

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import ConfigError
from common.privacy.accountant import epsilon
from common.privacy.plan import PrivacyPlan
from server.mechanisms import Recipe, make_mechanisms


def plan(recipe: Recipe, budget: float) -> PrivacyPlan:
    mechanisms = make_mechanisms(recipe, 0.3, budget)
    return PrivacyPlan(mechanisms=mechanisms, people=100, delta=recipe.delta)


@settings(deadline=None, max_examples=30)
@given(
    share=st.floats(0.01, 0.9),
    before=st.booleans(),
    budget=st.sampled_from([0.5, 2.0, 8.0]),
)
def test_an_evaluation_is_paid_out_of_the_budget(share: float, before: bool, budget: float) -> None:
    recipe = Recipe(delta=1e-4, evaluation_share=share, evaluate_before=before)
    made = plan(recipe, budget)
    cost = epsilon(made.events(), 1e-4)
    assert 0.999 * budget <= cost <= budget
    names = [m.name for m in made.mechanisms]
    assert names == (["before"] if before else []) + ["mean", "scatter", "after"]
    precision = [m.sigma**-2 for m in made.mechanisms]
    judged = sum(p for p, name in zip(precision, names, strict=True) if name in ("before", "after"))
    assert judged / sum(precision) == pytest.approx(share)


def test_with_gradients_the_whole_plan_still_costs_the_budget() -> None:
    recipe = Recipe(delta=1e-4, gradient_share=0.3, gradient_rounds=5, evaluation_share=0.1)
    made = plan(recipe, 8.0)
    assert 7.99 <= epsilon(made.events(), 1e-4) <= 8.0
    assert [m.name for m in made.mechanisms] == ["mean", "scatter", "gradient", "after"]


def test_an_attack_is_a_term_of_the_gradient_phase_and_costs_nothing() -> None:
    recipe = Recipe(delta=1e-4, gradient_share=0.3, gradient_rounds=5)
    hard = dataclasses.replace(recipe, adversarial_steps=2, adversarial_eps=0.5)
    without, attacked = plan(recipe, 8.0), plan(hard, 8.0)
    assert attacked.events() == without.events()
    assert '"adversarial_eps":0.5' in attacked.to_json()
    assert "adversarial" not in without.to_json()


def test_without_an_evaluation_a_plan_is_what_it_always_was() -> None:
    made = plan(Recipe(delta=1e-4), 8.0)
    assert [m.name for m in made.mechanisms] == ["mean", "scatter"]
    assert made.mechanisms[0].sigma == made.mechanisms[1].sigma


def test_an_evaluation_of_the_first_tail_too_has_half_the_precision_each() -> None:
    once = plan(Recipe(delta=1e-4, evaluation_share=0.2), 8.0)
    twice = plan(Recipe(delta=1e-4, evaluation_share=0.2, evaluate_before=True), 8.0)
    assert twice.mechanisms[0].sigma == twice.mechanisms[-1].sigma
    assert twice.mechanisms[-1].sigma ** 2 == pytest.approx(2 * once.mechanisms[-1].sigma ** 2)


@pytest.mark.parametrize(
    "changes",
    [
        {"evaluation_share": -0.1},
        {"evaluation_share": 1.0},
        {"evaluation_share": float("nan")},
        {"evaluation_share": 0.7, "gradient_share": 0.3},
        {"evaluate_before": True},
    ],
)
def test_shares_that_leave_nothing_to_learn_from_are_refused(changes: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="share"):
        Recipe(delta=1e-4, **changes)  # type: ignore[arg-type]
