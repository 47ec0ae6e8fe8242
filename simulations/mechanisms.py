"""What a scenario releases: the two moments, and gradients after them where it asks for them."""

from functools import lru_cache

from common.moments.reference import MEAN_RADIUS, MEAN_SHARE
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
        count = scenario.gradient_rounds * scenario.local_steps
        mean, scatter, gradient = _sigmas(epsilon, scenario.delta, scenario.gradient_share, count)
    moments: tuple[Mechanism, ...] = (
        MomentMechanism(kind="mean", name="mean", sigma=mean, clip=MEAN_RADIUS),
        MomentMechanism(kind="scatter", name="scatter", sigma=scatter, clip=radius),
    )
    if not scenario.gradient_share:
        return moments
    steps = GradientMechanism(
        sigma=gradient,
        clip=CLIP,
        rate=RATE,
        rounds=scenario.gradient_rounds,
        learning_rate=scenario.learning_rate,
        objective=scenario.objective,
        steps_per_round=scenario.local_steps,
        proximal=scenario.proximal if scenario.strategy == "fedprox" else 0.0,
    )
    return (*moments, steps)


@lru_cache(maxsize=64)
def _sigmas(epsilon: float, delta: float, share: float, count: int) -> tuple[float, float, float]:
    """Of mean, scatter and ``count`` gradient steps, which get ``share`` of the budget."""
    mean, scatter = split_budget((1 - share) * epsilon, delta, (MEAN_SHARE, 1 - MEAN_SHARE))
    if not share:
        return mean, scatter, 0.0
    gradient = sigma_for(share * epsilon, delta, RATE, count)
    steps = Event(gradient, RATE, count)
    factor = scaled_to_budget((Event(mean), Event(scatter), steps), epsilon, delta)
    return factor * mean, factor * scatter, factor * gradient
