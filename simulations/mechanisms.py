"""What a scenario releases: the two moments, and gradients after them where it asks for them."""

from functools import lru_cache

from common.moments.reference import MEAN_RADIUS
from common.privacy.accountant import Event
from common.privacy.calibrate import scaled_to_budget, sigma_for, split_budget
from common.privacy.plan import GradientMechanism, Mechanism, MomentMechanism
from simulations.scenario import Scenario

RATE, CLIP = 0.2, 0.5  # of the gradient phase


def mechanisms(scenario: Scenario, radius: float, epsilon: float | None) -> tuple[Mechanism, ...]:
    """The mechanisms that together cost ``epsilon`` (None: without noise).

    ``radius`` is the clip norm of a person's scatter.
    """
    mean = scatter = gradient = 0.0
    if epsilon is not None:
        steps = scenario.gradient_rounds * scenario.local_steps
        mean, scatter, gradient = _sigmas(_shares(scenario), epsilon, scenario.delta, steps)
    moments: tuple[Mechanism, ...] = (
        MomentMechanism(kind="mean", name="mean", sigma=mean, clip=MEAN_RADIUS),
        MomentMechanism(kind="scatter", name="scatter", sigma=scatter, clip=radius),
    )
    if not scenario.gradient_share:
        return moments
    gradients = GradientMechanism(
        sigma=gradient,
        clip=CLIP,
        rate=RATE,
        rounds=scenario.gradient_rounds,
        learning_rate=scenario.learning_rate,
        objective=scenario.objective,
        steps_per_round=scenario.local_steps,
        proximal=scenario.proximal if scenario.strategy == "fedprox" else 0.0,
    )
    return (*moments, gradients)


def _shares(scenario: Scenario) -> tuple[float, float, float]:
    moments = 1 - scenario.gradient_share
    mean = moments * scenario.mean_share
    return mean, moments - mean, scenario.gradient_share


@lru_cache(maxsize=64)
def _sigmas(
    shares: tuple[float, float, float], epsilon: float, delta: float, steps: int
) -> tuple[float, float, float]:
    """Of mean, scatter and gradients over ``steps``, whose ``shares`` of the budget add up to 1."""
    mean, scatter, gradients = shares
    moments = (mean / (mean + scatter), scatter / (mean + scatter))
    first, second = split_budget((1 - gradients) * epsilon, delta, moments)
    if not gradients:
        return first, second, 0.0
    third = sigma_for(gradients * epsilon, delta, RATE, steps)
    events = Event(first), Event(second), Event(third, RATE, steps)
    factor = scaled_to_budget(events, epsilon, delta)
    return factor * first, factor * second, factor * third
