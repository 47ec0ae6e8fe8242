"""Batches for training: drawn, augmented and photographed one ahead of the step that needs them."""

import dataclasses
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from common.faces.augment import augmented
from common.faces.crops import Indices
from common.faces.faceset import FaceSet
from server.pretraining.options import PretrainOptions
from server.pretraining.sampling import Sampler


@dataclass(frozen=True, eq=False, slots=True)
class FeedState:
    """From where batches go on: the generator's state, and what is left of a pass."""

    generator: dict[str, Any]
    left: Indices


@dataclass(frozen=True, eq=False, slots=True)
class Batch:
    """Crops (B, S, S, 3) uint8, people (B,), and from where the next batch comes."""

    crops: Tensor
    person: Tensor
    after: FeedState


class Feed:
    """Batches of ``faces``; the same ``rng`` gives the same ones, whoever asks how fast."""

    def __init__(self, faces: FaceSet, options: PretrainOptions, rng: np.random.Generator) -> None:
        self.faces, self.options, self.rng = faces, options, rng
        self._label = np.searchsorted(faces.people, faces.person)
        self._sampler = Sampler(self._label, options)

    @property
    def state(self) -> FeedState:
        """From where the next batch comes; asked between batches."""
        return FeedState(dict(self.rng.bit_generator.state), self._sampler.left)

    def go_on(self, state: FeedState) -> None:
        """The next batch will be the one that would have come after ``state``."""
        self.rng.bit_generator.state = state.generator
        self._sampler.left = state.left

    def batches(self, number: int) -> Iterator[Batch]:
        """``number`` batches, each made by another thread while the one before is used."""
        if number < 1:
            return
        with ThreadPoolExecutor(1) as maker:
            coming = maker.submit(self._next)
            for left in range(number - 1, -1, -1):
                batch = coming.result()
                if left:
                    coming = maker.submit(self._next)
                yield batch

    def _next(self) -> Batch:
        indices = self._sampler.draw(self.rng)
        crops = shoot(self.faces.crops(indices), self.options, self.rng)
        for row, crop in enumerate(crops):
            crops[row] = augmented(crop, self.options.augment, self.rng)
        person = torch.from_numpy(self._label[indices])
        return Batch(torch.from_numpy(crops), person, self.state)


def shoot(
    crops: NDArray[np.uint8], options: PretrainOptions, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """``crops`` (B, S, S, 3), a share of which has passed the camera; they are changed in place."""
    if options.camera is None:
        return crops
    camera = dataclasses.replace(options.camera, seed=seed(rng))
    for row in np.flatnonzero(rng.random(len(crops)) < options.camera_share):
        crops[row] = camera.shoot(crops[row])
    return crops


def pixels(crops: Tensor) -> Tensor:
    """(B, S, S, 3) uint8 -> (B, 3, S, S) in [-1, 1], as ``save_trunk`` promises."""
    planes = crops.permute(0, 3, 1, 2)  # channels last, the faster layout
    return planes.float().div_(127.5).sub_(1)


def seed(rng: np.random.Generator) -> int:
    """A seed for somebody else's generator."""
    return int(rng.integers(1 << 31))
