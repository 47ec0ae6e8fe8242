"""IResNet with ReLU: the residual network of ArcFace (Deng et al. 2019, arXiv:1801.07698).

Blocks are BN-conv-BN-ReLU-conv-BN (improved residual unit, section 3.2.2 there); the feature is
the normalised output of the fully connected layer, and a linear projection follows as the tail.
"""

from torch import Tensor, nn

from common.models.embedder import Architecture, Embedder, channels, conv_norm

DEPTHS = {
    "iresnet18": (2, 2, 2, 2),
    "iresnet34": (3, 4, 6, 3),
    "iresnet50": (3, 4, 14, 3),
    "iresnet100": (3, 13, 30, 3),
}
_SIDE = 7  # pixels of the last map for 112x112 crops


class Block(nn.Module):
    """One improved residual unit; the shortcut is a 1x1 convolution where shapes change."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.BatchNorm2d(inputs),
            *conv_norm(inputs, outputs, 3),
            nn.ReLU(),
            *conv_norm(outputs, outputs, 3, stride),
        )
        same = stride == 1 and inputs == outputs
        changed = nn.Sequential(*conv_norm(inputs, outputs, 1, stride))
        self.shortcut = nn.Identity() if same else changed

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x) + self.shortcut(x)
        return y


def iresnet(architecture: Architecture) -> Embedder:
    """The network for 112x112 crops, of the depth its name says; feature 512-d at width 1."""
    width = architecture.width
    now, feature = channels(64, width), channels(512, width)
    layers: list[nn.Module] = [*conv_norm(3, now, 3), nn.ReLU()]
    for base, blocks in zip((64, 128, 256, 512), DEPTHS[architecture.name], strict=True):
        for index in range(blocks):
            outputs = channels(base, width)
            layers.append(Block(now, outputs, 2 if index == 0 else 1))
            now = outputs
    layers += [nn.BatchNorm2d(now), nn.Flatten()]
    layers += [nn.Linear(now * _SIDE * _SIDE, feature), nn.BatchNorm1d(feature)]
    return Embedder(architecture, nn.Sequential(*layers), feature)
