"""Where an attacker's pixels may be: a ball around the picture, or all that a mask uncovers."""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from common.attacks.target import Budget, Norm

_TINY = 1e-30  # below it a gradient is no direction


@dataclass(frozen=True, eq=False, slots=True)
class Ball:
    """Pixels in [0, 1] within ``radius`` of ``origin`` (B, 3, S, S), each row for itself.

    Under ``mask``, 0 or 1 and of a shape that broadcasts to (3, S, S), only the ones move, and
    nothing but [0, 1] bounds them: the budget's eps does not count, its norm steers the steps.
    """

    origin: Tensor
    norm: Norm
    radius: float
    mask: Tensor | None = None

    @classmethod
    def of(cls, origin: Tensor, budget: Budget, mask: Tensor | None = None) -> "Ball":
        """The pixels that ``budget``, or ``mask`` in its place, leaves to the attacker."""
        if mask is None:
            return cls(origin, budget.norm, budget.eps)
        uncovered = mask.to(origin).expand(origin.shape[1:])
        across = 1.0 if budget.norm == "linf" else math.sqrt(float(uncovered.sum()))
        return cls(origin, budget.norm, across, uncovered)

    def rows(self, chosen: Tensor) -> "Ball":
        """The ball around the rows ``chosen`` (indices or a mask)."""
        return replace(self, origin=self.origin[chosen])

    def project(self, pixels: Tensor) -> Tensor:
        """``pixels`` (B, 3, S, S) brought back inside; those inside stay, to float rounding.

        For L-inf and masks it is the nearest point. For L2 the move is shortened and then cut to
        [0, 1], which only shortens it more, as the origin lies in there.
        """
        if self.mask is not None:
            return torch.where(self.mask > 0, pixels.clamp(0, 1), self.origin)
        moved = pixels - self.origin
        if self.norm == "linf":
            moved = moved.clamp(-self.radius, self.radius)
        else:
            length = _length(moved)
            # A move that is short enough stays as it is, bit by bit.
            moved = torch.where(length > self.radius, moved * (self.radius / length), moved)
        return (self.origin + moved).clamp(0, 1)

    def start(self, generator: torch.Generator) -> Tensor:
        """A random point (B, 3, S, S): uniform in the ball, then cut to [0, 1]."""
        shape, device = self.origin.shape, generator.device
        if self.norm == "linf" or self.mask is not None:
            drawn = 2 * torch.rand(shape, generator=generator, device=device) - 1
            reach = 1.0 if self.mask is not None else self.radius
            return self.project(self.origin + reach * drawn.to(self.origin))
        drawn = torch.randn(shape, generator=generator, device=device)
        height = torch.rand(len(drawn), generator=generator, device=device)[:, None, None, None]
        share = height ** (1 / math.prod(shape[1:])) / _length(drawn)
        return self.project(self.origin + self.radius * (drawn * share).to(self.origin))

    def steepest(self, gradient: Tensor) -> Tensor:
        """The unit move (B, 3, S, S), in the norm, that gains most along ``gradient``; 0 for 0."""
        if self.mask is not None:
            gradient = gradient * self.mask
        if self.norm == "linf":
            return gradient.sign()
        return gradient / _length(gradient).clamp_min(_TINY)


def _length(moves: Tensor) -> Tensor:
    """(B, 1, 1, 1): L2 norms of rows (B, 3, S, S)."""
    length: Tensor = torch.linalg.vector_norm(moves, dim=(1, 2, 3), keepdim=True)
    return length
