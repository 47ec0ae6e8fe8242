"""The detector's network: one body that looks at a picture three times as coarse each time.

At steps of 8, 16 and 32 pixels each cell says whether the middle of a face lies in it, how large
the face is, and where its five landmarks are: no anchors. 0.23 M parameters, 0.5 G MACs for a
picture of 640x480. BatchNorm is for public training; it is folded before anything else is done.
"""

import math

import torch
from torch import Tensor, nn

from common.detection.cells import ANSWERS
from common.models.embedder import channels, conv_norm
from common.models.tiny import Residual

_BODY = (16, 24, 32, 56, 56)  # channels at steps of 2, 4, 8, 16, 32
_HEAD = 24
_RARE = 0.01  # share of cells that hold a face before anything is learned


class Body(nn.Module):
    """(B, 3, H, W) in [-1, 1] -> maps at steps of 8, 16 and 32 pixels; H and W multiples of 32.

    What every task of a joint network shares.
    """

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        stem, low, fine, middle, coarse = self.sizes = [channels(base, width) for base in _BODY]
        self.fine = nn.Sequential(
            *_down(3, stem),
            *_down(stem, low),
            *_down(low, fine),
            Residual(fine),
            Residual(fine),
        )
        self.middle = nn.Sequential(*_down(fine, middle), Residual(middle))
        self.coarse = nn.Sequential(*_down(middle, coarse), Residual(coarse))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        fine = self.fine(x)
        middle = self.middle(fine)
        return fine, middle, self.coarse(middle)


class FaceHead(nn.Module):
    """A map (B, C, h, w) -> (B, ANSWERS, h * w): one row of answers a cell, row by row."""

    def __init__(self, inputs: int, width: float = 1.0) -> None:
        super().__init__()
        inner = channels(_HEAD, width)
        self.look = nn.Sequential(*conv_norm(inputs, inner, 3), nn.ReLU())
        self.answer = nn.Conv2d(inner, ANSWERS, 1)
        self.rows = nn.Flatten(2)
        with torch.no_grad():
            self.answer.weight.mul_(0.1)
            self.answer.bias.zero_()  # type: ignore[union-attr]
            self.answer.bias[0] = math.log(_RARE / (1 - _RARE))  # type: ignore[index]

    def forward(self, x: Tensor) -> Tensor:
        rows: Tensor = self.rows(self.answer(self.look(x)))
        return rows


class FaceHeads(nn.Module):
    """The body's three maps -> (B, ANSWERS, N), the cells of the finest map first."""

    def __init__(self, sizes: list[int], width: float = 1.0) -> None:
        super().__init__()
        self.fine = FaceHead(sizes[2], width)
        self.middle = FaceHead(sizes[3], width)
        self.coarse = FaceHead(sizes[4], width)

    def forward(self, fine: Tensor, middle: Tensor, coarse: Tensor) -> Tensor:
        return torch.cat([self.fine(fine), self.middle(middle), self.coarse(coarse)], 2)


class DetectorNetwork(nn.Module):
    """(B, 3, H, W) pixels in [-1, 1] -> (B, ANSWERS, N) of all cells; sides multiples of 32."""

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        self.width = width
        self.body = Body(width)
        self.heads = FaceHeads(self.body.sizes, width)

    def forward(self, x: Tensor) -> Tensor:
        fine, middle, coarse = self.body(x)
        answers: Tensor = self.heads(fine, middle, coarse)
        return answers


def build_detector(seed: int = 0, width: float = 1.0) -> DetectorNetwork:
    """A new network, the same for the same seed; the global random state is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return DetectorNetwork(width)


def _down(inputs: int, outputs: int) -> list[nn.Module]:
    return [*conv_norm(inputs, outputs, 3, 2), nn.ReLU()]
