"""What a run releases for a budget: two moments, then gradients and evaluations if asked for."""

from dataclasses import dataclass, replace
from functools import lru_cache

from common.errors import ConfigError
from common.moments.reference import MEAN_RADIUS, MEAN_SHARE
from common.privacy.accountant import Event
from common.privacy.calibrate import scaled_to_budget, sigma_for, split_budget
from common.privacy.heads import HeadTerms
from common.privacy.plan import (
    EvaluationMechanism,
    GradientMechanism,
    Mechanism,
    MomentMechanism,
)

RATE, CLIP = 0.2, 0.5  # of the gradient phase, unless a recipe says otherwise
BEFORE, AFTER = "before", "after"  # names of evaluations: of the first tail, of the last one


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """How a budget is shared out: ``mean_share`` of the moments' part, the other shares of all.

    With ``gradient_share`` 0 there are no gradients, and the numbers of theirs say nothing; with
    ``evaluation_share`` 0 nothing is evaluated. An evaluation of the first tail too halves what
    there is for the last one.
    """

    delta: float
    mean_share: float = MEAN_SHARE
    gradient_share: float = 0.0
    gradient_rounds: int = 20
    local_steps: int = 1
    learning_rate: float = 0.003
    objective: str = "contrast"
    proximal: float = 0.0
    gradient_rate: float = RATE
    gradient_clip: float = CLIP
    adversarial_steps: int = 0
    adversarial_eps: float = 0.0
    heads: tuple[HeadTerms, ...] = ()  # trained in the gradient rounds
    identity: float = 1.0  # weight of identity beside them
    evaluation_share: float = 0.0
    evaluate_before: bool = False
    thresholds: int = 1

    def __post_init__(self) -> None:
        if not 0 < self.mean_share < 1:
            raise ConfigError(f"mean_share must be in (0, 1), got {self.mean_share}")
        if not 0 <= self.gradient_share < 1:
            raise ConfigError(f"gradient_share must be in [0, 1), got {self.gradient_share}")
        if not (0 < self.gradient_rate <= 1 and 0 < self.gradient_clip <= 1000):
            raise ConfigError("gradient_rate must be in (0, 1], gradient_clip in (0, 1000]")
        if not 0 <= self.evaluation_share < 1 - self.gradient_share:
            raise ConfigError(
                "the evaluation's share must leave something to learn from: in "
                f"[0, {1 - self.gradient_share:g}), got {self.evaluation_share}"
            )
        if self.evaluate_before and not self.evaluation_share:
            raise ConfigError("an evaluation before the run needs a share of the budget")

    @property
    def shares(self) -> tuple[float, ...]:
        """Of gradients, mean, scatter, and of each evaluation; they add up to 1."""
        moments = 1 - self.gradient_share - self.evaluation_share
        mean = moments * self.mean_share
        each = self.evaluation_share / max(len(self.evaluations), 1)
        return self.gradient_share, mean, moments - mean, *(each for _ in self.evaluations)

    @property
    def evaluations(self) -> tuple[str, ...]:
        """The names of the evaluations, in order."""
        if not self.evaluation_share:
            return ()
        return (BEFORE, AFTER) if self.evaluate_before else (AFTER,)


def make_mechanisms(recipe: Recipe, radius: float, epsilon: float | None) -> tuple[Mechanism, ...]:
    """The mechanisms that together cost ``epsilon`` (None: without noise).

    ``radius`` is the clip norm of a person's scatter. ``ValueError`` for a budget no noise meets.
    """
    gradient, mean, scatter, *evaluated = (0.0,) * len(recipe.shares)
    if epsilon is not None:
        steps = recipe.gradient_rounds * recipe.local_steps
        drawn = Event(0.0, recipe.gradient_rate, steps)
        gradient, mean, scatter, *evaluated = _sigmas(recipe.shares, epsilon, recipe.delta, drawn)
    evaluations = {
        name: EvaluationMechanism(name=name, sigma=sigma, thresholds=recipe.thresholds)
        for name, sigma in zip(recipe.evaluations, evaluated, strict=True)
    }
    mechanisms: list[Mechanism] = [
        MomentMechanism(kind="mean", name="mean", sigma=mean, clip=MEAN_RADIUS),
        MomentMechanism(kind="scatter", name="scatter", sigma=scatter, clip=radius),
    ]
    if recipe.gradient_share:
        mechanisms.append(_gradients(recipe, gradient))
    first = [evaluations[BEFORE]] if BEFORE in evaluations else []
    last = [evaluations[AFTER]] if AFTER in evaluations else []
    return (*first, *mechanisms, *last)


def _gradients(recipe: Recipe, sigma: float) -> GradientMechanism:
    return GradientMechanism(
        sigma=sigma,
        clip=recipe.gradient_clip,
        rate=recipe.gradient_rate,
        rounds=recipe.gradient_rounds,
        learning_rate=recipe.learning_rate,
        objective=recipe.objective,
        steps_per_round=recipe.local_steps,
        proximal=recipe.proximal,
        adversarial_steps=recipe.adversarial_steps,
        adversarial_eps=recipe.adversarial_eps,
        heads=recipe.heads,
        identity=recipe.identity,
    )


@lru_cache(maxsize=64)
def _sigmas(
    shares: tuple[float, ...], epsilon: float, delta: float, drawn: Event
) -> tuple[float, ...]:
    """Of gradients, sampled as often as in ``drawn``, and of every release without sampling, whose
    ``shares`` of the budget add up to 1."""
    gradients, *rest = shares
    whole = sum(rest)
    sigmas = split_budget((1 - gradients) * epsilon, delta, [share / whole for share in rest])
    if not gradients:
        return 0.0, *sigmas
    sampled = sigma_for(gradients * epsilon, delta, drawn.rate, drawn.steps)
    events = (*(Event(sigma) for sigma in sigmas), replace(drawn, sigma=sampled))
    factor = scaled_to_budget(events, epsilon, delta)
    return tuple(factor * sigma for sigma in (sampled, *sigmas))
