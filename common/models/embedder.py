"""The form of every network of the registry: a body that sees, a projection that names.

``body`` ends in the feature (the future trunk), ``projection`` is linear (the future tail).
"""

from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class Architecture:
    """What the registry must know to build the same network again."""

    name: str
    embedding: int = 128
    width: float = 1.0  # factor on the channels


class Embedder(nn.Module):
    """(B, 3, 112, 112) normalised pixels -> (B, E) embeddings, not normalised."""

    def __init__(self, architecture: Architecture, body: nn.Module, feature_dim: int) -> None:
        super().__init__()
        self.architecture, self.feature_dim = architecture, feature_dim
        self.body = body
        self.projection = nn.Sequential(
            nn.Linear(feature_dim, architecture.embedding, bias=False),
            nn.BatchNorm1d(architecture.embedding),
        )

    def forward(self, x: Tensor) -> Tensor:
        embedded: Tensor = self.projection(self.body(x))
        return embedded


def channels(base: int, width: float) -> int:
    """``base`` channels at ``width``, at least 4 and a multiple of 4."""
    return max(4, round(base * width / 4) * 4)


def conv_norm(inputs: int, outputs: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    """A convolution of same-size padding followed by its BatchNorm."""
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
    return [conv, nn.BatchNorm2d(outputs)]


def depth_norm(size: int, kernel: int, stride: int = 1, *, padded: bool = True) -> list[nn.Module]:
    """A convolution of each channel by itself followed by its BatchNorm."""
    padding = kernel // 2 if padded else 0
    conv = nn.Conv2d(size, size, kernel, stride, padding, groups=size, bias=False)
    return [conv, nn.BatchNorm2d(size)]
