"""Learning how to weigh pictures: two templates of one person shall be alike, and no others'.

Features are computed once, so that a thousand steps take seconds. For public and invented people
only: a batch contrasts them with each other.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F  # noqa: N812

from common.errors import ConfigError, DataSetError
from common.heads.contrast import in_batch_contrast
from common.matching.set_weights import SetWeights
from common.metrics.verification import unit_rows
from common.models.tail import Tail


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Frames:
    """N pictures in V states (as they are, through cameras) of ``person`` (N,).

    ``features`` (N, V, D) of the trunk, ``quality`` (N, V) in [0, 1].
    """

    features: NDArray[np.float32]
    quality: NDArray[np.float32]
    person: NDArray[np.int64]

    def of(self, pictures: NDArray[np.int64]) -> "Frames":
        """These of them."""
        return Frames(
            features=self.features[pictures],
            quality=self.quality[pictures],
            person=self.person[pictures],
        )

    def groups(self, least: int) -> list[NDArray[np.int64]]:
        """The pictures of each person who has ``least`` or more."""
        found = [np.flatnonzero(self.person == p) for p in np.unique(self.person)]
        return [group for group in found if len(group) >= least]


@dataclass(frozen=True, kw_only=True, slots=True)
class LearningOptions:
    """Adam with cosine decay; a batch has two templates of ``people`` persons each."""

    steps: int = 400
    people: int = 48
    most: int = 6  # pictures of a template, at most
    learning_rate: float = 3e-3
    weight_decay: float = 1e-3
    scale: float = 20.0

    def __post_init__(self) -> None:
        if min(self.steps, self.people - 1, self.most, self.learning_rate, self.scale) <= 0:
            raise ConfigError("steps, people, most, learning_rate and scale must be positive")


def learn_weights(
    model: SetWeights,
    frames: Frames,
    tail: Tail,
    options: LearningOptions,
    rng: np.random.Generator,
) -> SetWeights:
    """``model`` after learning from ``frames`` as ``tail`` embeds them, in eval mode.

    The same arguments give the same weights. ``DataSetError`` where fewer than two people have two
    pictures.
    """
    groups = frames.groups(2)
    if len(groups) < 2:
        raise DataSetError("learning to pool needs two people with two pictures each")
    shape = frames.features.shape
    embedded = tail.embed(frames.features.reshape(-1, shape[2]))
    directions = torch.from_numpy(unit_rows(embedded)).reshape(*shape[:2], -1)
    features, quality = torch.from_numpy(frames.features), torch.from_numpy(frames.quality)
    optimiser = torch.optim.AdamW(
        model.parameters(), lr=options.learning_rate, weight_decay=options.weight_decay
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, options.steps)
    model.train()
    for _ in range(options.steps):
        picture, there = _drawn(groups, options, rng)
        state = torch.from_numpy(rng.integers(0, shape[1], picture.shape))
        weight = model(features[picture, state], quality[picture, state], there)
        template = F.normalize((weight[..., None] * directions[picture, state]).sum(1))
        label = torch.arange(len(picture) // 2).repeat_interleave(2)
        loss = in_batch_contrast(template, label, options.scale)
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
        schedule.step()
    return model.eval()


def _drawn(
    groups: list[NDArray[np.int64]], options: LearningOptions, rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures (2 P, K) of two templates a person, which share none, and which of them count."""
    chosen = rng.permutation(len(groups))[: options.people]
    picture = np.zeros((2 * len(chosen), options.most), np.int64)
    there = np.zeros(picture.shape, np.bool_)
    for row, number in enumerate(chosen):
        shown = rng.permutation(groups[number])
        half = len(shown) // 2
        for side, part in enumerate((shown[:half], shown[half:])):
            size = int(rng.integers(1, min(options.most, len(part)) + 1))
            picture[2 * row + side, :size] = part[:size]
            there[2 * row + side, :size] = True
    return torch.from_numpy(picture), torch.from_numpy(there)
