"""ResNet (He et al. 2015, arXiv:1512.03385, table 1) for 112x112 crops.

The first convolution does not stride: every map is as large as it is in the paper at 224x224, and
parameters and operations of the body are the paper's. The feature is the global average, 512-d from
basic blocks and 2048-d from bottlenecks, both at width 1.
"""

from dataclasses import dataclass

from torch import Tensor, nn

from common.models.embedder import Architecture, Embedder, channels, conv_norm

_STAGES = (64, 128, 256, 512)


class Basic(nn.Module):
    """Two 3x3 convolutions added to their input, then ReLU."""

    growth = 1

    def __init__(self, inputs: int, inner: int, stride: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *conv_norm(inputs, inner, 3, stride), nn.ReLU(), *conv_norm(inner, inner, 3)
        )
        self.shortcut = _shortcut(inputs, inner, stride)
        self.last = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.last(self.layers(x) + self.shortcut(x))
        return y


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 to four times the channels, added to the input, then ReLU."""

    growth = 4

    def __init__(self, inputs: int, inner: int, stride: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *conv_norm(inputs, inner, 1, stride),
            nn.ReLU(),
            *conv_norm(inner, inner, 3),
            nn.ReLU(),
            *conv_norm(inner, self.growth * inner, 1),
        )
        self.shortcut = _shortcut(inputs, self.growth * inner, stride)
        self.last = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.last(self.layers(x) + self.shortcut(x))
        return y


@dataclass(frozen=True, slots=True)
class _Depth:
    """Which block, and how many of it in each stage."""

    block: type[Basic] | type[Bottleneck]
    blocks: tuple[int, int, int, int]


DEPTHS = {
    "resnet18": _Depth(Basic, (2, 2, 2, 2)),
    "resnet34": _Depth(Basic, (3, 4, 6, 3)),
    "resnet50": _Depth(Bottleneck, (3, 4, 6, 3)),
    "resnet101": _Depth(Bottleneck, (3, 4, 23, 3)),
    "resnet152": _Depth(Bottleneck, (3, 8, 36, 3)),
}


def resnet(architecture: Architecture) -> Embedder:
    """The network for 112x112 crops, of the depth its name says."""
    depth, width = DEPTHS[architecture.name], architecture.width
    now = channels(64, width)
    layers: list[nn.Module] = [*conv_norm(3, now, 7), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    for stage, (base, blocks) in enumerate(zip(_STAGES, depth.blocks, strict=True)):
        inner = channels(base, width)
        for index in range(blocks):
            layers.append(depth.block(now, inner, 2 if stage and not index else 1))
            now = depth.block.growth * inner
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return Embedder(architecture, nn.Sequential(*layers), now)


def _shortcut(inputs: int, outputs: int, stride: int) -> nn.Module:
    """The input itself, or a 1x1 convolution where shapes change (option B of the paper)."""
    if stride == 1 and inputs == outputs:
        return nn.Identity()
    return nn.Sequential(*conv_norm(inputs, outputs, 1, stride))
