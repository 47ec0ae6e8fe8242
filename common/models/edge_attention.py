"""A small network that filters by depth and attends between channels: for processors at an edge.

EdgeNeXt's two blocks (Maaz et al. 2022, arXiv:2206.10589, section 3), the family that EdgeFace
(George et al. 2023, arXiv:2307.01838) found good for faces. Ours keeps BatchNorm and ReLU, which
fold and quantise, ends in the global depthwise convolution of MobileFaceNet, and keeps maps of
56 to 7 pixels, four times the area, as crops are small and aligned.
"""

import torch
from torch import Tensor, nn

from common.models.attention import ChannelAttention
from common.models.embedder import Architecture, Embedder, channels, conv_norm, depth_norm

HEADS = 4
_EXPANSION = 4
# channels, kernel, blocks that filter; parts into which the block that attends is split, 0: none
_STAGES = ((24, 3, 1, 0), (48, 3, 2, 2), (96, 5, 4, 3), (160, 7, 1, 4))


class Filtering(nn.Module):
    """One large filter by depth, then channels mixed; added to the input."""

    def __init__(self, size: int, kernel: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(*depth_norm(size, kernel), *_mixing(size))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.layers(x)
        return y


class Split(nn.Module):
    """Channels in parts: each is filtered with what the one before gave, so they see ever more."""

    def __init__(self, size: int, parts: int) -> None:
        super().__init__()
        least = size // parts
        self.sizes = [least] * (parts - 1) + [size - least * (parts - 1)]
        self.filters = nn.ModuleList(nn.Sequential(*depth_norm(least, 3)) for _ in range(parts - 1))

    def forward(self, x: Tensor) -> Tensor:
        made = [self.filters[0](x.narrow(1, 0, self.sizes[0]))]
        start = self.sizes[0]
        for number in range(1, len(self.filters)):
            part = x.narrow(1, start, self.sizes[number])
            made.append(self.filters[number](part + made[-1]))
            start += self.sizes[number]
        return torch.cat([*made, x.narrow(1, start, self.sizes[-1])], 1)


class Attending(nn.Module):
    """Filters of growing reach, attention between channels, channels mixed; added to the input."""

    def __init__(self, size: int, parts: int) -> None:
        super().__init__()
        self.split = Split(size, parts)
        self.query = nn.Sequential(*conv_norm(size, size, 1))
        self.key = nn.Sequential(*conv_norm(size, size, 1))
        self.value = nn.Sequential(*conv_norm(size, size, 1))
        self.attention = ChannelAttention(size, HEADS)
        self.joined = nn.Sequential(*conv_norm(size, size, 1))
        self.mixing = nn.Sequential(*_mixing(size))

    def forward(self, x: Tensor) -> Tensor:
        y = self.split(x)
        y = y + self.joined(self.attention(self.query(y), self.key(y), self.value(y)))
        made: Tensor = x + self.mixing(y)
        return made


def edge_attention(architecture: Architecture) -> Embedder:
    """The network for 112x112 crops; its feature is a 512-d global depthwise convolution."""
    width = architecture.width
    now, last = channels(_STAGES[0][0], width), channels(512, width)
    layers: list[nn.Module] = [*conv_norm(3, now, 3, 2), nn.ReLU()]
    for number, (base, kernel, blocks, parts) in enumerate(_STAGES):
        size = channels(base, width)
        if number:
            layers += conv_norm(now, size, 3, 2)
        layers += [Filtering(size, kernel) for _ in range(blocks)]
        if parts:
            layers.append(Attending(size, parts))
        now = size
    layers += [*conv_norm(now, last, 1), nn.ReLU()]
    layers += [*depth_norm(last, 7, padded=False), nn.Flatten()]
    return Embedder(architecture, nn.Sequential(*layers), last)


def _mixing(size: int) -> list[nn.Module]:
    """Channels to four times as many, ReLU, and back."""
    inner = _EXPANSION * size
    return [*conv_norm(size, inner, 1), nn.ReLU(), *conv_norm(inner, size, 1)]
