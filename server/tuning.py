"""Tuning a linear tail on public people: epsilon 0, and the baseline a private arm must beat.

Features are computed once; a step is one matrix product, so a few seconds on one core suffice.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from common.errors import DataSetError
from common.heads.contrast import in_batch_contrast
from common.models.tail import Tail


@dataclass(frozen=True, kw_only=True, slots=True)
class TuningOptions:
    """Adam with cosine decay; every batch holds ``people`` persons with ``pictures`` each."""

    steps: int = 600
    people: int = 200
    pictures: int = 4
    learning_rate: float = 1e-3
    scale: float = 20.0
    pull: float = 0.01  # weight of the squared distance to where the tail started


def tune_tail(
    tail: Tail,
    views: NDArray[np.float32],
    person: NDArray[np.int64],
    options: TuningOptions,
    rng: np.random.Generator,
) -> Tail:
    """``tail`` after in-batch contrastive training on ``views`` (N, V, D) of ``person`` (N,).

    A batch draws persons, then pictures of each (with replacement where there are too few), then
    one view of each picture. ``DataSetError`` with fewer than two people.
    """
    pictures = [np.flatnonzero(person == p) for p in np.unique(person)]
    if len(pictures) < 2:
        raise DataSetError("tuning needs at least two public people")
    people, each = min(options.people, len(pictures)), options.pictures
    table = torch.from_numpy(np.ascontiguousarray(views, np.float32))  # (N, V, D)
    module = tail.module().train()
    start = [parameter.detach().clone() for parameter in module.parameters()]
    optimiser = torch.optim.Adam(module.parameters(), lr=options.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, options.steps)
    label = torch.arange(people).repeat_interleave(each)
    for _ in range(options.steps):
        drawn = rng.choice(len(pictures), people, replace=False)
        chosen = [rng.choice(pictures[p], each, replace=len(pictures[p]) < each) for p in drawn]
        picture = torch.from_numpy(np.concatenate(chosen))
        view = torch.from_numpy(rng.integers(0, views.shape[1], len(picture)))
        loss = in_batch_contrast(module(table[picture, view]), label, options.scale)
        for now, before in zip(module.parameters(), start, strict=True):
            loss = loss + options.pull * (now - before).square().sum()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
    return Tail(module.weight.detach().numpy(), module.bias.detach().numpy())
