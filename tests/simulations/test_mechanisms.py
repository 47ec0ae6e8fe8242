"""What a scenario releases costs exactly what it says, gradients included."""

import pytest

from common.privacy.accountant import Event, epsilon
from common.privacy.calibrate import scaled_to_budget
from simulations.mechanisms import mechanisms
from simulations.scenario import Scenario


def cost(scenario: Scenario, budget: float) -> float:
    events = [m.event for m in mechanisms(scenario, 0.3, budget)]
    rounds = [m.rounds for m in mechanisms(scenario, 0.3, budget)]
    spent = [Event(e.sigma, e.rate, e.steps * n) for e, n in zip(events, rounds, strict=True)]
    return epsilon(tuple(spent), scenario.delta)


@pytest.mark.parametrize(("share", "steps"), [(0.0, 1), (0.5, 3)])
def test_a_scenario_spends_its_epsilon_and_no_more(share: float, steps: int) -> None:
    scenario = Scenario(
        name="a", sites=2, gradient_share=share, gradient_rounds=5, local_steps=steps
    )
    assert 7.9 <= cost(scenario, 8.0) <= 8.0


def test_without_epsilon_there_is_no_noise() -> None:
    scenario = Scenario(name="a", sites=2, gradient_share=0.5)
    assert [m.sigma for m in mechanisms(scenario, 0.3, None)] == [0, 0, 0]


def test_scaling_reaches_the_budget_from_both_sides() -> None:
    for sigma in (0.3, 20.0):
        events = (Event(sigma), Event(2 * sigma))
        factor = scaled_to_budget(events, 4.0, 1e-4)
        scaled = tuple(Event(e.sigma * factor) for e in events)
        assert 3.97 <= epsilon(scaled, 1e-4) <= 4.0
