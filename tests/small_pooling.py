"""Weights of pictures whose every parameter counts, for tests, and what they weigh."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from common.faces.crops import StoredCrops
from common.faces.faceset import FaceSet
from common.matching.learnt import Kind, Learnt
from common.matching.set_file import parse_set, set_bytes
from common.matching.set_weights import SetWeights, make_weights

DIM = 12


def stirred(kind: Kind, seed: int = 0, dim: int = DIM, by: float = 1.0) -> SetWeights:
    """Weights whose every parameter counts."""
    model = make_weights(kind, dim, 5, seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(by * torch.randn(parameter.shape, generator=generator))
    return model.eval()


def at_work(model: SetWeights, trunk: str = "ab" * 32) -> Learnt:
    """What a door has of ``model``."""
    return parse_set(set_bytes(model, trunk), "there")


def weights_of(model: SetWeights, features: ArrayLike, quality: ArrayLike) -> NDArray[np.float32]:
    """Those of one person's pictures."""
    return at_work(model).shares(features, quality)


def written(path: Path, trunk: str, dim: int, seed: int = 0) -> Path:
    """A file of weights for ``trunk`` at ``path``, not far from those of quality."""
    path.write_bytes(set_bytes(stirred("attention", seed, dim, 0.1), trunk))
    return path


def a_set(pictures: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Features and qualities of one person."""
    rng = np.random.default_rng(seed)
    features = rng.standard_normal((pictures, DIM)).astype(np.float32) * 3
    return features, rng.uniform(0, 1, pictures).astype(np.float32)


def squares(people: int, pictures: int, seed: int) -> FaceSet:
    """Coloured squares, each person's alike: nobody's face, and quick to draw."""
    rng = np.random.default_rng(seed)
    own = rng.integers(0, 256, (people, 1, 7, 7, 3))
    small = (own + rng.integers(-20, 20, (people, pictures, 7, 7, 3))).clip(0, 255)
    crops = small.reshape(-1, 7, 7, 3).repeat(16, axis=1).repeat(16, axis=2).astype(np.uint8)
    return FaceSet(
        source=StoredCrops(crops),
        person=np.repeat(np.arange(people), pictures),
        names=tuple(map(str, range(people))),
    )
