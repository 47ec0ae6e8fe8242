"""A subject that is attacked within seconds: patterns for people, a network of one layer."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from common.attacks.target import to_pixels
from common.faces.crops import SIDE, StoredCrops
from common.faces.faceset import FaceSet
from common.models.tail import Tail
from simulations.evidence.subject import Subject

FEATURES = 8 * 49


class SmallTrunk:
    """What evidence asks of a ``Trunk``: features, the same in torch, a name."""

    hash = "ab" * 32
    feature_dim = FEATURES
    manifest = SimpleNamespace(input_size=SIDE)

    def __init__(self, hiding: bool = False) -> None:
        self.module = SmallModule(hiding)

    def features(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        with torch.no_grad():
            made: NDArray[np.float32] = self.module(to_pixels(crops)).numpy()
        return made


class SmallModule(nn.Module):
    """Pixels (B, 3, 112, 112) -> features (B, 392); ``hiding`` rounds pixels to 8 levels first."""

    def __init__(self, hiding: bool) -> None:
        super().__init__()
        self.hiding = hiding
        generator = torch.Generator().manual_seed(0)
        self.kernel = torch.randn(8, 3, 4, 4, generator=generator) / 4

    def forward(self, pixels: Tensor) -> Tensor:
        seen = (pixels * 7).round() / 7 if self.hiding else pixels
        small = F.avg_pool2d(seen, 4) - 0.5
        return torch.tanh(F.conv2d(small, self.kernel, stride=4)).flatten(1)


def small_subject(*, hiding: bool = False, tested: int = 12, others: int = 24) -> Subject:
    """Three pictures of each person; what is random comes from fixed seeds."""
    trunk: Any = SmallTrunk(hiding)
    groups = [small_faces(tested, 1), small_faces(others, 2)]
    features = [trunk.features(faces.crops(range(len(faces)))) for faces in groups]
    return Subject(trunk, small_tail(), groups[0], groups[1], True, features[0], features[1])


def small_tail(seed: int = 0) -> Tail:
    weight = np.random.default_rng(seed).standard_normal((32, FEATURES)) / 20
    return Tail(weight.astype(np.float32), np.zeros(32, np.float32))


def small_faces(people: int, seed: int, pictures: int = 3) -> FaceSet:
    """A coarse pattern a person, and noise."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(people, 3, 7, 7, generator=generator)
    whole = F.interpolate(coarse, size=SIDE, mode="bilinear").repeat_interleave(pictures, 0)
    seen = whole + 0.08 * torch.randn(whole.shape, generator=generator)
    crops = (seen.clamp(0, 1) * 255).to(torch.uint8).permute(0, 2, 3, 1).numpy()
    person = np.repeat(np.arange(people, dtype=np.int64), pictures)
    names = tuple(f"p{one}" for one in range(people))
    return FaceSet(source=StoredCrops(np.ascontiguousarray(crops)), person=person, names=names)
