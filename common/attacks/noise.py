"""Noise within the budget, made without looking at the model: what every attack has to beat."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from common.attacks.ball import Ball
from common.attacks.target import Budget, Trials


@dataclass(frozen=True, kw_only=True, slots=True)
class Noise:
    """The whole budget in random signs, in L2 of that length."""

    def __call__(
        self, face: nn.Module, trials: Trials, budget: Budget, generator: torch.Generator
    ) -> Tensor:
        """Pixels (B, 3, S, S); see ``common.attacks.target.Attack``."""
        ball = Ball.of(trials.pixels, budget)
        drawn = torch.rand(trials.pixels.shape, generator=generator) < 0.5
        signs = torch.where(drawn, -1.0, 1.0)
        return ball.project(trials.pixels + budget.eps * ball.steepest(signs))
