"""VGG-16 with BatchNorm (Simonyan & Zisserman 2014, arXiv:1409.1556, table 1, column D).

Thirteen 3x3 convolutions as in the paper; of its three fully connected layers the first keeps 4096
outputs, the second makes the 512-d feature of a template, and the third is the projection. For
112x112 crops the last map is 3x3. BatchNorm stands where the paper has Dropout.
"""

from torch import nn

from common.models.embedder import Architecture, Embedder, channels, conv_norm

_STAGES = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))  # channels, convolutions
_SIDE = 3  # pixels of the last map: 112 halved five times


def vgg16(architecture: Architecture) -> Embedder:
    """The network for 112x112 crops."""
    width = architecture.width
    layers: list[nn.Module] = []
    now = 3
    for base, convolutions in _STAGES:
        for _ in range(convolutions):
            outputs = channels(base, width)
            layers += [*conv_norm(now, outputs, 3), nn.ReLU()]
            now = outputs
        layers.append(nn.MaxPool2d(2))
    hidden, feature = channels(4096, width), channels(512, width)
    layers += [nn.Flatten(), *_dense(now * _SIDE * _SIDE, hidden), nn.ReLU()]
    layers += _dense(hidden, feature)
    return Embedder(architecture, nn.Sequential(*layers), feature)


def _dense(inputs: int, outputs: int) -> list[nn.Module]:
    return [nn.Linear(inputs, outputs, bias=False), nn.BatchNorm1d(outputs)]
