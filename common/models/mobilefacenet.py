"""MobileFaceNet with ReLU (Chen et al. 2018, arXiv:1804.07573, table 1): 1.0 M parameters.

ReLU and not PReLU: onnxruntime fuses it, which is 2.5 times faster in float32 and 5 in int8.
"""

from torch import Tensor, nn

from common.models.embedder import Architecture, Embedder, channels, conv_norm, depth_norm

# expansion, channels, repetitions, stride of the first
_STAGES = ((2, 64, 5, 2), (4, 128, 1, 2), (2, 128, 6, 1), (4, 128, 1, 2), (2, 128, 2, 1))


class Bottleneck(nn.Module):
    """Expand, filter by depth, project linearly; added to its input where shapes allow."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = inputs * expansion
        self.residual = stride == 1 and inputs == outputs
        self.layers = nn.Sequential(
            *conv_norm(inputs, inner, 1),
            nn.ReLU(),
            *depth_norm(inner, 3, stride),
            nn.ReLU(),
            *conv_norm(inner, outputs, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x)
        return x + y if self.residual else y


def mobilefacenet(architecture: Architecture) -> Embedder:
    """The network for 112x112 crops; its feature is the 512-d global depthwise convolution."""
    width = architecture.width
    now, last = channels(64, width), channels(512, width)
    layers: list[nn.Module] = [*conv_norm(3, now, 3, 2), nn.ReLU()]
    layers += [*depth_norm(now, 3), nn.ReLU()]
    for expansion, base, repetitions, first in _STAGES:
        for index in range(repetitions):
            outputs = channels(base, width)
            layers.append(Bottleneck(now, outputs, first if index == 0 else 1, expansion))
            now = outputs
    layers += [*conv_norm(now, last, 1), nn.ReLU()]
    layers += [*depth_norm(last, 7, padded=False), nn.Flatten()]
    return Embedder(architecture, nn.Sequential(*layers), last)
