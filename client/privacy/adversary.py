"""Training against attacks in the private step: own pictures, this tail, public targets.

What is attacked is a function of one person's pictures, shared weights and public data, so a
person's gradient still is, and its clip is still the sensitivity. That is lost as soon as an
attack aims at another private person, as statistics of a batch enter it, or as clean and attacked
pictures are clipped one by one: their losses become one before there is a gradient.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from client.privacy.entropy import Entropy
from client.privacy.objective import Objective

STRIDE = 2.5  # of a step: times eps over the number of steps (Madry et al. 2018, 1706.06083)


class Adversary(Protocol):
    """Moves one person's pictures against ``objective``."""

    def __call__(self, module: nn.Module, objective: Objective, bag: Tensor) -> Tensor:
        """``bag`` of one person -> as many rows of the same shape, without a gradient."""


@dataclass(frozen=True, eq=False, slots=True)
class Hardened:
    """The mean of a person's loss and of the loss of the same pictures attacked: one scalar.

    The mean, so that an attack of no radius gives the plain gradient, bit for bit.
    Guarantee: one loss a person has one gradient, which is clipped once: sensitivity stays the
    clip norm, and the price of a step what it was.
    """

    plain: Objective
    adversary: Adversary

    def __call__(self, module: nn.Module, bag: Tensor) -> Tensor:
        """``bag`` (k, ...) of one person -> scalar."""
        moved = self.adversary(module, self.plain, bag)
        return (self.plain(module, bag) + self.plain(module, moved)) / 2


@dataclass(frozen=True, kw_only=True, slots=True)
class FeatureAdversary:
    """Features moved within an L2 ball of radius ``eps`` each, up the person's own loss.

    It needs no picture, so it works where pictures are forgotten, and draws nothing: the same
    person and tail, the same features. A step goes along each feature's normalised gradient.
    """

    steps: int
    eps: float

    def __call__(self, module: nn.Module, objective: Objective, bag: Tensor) -> Tensor:
        """``bag`` (k, D) -> (k, D)."""
        moved = torch.zeros_like(bag)
        for _ in range(self.steps):
            at = (bag + moved).detach().requires_grad_()
            (slope,) = torch.autograd.grad(objective(module, at), at)
            length = slope.norm(dim=1, keepdim=True)
            step = torch.where(length > 0, slope / length, torch.zeros_like(slope))
            moved = moved + STRIDE * self.eps / self.steps * step
            far = moved.norm(dim=1, keepdim=True)
            moved = moved * (self.eps / far.clamp_min(1e-30)).clamp(max=1)
        return (bag + moved).detach()


@dataclass(frozen=True, kw_only=True, eq=False, slots=True)
class CropAdversary:
    """Pixels in [0, 1] moved by at most ``eps`` each, through the frozen ``trunk``.

    ``bag`` is features, then; ``crops`` (k, 3, S, S) are the same person's pictures. The start is
    a random point of the ball, drawn for this person and step alone.
    """

    trunk: nn.Module
    crops: Tensor
    steps: int
    eps: float
    entropy: Entropy

    def __call__(self, module: nn.Module, objective: Objective, bag: Tensor) -> Tensor:
        """``bag`` (k, D) features of ``crops`` -> (k, D) features of the moved crops."""
        low, high = (self.crops - self.eps).clamp(min=0), (self.crops + self.eps).clamp(max=1)
        drawn = torch.from_numpy(self.entropy.uniform(self.crops.numel())).to(self.crops)
        at = self.crops + self.eps * (2 * drawn.view_as(self.crops) - 1)
        at = torch.minimum(torch.maximum(at, low), high)
        for _ in range(self.steps):
            at = at.detach().requires_grad_()
            (slope,) = torch.autograd.grad(objective(module, self.trunk(at)), at)
            moved = at.detach() + STRIDE * self.eps / self.steps * slope.sign()
            at = torch.minimum(torch.maximum(moved, low), high)
        with torch.no_grad():
            features: Tensor = self.trunk(at.detach())
        return features
