"""What a person's gradient is the gradient of: own pictures against public ones, nobody else's.

Every objective here has sensitivity exactly the clip norm, because one person's loss does not
mention another: no head with a row a person, no in-batch negatives, no batch statistics. A head
trained outside the step moves the *other* people's gradients by up to 1.36 clip norms when one
person leaves (measured), which no noise here would cover.
"""

from collections.abc import Callable
from typing import Protocol, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from common.errors import PlanError


class Objective(Protocol):
    """The loss of one person: a scalar from the module, the person's bag, and public data."""

    def __call__(self, module: nn.Module, bag: Tensor) -> Tensor:
        """``bag`` (k, D) features or (k, 3, H, W) crops of one person."""


class BagContrast:
    """Own pictures attract, public ones repel.

    Mean over ordered pairs of own pictures a, p of softplus(logsumexp_n(s z_a z_n) - s z_a z_p),
    z normalised embeddings, n over ``negatives`` (M, ...) public. A bag of one picture has no
    pair: its loss is 0 and so is its gradient.
    """

    def __init__(self, module: nn.Module, negatives: Tensor, scale: float) -> None:
        self._negatives, self._scale = negatives, scale

    def __call__(self, module: nn.Module, bag: Tensor) -> Tensor:
        own = len(bag)
        unit = F.normalize(module(torch.cat([bag, self._negatives])))
        score = self._scale * unit[:own] @ unit.T  # (k, k + M)
        if own < 2:
            return 0 * score.sum()
        repel = torch.logsumexp(score[:, own:], dim=1, keepdim=True)
        pairs = ~torch.eye(own, dtype=torch.bool, device=bag.device)
        return F.softplus(repel - score[:, :own])[pairs].mean()


class BagCompactness:
    """Own pictures gather around their mean, while public ones keep their first embeddings.

    ``scale`` times the mean squared distance of the bag's normalised embeddings to their mean,
    plus the mean squared drift of the public embeddings since the objective was made, which
    stops everything from collapsing into a point.
    """

    def __init__(self, module: nn.Module, negatives: Tensor, scale: float) -> None:
        self._negatives, self._scale = negatives, scale
        with torch.no_grad():
            self._start = F.normalize(module(negatives))

    def __call__(self, module: nn.Module, bag: Tensor) -> Tensor:
        own = len(bag)
        unit = F.normalize(module(torch.cat([bag, self._negatives])))
        spread = (unit[:own] - unit[:own].mean(dim=0)).square().sum(dim=1).mean()
        drift = (unit[own:] - self._start).square().sum(dim=1).mean()
        return self._scale * spread + drift


# (module, public features (M, D), scale) -> the objective of one step.
Factory: TypeAlias = Callable[[nn.Module, Tensor, float], Objective]

OBJECTIVES: dict[str, Factory] = {"contrast": BagContrast, "compact": BagCompactness}


def register_objective(name: str, factory: Factory) -> None:
    """Makes ``factory`` known in this process as ``name``, ``package.module:name``.

    For the laboratory alone, which checks a factory first (``simulations.objectives``). No agent
    calls this, so a production agent knows the objectives above and refuses every other.
    Raises ``PlanError`` for the name of a shipped objective, which nobody replaces.
    """
    if ":" not in name:
        raise PlanError(f"a plug-in is called package.module:name, not {name!r}")
    OBJECTIVES[name] = factory
