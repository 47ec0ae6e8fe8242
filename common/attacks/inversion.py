"""From a template back to a picture, by gradients through the network; and what counts as success.

Success as the field tells it (Mai et al. 2019, NbNet; ISO/IEC 30136): a reconstruction is accepted
as the person it came from. Type I compares it with the very template it was made from, type II
with another picture's of the same person, which is what an attacker at a door meets. The threshold
is fixed beforehand on other people. A picture that looks like nobody but is accepted is a success.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from common.errors import ModelError
from common.metrics.shares import wilson

Floats = NDArray[np.float32]
Figures = dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Descent:
    """Adam on pixels: ``steps`` of ``rate``, with ``smooth`` times the total variation."""

    steps: int = 60
    rate: float = 0.02
    smooth: float = 2.0
    batch: int = 32

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch < 1 or self.rate <= 0 or self.smooth < 0:
            raise ModelError(f"not a descent: {self}")


def descend(
    face: nn.Module,
    start: Tensor,
    wanted: Floats,
    how: Descent,
    done: Callable[[int], None] = lambda pictures: None,
) -> Tensor:
    """Pixels (B, 3, S, S) in [0, 1] whose embedding points where ``wanted`` (B, E) does.

    ``start`` (B, 3, S, S) is where the search begins: what a decoder made, or a mean face. No
    chance enters: the same start, the same picture. ``done`` is told of pictures finished.
    """
    if len(start) != len(wanted):
        raise ModelError(f"{len(start)} starts for {len(wanted)} templates")
    aims = torch.nn.functional.normalize(torch.from_numpy(np.array(wanted, np.float32)))
    found = []
    for first in range(0, len(start), how.batch):
        part = slice(first, first + how.batch)
        found.append(_descended(face, start[part], aims[part], how))
        done(len(found[-1]))
    return torch.cat(found) if found else start.clone()


def roughness(pixels: Tensor) -> Tensor:
    """(B,): how much neighbouring pixels differ in the mean, over both directions."""
    across = (pixels[..., 1:] - pixels[..., :-1]).abs().mean(dim=(1, 2, 3))
    return across + (pixels[..., 1:, :] - pixels[..., :-1, :]).abs().mean(dim=(1, 2, 3))


def embedded(face: nn.Module, pixels: Tensor, batch: int = 64) -> Floats:
    """(B, E) unit embeddings of ``pixels`` (B, 3, S, S)."""
    with torch.no_grad():
        parts = [face(pixels[i : i + batch]) for i in range(0, len(pixels), batch)]
    return torch.cat(parts).numpy()


@dataclass(frozen=True, eq=False, repr=False)
class Victims:
    """P people, one row each, all unit (P, E): the template that was attacked (``own``), one of
    another picture of the person (``other``). ``threshold`` was fixed on others.
    """

    own: Floats
    other: Floats
    threshold: float

    def __post_init__(self) -> None:
        if self.own.shape != self.other.shape or len(self.own) < 2:
            raise ModelError("two victims or more are needed, with two templates each")

    def __len__(self) -> int:
        return len(self.own)

    def first(self, most: int) -> "Victims":
        """The first ``most`` of them."""
        return Victims(self.own[:most], self.other[:most], self.threshold)

    def judged(self, found: Floats) -> Figures:
        """What ``found`` (P, E), unit, is taken for: a share and its interval each.

        ``wrong`` compares with somebody far down the list, so that no group of neighbours holds
        both, and is the false match rate if all is well.
        """
        wrong = np.roll(self.other, len(self) // 2, axis=0)
        return {
            "type_1": share(self._accepted(found, self.own)),
            "type_2": share(self._accepted(found, self.other)),
            "wrong": share(self._accepted(found, wrong)),
            "cosine": float(np.mean(np.sum(found * self.own, axis=1))),
        }

    def genuine(self) -> Figures:
        """How often a true other picture is accepted: no type II success can be expected above."""
        return share(self._accepted(self.own, self.other))

    def _accepted(self, found: Floats, templates: Floats) -> NDArray[np.bool_]:
        if found.shape != templates.shape:
            raise ModelError(f"one row a victim is judged, got {found.shape}")
        return np.asarray(np.sum(found * templates, axis=1) >= self.threshold)


def share(hits: NDArray[np.bool_]) -> Figures:
    """``value``, 95 % interval and number of independent trials."""
    low, high = wilson(int(hits.sum()), len(hits))
    value = float(hits.mean()) if len(hits) else None
    return {"value": value, "ci95": [low, high], "n": len(hits)}


def _descended(face: nn.Module, start: Tensor, aims: Tensor, how: Descent) -> Tensor:
    pixels = start.detach().clone().requires_grad_()
    adam = torch.optim.Adam([pixels], lr=how.rate)
    for _ in range(how.steps):
        away = 1 - (face(pixels) * aims).sum(dim=1)
        (gradient,) = torch.autograd.grad((away + how.smooth * roughness(pixels)).sum(), pixels)
        pixels.grad = gradient
        adam.step()
        with torch.no_grad():
            pixels.clamp_(0, 1)
    return pixels.detach()
