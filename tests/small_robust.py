"""Patterns for people and a trunk of one layer: attacked and trained on within seconds."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from common.attacks.target import to_pixels
from common.faces.crops import SIDE, StoredCrops
from common.faces.faceset import FaceSet
from common.models.tail import Tail

FEATURES = 8 * 49


class PatternTrunk:
    """What robust training asks of a ``Trunk``: features, the same in torch, a name."""

    hash = "ab" * 32
    feature_dim = FEATURES

    def __init__(self) -> None:
        self.module = _Layer()

    def features(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        with torch.no_grad():
            made: NDArray[np.float32] = self.module(to_pixels(crops)).numpy()
        return made


class _Layer(nn.Module):
    """Pixels (B, 3, 112, 112) -> features (B, 392); smooth."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel = torch.randn(8, 3, 4, 4, generator=torch.Generator().manual_seed(0)) / 4

    def forward(self, pixels: Tensor) -> Tensor:
        small = F.avg_pool2d(pixels, 4) - 0.5
        return torch.tanh(F.conv2d(small, self.kernel, stride=4)).flatten(1)


def pattern_tail() -> Tail:
    weight = np.random.default_rng(0).standard_normal((32, FEATURES)) / 20
    return Tail(weight.astype(np.float32), np.zeros(32, np.float32))


def pattern_people(people: int, seed: int, pictures: int = 3) -> FaceSet:
    """A coarse pattern a person, and noise."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(people, 3, 7, 7, generator=generator)
    whole = F.interpolate(coarse, size=SIDE, mode="bilinear").repeat_interleave(pictures, 0)
    seen = whole + 0.15 * torch.randn(whole.shape, generator=generator)
    crops = (seen.clamp(0, 1) * 255).to(torch.uint8).permute(0, 2, 3, 1).numpy()
    person = np.repeat(np.arange(people, dtype=np.int64), pictures)
    names = tuple(f"p{one}" for one in range(people))
    return FaceSet(source=StoredCrops(np.ascontiguousarray(crops)), person=person, names=names)
