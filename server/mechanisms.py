"""What a run releases for a budget: the two moments, and gradients after them where asked for."""

from dataclasses import dataclass
from functools import lru_cache

from common.errors import ConfigError
from common.moments.reference import MEAN_RADIUS, MEAN_SHARE
from common.privacy.accountant import Event
from common.privacy.calibrate import scaled_to_budget, sigma_for, split_budget
from common.privacy.plan import GradientMechanism, Mechanism, MomentMechanism

RATE, CLIP = 0.2, 0.5  # of the gradient phase


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """How a budget is shared out: ``mean_share`` of the moments' part, ``gradient_share`` of all.

    With ``gradient_share`` 0 there are no gradients, and the rest of the numbers says nothing.
    """

    delta: float
    mean_share: float = MEAN_SHARE
    gradient_share: float = 0.0
    gradient_rounds: int = 20
    local_steps: int = 1
    learning_rate: float = 0.003
    objective: str = "contrast"
    proximal: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.mean_share < 1:
            raise ConfigError(f"mean_share must be in (0, 1), got {self.mean_share}")
        if not 0 <= self.gradient_share < 1:
            raise ConfigError(f"gradient_share must be in [0, 1), got {self.gradient_share}")

    @property
    def shares(self) -> tuple[float, float, float]:
        """Of mean, scatter and gradients; they add up to 1."""
        moments = 1 - self.gradient_share
        mean = moments * self.mean_share
        return mean, moments - mean, self.gradient_share


def make_mechanisms(recipe: Recipe, radius: float, epsilon: float | None) -> tuple[Mechanism, ...]:
    """The mechanisms that together cost ``epsilon`` (None: without noise).

    ``radius`` is the clip norm of a person's scatter. ``ValueError`` for a budget no noise meets.
    """
    mean = scatter = gradient = 0.0
    if epsilon is not None:
        steps = recipe.gradient_rounds * recipe.local_steps
        mean, scatter, gradient = _sigmas(recipe.shares, epsilon, recipe.delta, steps)
    moments: tuple[Mechanism, ...] = (
        MomentMechanism(kind="mean", name="mean", sigma=mean, clip=MEAN_RADIUS),
        MomentMechanism(kind="scatter", name="scatter", sigma=scatter, clip=radius),
    )
    if not recipe.gradient_share:
        return moments
    gradients = GradientMechanism(
        sigma=gradient,
        clip=CLIP,
        rate=RATE,
        rounds=recipe.gradient_rounds,
        learning_rate=recipe.learning_rate,
        objective=recipe.objective,
        steps_per_round=recipe.local_steps,
        proximal=recipe.proximal,
    )
    return (*moments, gradients)


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
