"""DenseNet-121 (Huang et al. 2017, arXiv:1608.06993, table 1) for 112x112 crops.

Each layer reads all maps before it. Its first BatchNorm stands before a ReLU and is read by it
alone, so it cannot be folded into what wrote the maps: folding leaves a ``ChannelAffine`` there.
The first convolution does not stride, so maps are as large as in the paper at 224x224; the feature
is the global average, 1024-d at width 1.
"""

import torch
from torch import Tensor, nn

from common.models.embedder import Architecture, Embedder, channels, conv_norm

_BLOCKS = (6, 12, 24, 16)  # layers of each dense block
_GROWTH = 32
_NARROW = 4  # a layer's inner channels, in growths


class Layer(nn.Module):
    """BN-ReLU-1x1-BN-ReLU-3x3 of all maps so far, set beside them."""

    def __init__(self, inputs: int, growth: int) -> None:
        super().__init__()
        inner = _NARROW * growth
        self.layers = nn.Sequential(
            nn.BatchNorm2d(inputs),
            nn.ReLU(),
            *conv_norm(inputs, inner, 1),
            nn.ReLU(),
            nn.Conv2d(inner, growth, 3, padding=1, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.layers(x)], 1)


def densenet(architecture: Architecture) -> Embedder:
    """The network for 112x112 crops."""
    now, growth = channels(64, architecture.width), channels(_GROWTH, architecture.width)
    layers: list[nn.Module] = [*conv_norm(3, now, 7), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    for number, depth in enumerate(_BLOCKS):
        if number:
            layers += _transition(now)
            now //= 2
        for _ in range(depth):
            layers.append(Layer(now, growth))
            now += growth
    layers += [nn.BatchNorm2d(now), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return Embedder(architecture, nn.Sequential(*layers), now)


def _transition(inputs: int) -> list[nn.Module]:
    """Half the channels, half the side."""
    narrow = nn.Conv2d(inputs, inputs // 2, 1, bias=False)
    return [nn.BatchNorm2d(inputs), nn.ReLU(), narrow, nn.AvgPool2d(2)]
