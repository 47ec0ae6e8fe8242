"""What is attacked: the decision of a verification, at a threshold that was fixed beforehand.

Dodging: a picture of the enrolled person is not recognised. Impersonation: a picture of somebody
else is. The attacker moves pixels of one picture within a budget; the template stands still.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from common.errors import ModelError
from common.models.tail import Tail
from common.models.trunk import Trunk

Goal = Literal["dodge", "impersonate"]
Norm = Literal["linf", "l2"]
GOALS: tuple[Goal, ...] = ("dodge", "impersonate")
NORMS: tuple[Norm, ...] = ("linf", "l2")


class Face(nn.Module):
    """Pixels (B, 3, S, S), RGB in [0, 1] -> unit embeddings (B, E); frozen, differentiable."""

    def __init__(self, trunk: Trunk, tail: Tail) -> None:
        super().__init__()
        self.trunk, self.tail = trunk.module, tail.module().requires_grad_(False)
        self.eval()

    def forward(self, pixels: Tensor) -> Tensor:
        return F.normalize(self.tail(self.trunk(pixels)))


@dataclass(frozen=True, slots=True)
class Budget:
    """How far pixels, which are in [0, 1], may move in one picture: ``eps`` in ``norm``.

    An L2 budget is over all 3 S S numbers of a picture.
    """

    norm: Norm
    eps: float

    def __post_init__(self) -> None:
        if self.norm not in NORMS or not 0 <= self.eps < float("inf"):
            raise ModelError(f"a budget is linf or l2 and not negative, got {self}")


@dataclass(frozen=True, eq=False, slots=True)
class Trials:
    """B attempts: ``pixels`` (B, 3, S, S) in [0, 1] against ``templates`` (B, E), unit rows.

    Row i stays with row i: a library that attacks a part of a batch needs that part's ``rows``.
    A cosine of at least ``threshold`` is a match.
    """

    pixels: Tensor
    templates: Tensor
    goal: Goal
    threshold: float

    def __len__(self) -> int:
        return len(self.pixels)

    def margin(self, embeddings: Tensor) -> Tensor:
        """(B,): above zero exactly where the attacker has what they want (B, E)."""
        cosine = (embeddings * self.templates).sum(1)
        away = cosine - self.threshold
        # A cosine on the threshold is a match, for both goals.
        return -away if self.goal == "dodge" else torch.where(away == 0, 1e-12, away)

    def fooled(self, face: nn.Module, pixels: Tensor) -> Tensor:
        """(B,) bool: where ``pixels`` in the place of the trials' own get the attacker there."""
        with torch.no_grad():
            return self.margin(face(pixels)) > 0

    def rows(self, chosen: Tensor) -> "Trials":
        """The attempts ``chosen`` (indices or a mask)."""
        return replace(self, pixels=self.pixels[chosen], templates=self.templates[chosen])

    def batches(self, size: int) -> Iterator["Trials"]:
        """All of them, ``size`` at a time."""
        for start in range(0, len(self), size):
            yield self.rows(torch.arange(start, min(start + size, len(self))))


class Attack(Protocol):
    """Pixels within ``budget`` of the trials' own, and in [0, 1], as far as the attacker got.

    ``generator`` is where all chance comes from: the same state, the same pixels.
    """

    def __call__(
        self, face: nn.Module, trials: Trials, budget: Budget, generator: torch.Generator
    ) -> Tensor: ...


def to_pixels(crops: NDArray[np.uint8]) -> Tensor:
    """(B, S, S, 3) uint8 RGB crops -> (B, 3, S, S) float32 in [0, 1]."""
    return torch.from_numpy(np.ascontiguousarray(crops.transpose(0, 3, 1, 2))).float() / 255
