"""Public training of heads on a frozen trunk: each learns its lines, and stops where it is best.

For public or invented people only. Heads share no number, so the joint loss falls apart into one
problem for each; they meet again in the weights (``weights``), which the private steps sum with.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from common.errors import DataSetError
from common.heads.head import Head, PictureLabels

Arrays = dict[str, NDArray[np.float32]]


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Lesson:
    """``features`` (N, D) as heads see them, scaled, and what is said of the N pictures."""

    features: NDArray[np.float32]
    labels: PictureLabels


@dataclass(frozen=True, kw_only=True, slots=True)
class HeadTraining:
    """Adam on the whole lesson. ``decays``, of which the best is chosen, weigh the mean squared
    coefficient; training ends when the held-out loss has not fallen for ``patience`` steps."""

    steps: int = 500
    learning_rate: float = 0.05
    decays: tuple[float, ...] = (1e-2, 1e-1, 1.0)
    patience: int = 100  # the first steps of Adam lead astray
    seed: int = 0


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Learnt:
    """``arrays`` of one head with its ``loss`` on the held-out lesson, the ``steps`` it took and
    the ``decay`` that was best."""

    arrays: Arrays
    loss: float
    steps: int
    decay: float


def train_heads(
    heads: Sequence[Head], taught: Lesson, held: Lesson, options: HeadTraining
) -> dict[str, Learnt]:
    """Each head, by kind, as it did best on ``held``, whose people are others than ``taught``'s.

    ``DataSetError`` where nothing is labelled for some head on either side.
    """
    found = {}
    for head in heads:
        tried = [_train(head, taught, held, options, decay) for decay in options.decays]
        found[head.kind] = min(tried, key=lambda one: one.loss)
    return found


def _train(head: Head, taught: Lesson, held: Lesson, options: HeadTraining, decay: float) -> Learnt:
    features, unseen = torch.from_numpy(taught.features), torch.from_numpy(held.features)
    drawn = head.arrays(features.shape[1], torch.Generator().manual_seed(options.seed))
    leaves = {name: array.clone().requires_grad_(True) for name, array in drawn.items()}
    search = torch.optim.Adam(list(leaves.values()), lr=options.learning_rate)
    best, least, at = {}, float("inf"), 0
    for step in range(options.steps + 1):
        with torch.no_grad():
            now = float(head.loss(leaves, unseen, held.labels))
        if now < least:
            best = {name: leaf.detach().numpy().copy() for name, leaf in leaves.items()}
            least, at = now, step
        loss = head.loss(leaves, features, taught.labels)
        if not step and not (now > 0 and float(loss.detach()) > 0):
            raise DataSetError(f"nothing that the {head.kind} head could learn from is labelled")
        if step == options.steps or step - at > options.patience:
            break
        shrink = torch.stack([leaf.square().mean() for leaf in leaves.values() if leaf.ndim > 1])
        search.zero_grad()
        torch.autograd.backward(loss + decay * shrink.sum())
        search.step()
    return Learnt(arrays=best, loss=least, steps=at, decay=decay)
