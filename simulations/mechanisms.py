"""What a scenario releases: its numbers in the centre's own recipe."""

from common.privacy.plan import Mechanism
from server.mechanisms import Recipe, make_mechanisms
from simulations.scenario import Scenario


def mechanisms(scenario: Scenario, radius: float, epsilon: float | None) -> tuple[Mechanism, ...]:
    """The mechanisms that together cost ``epsilon`` (None: without noise).

    ``radius`` is the clip norm of a person's scatter.
    """
    recipe = Recipe(
        delta=scenario.delta,
        mean_share=scenario.mean_share,
        gradient_share=scenario.gradient_share,
        gradient_rounds=scenario.gradient_rounds,
        local_steps=scenario.local_steps,
        learning_rate=scenario.learning_rate,
        gradient_rate=scenario.gradient_rate,
        gradient_clip=scenario.gradient_clip,
        objective=scenario.objective,
        proximal=scenario.proximal if scenario.strategy == "fedprox" else 0.0,
    )
    return make_mechanisms(recipe, radius, epsilon)
