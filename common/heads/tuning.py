"""Tuning a linear tail by in-batch contrast: on public people, or by a site on its own for itself.

Features are computed once; a step is one matrix product, so a few seconds on one core suffice.
Nothing here is private: a tail tuned on people's faces stays where the faces are.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from common.errors import DataSetError
from common.heads.contrast import in_batch_contrast
from common.models.tail import Tail

CHECKS = 6

Check = Callable[[int, Tail], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class TuningOptions:
    """Adam with cosine decay; every batch holds ``people`` persons with ``pictures`` each."""

    steps: int = 600
    people: int = 200
    pictures: int = 4
    learning_rate: float = 1e-3
    scale: float = 20.0
    pull: float = 0.01  # weight of the squared distance to where the tail started
    stop: int | None = None  # leave the schedule after so many steps


def tune_tail(
    tail: Tail,
    views: NDArray[np.float32],
    person: NDArray[np.int64],
    options: TuningOptions,
    rng: np.random.Generator,
    check: Check | None = None,
) -> Tail:
    """``tail`` after in-batch contrastive training on ``views`` (N, V, D) of ``person`` (N,).

    A batch draws persons, then pictures of each (with replacement where there are too few), then
    one view of each picture. ``check`` is shown the tail at every ``CHECKS``-th of the way.
    ``DataSetError`` with fewer than two people.
    """
    batches = _Batches(views, person, options, rng)
    module = tail.module().train()
    start = [parameter.detach().clone() for parameter in module.parameters()]
    optimiser = torch.optim.Adam(module.parameters(), lr=options.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, options.steps)
    for step in range(1, (options.stop or options.steps) + 1):
        features, label = batches.draw()
        loss = in_batch_contrast(module(features), label, options.scale)
        for now, before in zip(module.parameters(), start, strict=True):
            loss = loss + options.pull * (now - before).square().sum()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        if check is not None and step % max(1, options.steps // CHECKS) == 0:
            check(step, _tail(module))
    return _tail(module)


class _Batches:
    def __init__(
        self,
        views: NDArray[np.float32],
        person: NDArray[np.int64],
        options: TuningOptions,
        rng: np.random.Generator,
    ) -> None:
        self._pictures = [np.flatnonzero(person == p) for p in np.unique(person)]
        if len(self._pictures) < 2:
            raise DataSetError("tuning needs at least two people")
        self._table = torch.from_numpy(np.ascontiguousarray(views, np.float32))  # (N, V, D)
        self._people = min(options.people, len(self._pictures))
        self._each, self._rng = options.pictures, rng
        self._label = torch.arange(self._people).repeat_interleave(self._each)

    def draw(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Features (B, D) and labels (B,)."""
        drawn = self._rng.choice(len(self._pictures), self._people, replace=False)
        chosen = [self._some(self._pictures[p]) for p in drawn]
        picture = torch.from_numpy(np.concatenate(chosen))
        view = torch.from_numpy(self._rng.integers(0, self._table.shape[1], len(picture)))
        return self._table[picture, view], self._label

    def _some(self, pictures: NDArray[np.intp]) -> NDArray[np.intp]:
        return self._rng.choice(pictures, self._each, replace=len(pictures) < self._each)


def _tail(module: nn.Linear) -> Tail:
    return Tail(module.weight.detach().numpy(), module.bias.detach().numpy())
