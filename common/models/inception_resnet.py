"""Inception-ResNet-v1 (Szegedy et al. 2016, arXiv:1602.07261, figures 10-14), as used for faces.

Branches of several kernels, joined by a 1x1 convolution and added to their input at a fraction. As
in FaceNet's public re-implementation for faces the last residual is whole and has no ReLU. Made for
160x160 and more: a 112x112 crop comes to 2x2 pixels. The feature is the global average, 1792-d at
width 1.
"""

import torch
from torch import Tensor, nn

from common.models.embedder import Architecture, Embedder, channels

Size = int | tuple[int, int]


class Branches(nn.Module):
    """Several ways to read one map, their results side by side."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches], 1)


class Residual(nn.Module):
    """A fraction ``scale`` of the branches, added to the input; then ReLU, but for the last one."""

    def __init__(self, size: int, branches: list[nn.Module], joined: int, scale: float) -> None:
        super().__init__()
        self.branches, self.join = Branches(*branches), nn.Conv2d(joined, size, 1)
        self.scale, self.last = scale, nn.Identity() if scale == 1 else nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.last(x + self.join(self.branches(x)) * self.scale)
        return y


def inception_resnet(architecture: Architecture) -> Embedder:
    """The network for 112x112 crops."""
    made = _Maker(architecture.width)
    layers = [
        *made.stem(),
        *(made.block35() for _ in range(5)),
        made.reduction(256, [(3, 384)], [(1, 192), (3, 192), (3, 256)]),
        *(made.block17() for _ in range(10)),
        made.reduction(
            896, [(1, 256), (3, 384)], [(1, 256), (3, 256)], [(1, 256), (3, 256), (3, 256)]
        ),
        *(made.block8(0.2) for _ in range(5)),
        made.block8(1.0),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    ]
    return Embedder(architecture, nn.Sequential(*layers), made.now)


class _Maker:
    """Builds the parts in order, at a width; ``now`` channels leave the last one built."""

    def __init__(self, width: float) -> None:
        self._width, self.now = width, 3

    def stem(self) -> list[nn.Module]:
        made: list[nn.Module] = []
        for base, size, stride, padding in ((32, 3, 2, 0), (32, 3, 1, 0), (64, 3, 1, 1)):
            made.append(self._layer(base, size, stride, padding))
        made.append(nn.MaxPool2d(3, 2))
        for base, size, stride in ((80, 1, 1), (192, 3, 1), (256, 3, 2)):
            made.append(self._layer(base, size, stride, 0))
        return made

    def block35(self) -> nn.Module:
        ways: list[list[tuple[Size, int]]] = [
            [(1, 32)], [(1, 32), (3, 32)], [(1, 32), (3, 32), (3, 32)]
        ]  # fmt: skip
        return self._residual(ways, 0.17)

    def block17(self) -> nn.Module:
        return self._residual([[(1, 128)], [(1, 128), ((1, 7), 128), ((7, 1), 128)]], 0.1)

    def block8(self, scale: float) -> nn.Module:
        return self._residual([[(1, 192)], [(1, 192), ((1, 3), 192), ((3, 1), 192)]], scale)

    def reduction(self, base: int, *ways: list[tuple[Size, int]]) -> nn.Module:
        """Halves the side of ``base`` channels: each way's last layer strides, a maximum too."""
        inputs, branches, total = self.now, [], 0
        for way in ways:
            self.now = inputs
            layers = [self._layer(size, kernel) for kernel, size in way[:-1]]
            layers.append(self._layer(way[-1][1], way[-1][0], 2, 0))
            branches.append(nn.Sequential(*layers))
            total += self.now
        self.now = inputs + total
        return Branches(*branches, nn.MaxPool2d(3, 2))

    def _residual(self, ways: list[list[tuple[Size, int]]], scale: float) -> nn.Module:
        inputs, branches, joined = self.now, [], 0
        for way in ways:
            self.now = inputs
            branches.append(nn.Sequential(*(self._layer(size, kernel) for kernel, size in way)))
            joined += self.now
        self.now = inputs
        return Residual(inputs, list(branches), joined, scale)

    def _layer(
        self, base: int, kernel: Size, stride: int = 1, padding: int | None = None
    ) -> nn.Sequential:
        """Convolution, BatchNorm, ReLU; same size unless it strides or ``padding`` says less."""
        height, width = (kernel, kernel) if isinstance(kernel, int) else kernel
        edge = (height // 2, width // 2) if padding is None else (padding, padding)
        outputs = channels(base, self._width)
        conv = nn.Conv2d(self.now, outputs, (height, width), stride, edge, bias=False)
        self.now = outputs
        return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU())
