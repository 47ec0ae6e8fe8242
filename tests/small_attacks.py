"""A network that is attacked within milliseconds, invented people of 24 pixels a side, attempts."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from common.attacks.target import Goal, Trials

SIDE, FEATURES, EMBEDDING = 24, 32, 16
THRESHOLD = 0.5


class SmallFace(nn.Module):
    """Pixels (B, 3, 24, 24) -> unit embeddings (B, 16); smooth, so gradients tell the truth."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.first = torch.randn(FEATURES, 3, 6, 6, generator=generator) / 10
        self.second = torch.randn(EMBEDDING, FEATURES * 16, generator=generator) / 20

    def features(self, pixels: Tensor) -> Tensor:
        """(B, 512)"""
        return torch.tanh(F.conv2d(pixels - 0.5, self.first, stride=6) * 2).flatten(1)

    def forward(self, pixels: Tensor) -> Tensor:
        return F.normalize(self.features(pixels) @ self.second.T)


@dataclass(frozen=True, eq=False)
class SmallPairs:
    """P probes against P templates: pictures, of one person each or of two."""

    probes: Tensor
    templates: Tensor
    goal: Goal

    def trials(self, face: nn.Module, threshold: float = THRESHOLD) -> Trials:
        """Those that the face decides correctly."""
        with torch.no_grad():
            trials = Trials(self.probes, face(self.templates), self.goal, threshold)
        return trials.rows(~trials.fooled(face, trials.pixels))


def small_people(people: int, pictures: int, seed: int = 1) -> Tensor:
    """(people, pictures, 3, 24, 24): coarse patterns, seen with noise."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(people, 3, 6, 6, generator=generator)
    whole = F.interpolate(coarse, size=SIDE, mode="bilinear")[:, None]
    noise = torch.randn(people, pictures, 3, SIDE, SIDE, generator=generator)
    return (whole + 0.05 * noise).clamp(0, 1)


def small_pairs(goal: Goal, people: int = 12, seed: int = 1) -> SmallPairs:
    """One pair a person: their two pictures, or their first and the next one's second."""
    shown = small_people(people, 2, seed)
    templates = shown[:, 1] if goal == "dodge" else shown[:, 1].roll(1, 0)
    return SmallPairs(shown[:, 0], templates, goal)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
