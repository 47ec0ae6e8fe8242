"""Square attack: random squares are tried on, and kept where the score moves the attacker's way.

Andriushchenko et al. 2020, arXiv:1912.00049, algorithms 1 to 3. It sees scores and no gradient, so
a model that only hides its gradients has no advantage against it.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from common.attacks.target import Budget, Trials

# From which share of the queries on the square has half the area (section 4 of the paper).
_HALVINGS = (0.001, 0.005, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8)
_TILES = 5  # of an L2 start, along a side


@dataclass(frozen=True, eq=False, slots=True)
class Queried:
    """What queries alone found: ``pixels`` (B, 3, S, S), and ``queries`` (B,) that each row took.

    Of a row that succeeded the last query is the one that did.
    """

    pixels: Tensor
    queries: Tensor


@dataclass(frozen=True, kw_only=True, slots=True)
class Square:
    """At most ``queries`` scores a row; the first square covers ``share`` of the picture.

    Rows that are done take no more queries.
    """

    queries: int = 1000
    share: float = 0.1

    def __call__(
        self, face: nn.Module, trials: Trials, budget: Budget, generator: torch.Generator
    ) -> Tensor:
        return self.search(face, trials, budget, generator).pixels

    def search(
        self, face: nn.Module, trials: Trials, budget: Budget, generator: torch.Generator
    ) -> Queried:
        """The attack, with the queries counted."""
        moves = _Squares(generator) if budget.norm == "linf" else _Masses(generator)
        best = _within(trials.pixels, moves.start(trials.pixels, budget.eps))
        margin = _margin(face, trials, best)
        queries = torch.ones(len(trials), dtype=torch.long)
        for query in range(1, self.queries):
            open_rows = torch.nonzero(margin <= 0)[:, 0]
            if not len(open_rows):
                break
            part = trials.rows(open_rows)
            side = self._side(query, trials.pixels.shape[-1])
            delta = moves.step(best[open_rows] - part.pixels, budget.eps, side)
            tried = _within(part.pixels, delta)
            found = _margin(face, part, tried)
            queries[open_rows] += 1
            better = found > margin[open_rows]
            best[open_rows[better]] = tried[better]
            margin[open_rows[better]] = found[better]
        return Queried(best, queries)

    def _side(self, query: int, size: int) -> int:
        spent = query / self.queries
        share = self.share / 2 ** sum(spent > limit for limit in _HALVINGS)
        return max(min(round(math.sqrt(share) * size), size - 1), 1)


@dataclass(frozen=True, slots=True)
class _Squares:
    """L-inf: every pixel stands at +eps or -eps; a square takes one new colour a channel."""

    generator: torch.Generator

    def start(self, pixels: Tensor, eps: float) -> Tensor:
        rows, channels, _, size = pixels.shape
        return _signs(self.generator, rows, channels, 1, size).expand_as(pixels) * eps

    def step(self, delta: Tensor, eps: float, side: int) -> Tensor:
        rows, channels, _, size = delta.shape
        inside = torch.ones(())
        for axis in (2, 3):
            first = torch.randint(size - side + 1, (rows, 1), generator=self.generator)
            place = torch.arange(size)[None, :]
            within = (place >= first) & (place < first + side)
            inside = inside * within.view(rows, 1, *((size, 1) if axis == 2 else (1, size)))
        return torch.where(inside > 0, _signs(self.generator, rows, channels, 1, 1) * eps, delta)


@dataclass(frozen=True, slots=True)
class _Masses:
    """L2: a window takes the length of another one, and what length is unused."""

    generator: torch.Generator

    def start(self, pixels: Tensor, eps: float) -> Tensor:
        rows, channels, _, size = pixels.shape
        side = max(size // _TILES, 1)
        tiles = size // side
        signs = _signs(self.generator, rows, channels, tiles, tiles)
        signs = signs.repeat_interleave(side, 2).repeat_interleave(side, 3)
        made = torch.zeros_like(pixels)
        made[..., : tiles * side, : tiles * side] = signs * _bump(side).repeat(tiles, tiles)
        return made * (eps / _length(made.flatten(1)).clamp_min(1e-12))[:, None, None, None]

    def step(self, delta: Tensor, eps: float, side: int) -> Tensor:
        side = max(side + (side + 1) % 2, 3)
        made, (rows, channels, _, size) = delta.clone(), delta.shape
        unused = (eps**2 - delta.square().flatten(1).sum(1)).clamp_min(0)
        into, off = (self._window(rows, channels, size, side) for _ in range(2))
        old = made[into]
        before = made.square().flatten(2).sum(2)  # (B, C)
        made[into], made[off] = 0, 0
        freed = before - made.square().flatten(2).sum(2)
        length = (freed + unused[:, None] / channels).clamp_min(0).sqrt()
        fresh = _signs(self.generator, rows, channels, 1, 1) * self._halves(rows, side) + _unit(old)
        made[into] = _unit(fresh) * length[..., None, None]
        return made

    def _halves(self, rows: int, side: int) -> Tensor:
        """(B, 1, h, h): one half of the window bright, the other dark, along either axis."""
        halves = torch.ones(side)
        halves[side // 2 :] = -1
        along = _unit(_bump(side) * halves[:, None])
        turned = torch.rand(rows, 1, 1, 1, generator=self.generator) < 0.5
        return torch.where(turned, along.T, along)

    def _window(
        self, rows: int, channels: int, size: int, side: int
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Indices that select (B, C, h, h): one place a row."""
        first = torch.randint(size - side + 1, (2, rows, 1), generator=self.generator)
        down, across = first + torch.arange(side)
        return (
            torch.arange(rows)[:, None, None, None],
            torch.arange(channels)[None, :, None, None],
            down[:, None, :, None],
            across[:, None, None, :],
        )


def _signs(generator: torch.Generator, *shape: int) -> Tensor:
    return torch.randint(2, shape, generator=generator).float() * 2 - 1


def _bump(side: int) -> Tensor:
    """(h, h): highest in the middle, falling in square rings (eq. 2)."""
    half = (side - 1) / 2
    ring = (torch.arange(side) - half).abs()
    depth = (half - torch.maximum(ring[:, None], ring[None, :])).floor()
    steps = 1 / (half + 1 - torch.arange(int(half) + 1)) ** 2
    bump: Tensor = steps.cumsum(0)[depth.long()]
    return bump


def _unit(windows: Tensor) -> Tensor:
    return windows / _length(windows.flatten(-2))[..., None, None].clamp_min(1e-12)


def _within(pixels: Tensor, delta: Tensor) -> Tensor:
    return (pixels + delta).clamp(0, 1)


def _margin(face: nn.Module, trials: Trials, pixels: Tensor) -> Tensor:
    with torch.no_grad():
        margin: Tensor = trials.margin(face(pixels))
    return margin


def _length(rows: Tensor) -> Tensor:
    length: Tensor = torch.linalg.vector_norm(rows, dim=-1)
    return length
