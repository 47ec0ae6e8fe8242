"""A small residual network for demos, tests and the starter trunk: 0.3 M parameters, 33 M MACs.

Plain 3x3 convolutions: without a GPU they train faster than depthwise ones of the same cost.
"""

import itertools

from torch import Tensor, nn

from common.models.embedder import Architecture, Embedder, channels, conv_norm, depth_norm


class Residual(nn.Module):
    """Two convolutions added to their input."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(*conv_norm(size, size, 3), nn.ReLU(), *conv_norm(size, size, 3))
        self.last = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.last(x + self.layers(x))
        return y


def tiny(architecture: Architecture) -> Embedder:
    """The network for 112x112 crops; its feature is a 192-d global depthwise convolution."""
    sizes = [channels(base, architecture.width) for base in (16, 24, 48, 96)]
    last = channels(192, architecture.width)
    layers: list[nn.Module] = [*conv_norm(3, sizes[0], 3, 2), nn.ReLU()]
    for inputs, outputs in itertools.pairwise(sizes):
        layers += [*conv_norm(inputs, outputs, 3, 2), nn.ReLU(), Residual(outputs)]
    layers += [*conv_norm(sizes[-1], last, 1), nn.ReLU()]
    layers += [*depth_norm(last, 7, padded=False), nn.Flatten()]
    return Embedder(architecture, nn.Sequential(*layers), last)
