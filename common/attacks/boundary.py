"""HopSkipJump: walks along the border of a decision of which it sees only yes or no.

Chen, Jordan & Wainwright 2020, arXiv:1904.02144, algorithm 2: down to the border by bisection, the
border's direction from random probes, a step along it, and again.
"""

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from common.attacks.ball import Ball
from common.attacks.target import Budget, Norm, Trials

_REACH = 0.01  # of the distance: how far probes go (delta_t of the paper)
_BISECTIONS = 10  # to the border
_HALVINGS = 8  # of one step
_TRIES = 20  # random pictures from which dodging may start


@dataclass(eq=False, slots=True)
class Oracle:
    """Says of pixels whether the attacker has what they want, and counts who asked how often.

    Guarantee: this is all that the attack sees of a model: no score, no gradient.
    """

    face: nn.Module
    trials: Trials
    queries: Tensor = field(init=False)  # (B,) asked so far

    def __post_init__(self) -> None:
        self.queries = torch.zeros(len(self.trials), dtype=torch.long)

    def __call__(self, pixels: Tensor, rows: Tensor) -> Tensor:
        """(K,) bool for ``pixels`` (K, 3, S, S) in the place of the trials ``rows`` (K,)."""
        self.queries += torch.bincount(rows, minlength=len(self.queries))
        return self.trials.rows(rows).fooled(self.face, pixels)


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class HopSkipJump:
    """At most ``queries`` decisions a row; the first direction takes ``probes`` of them.

    ``starts`` (B, 3, S, S) are pictures that already succeed, row by row: for impersonation a
    picture of the victim. Without them dodging starts from noise, and impersonation nowhere.
    """

    queries: int = 1000
    probes: int = 40
    starts: Tensor | None = None

    def __call__(
        self, face: nn.Module, trials: Trials, budget: Budget, generator: torch.Generator
    ) -> Tensor:
        """The nearest successful pictures found, brought within ``budget``."""
        found = self.approach(Oracle(face, trials), budget, generator)
        return Ball.of(trials.pixels, budget).project(found)

    def approach(self, oracle: Oracle, enough: Budget, generator: torch.Generator) -> Tensor:
        """(B, 3, S, S) successful pictures, as near in the norm as the queries led.

        A row is left when it is within ``enough``; one that never succeeded stays as it is.
        """
        origin, norm = oracle.trials.pixels, enough.norm
        found = origin.clone()
        rows, at = self._begin(oracle, generator)
        at = _to_border(oracle, rows, at, norm)
        for turn in range(1, self.queries + 1):
            found[rows] = at
            spare = self.queries - oracle.queries[rows] - _HALVINGS - _BISECTIONS
            gap = _distance(at - origin[rows], norm)
            going = (spare > 0) & (gap > enough.eps)
            if not going.any():
                break
            rows, at, gap, spare = rows[going], at[going], gap[going], spare[going]
            probes = min(int(self.probes * math.sqrt(turn)), int(spare.min()))
            way = _directions(oracle, rows, at, _Probes(probes, norm, generator))
            stepped = _stepped(oracle, rows, at, way * _wide(gap / math.sqrt(turn)))
            near = _to_border(oracle, rows, stepped, norm)
            nearer = _distance(near - origin[rows], norm) < gap
            at = torch.where(_wide(nearer), near, at)
        return found

    def _begin(self, oracle: Oracle, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Rows (K,) with pictures (K, 3, S, S) that succeed; rows done from the start are left."""
        at = oracle.trials.pixels.clone()
        rows = torch.arange(len(at))
        rows = rows[~oracle(at, rows)]
        begun = torch.zeros(len(at), dtype=torch.bool)
        if self.starts is not None:
            at[rows] = self.starts[rows]
            begun[rows] = oracle(at[rows], rows)
            return torch.nonzero(begun)[:, 0], at[begun]
        for _ in range(_TRIES if oracle.trials.goal == "dodge" else 0):
            rows = rows[~begun[rows]]
            at[rows] = torch.rand(at[rows].shape, generator=generator)
            begun[rows] = oracle(at[rows], rows)
        return torch.nonzero(begun)[:, 0], at[begun]


@dataclass(frozen=True, slots=True)
class _Probes:
    """How a border's direction is asked for."""

    count: int
    norm: Norm
    generator: torch.Generator


def _directions(oracle: Oracle, rows: Tensor, at: Tensor, probes: _Probes) -> Tensor:
    """(K, 3, S, S): where each border rises, of length 1 in the norm (eq. 16)."""
    gap = _distance(at - oracle.trials.pixels[rows], probes.norm)
    scale = 1.0 if probes.norm == "l2" else math.sqrt(at[0].numel())
    ways = []
    for row, pixels, reach in zip(rows, at, gap * _REACH * scale, strict=True):
        noise = torch.randn((probes.count, *pixels.shape), generator=probes.generator)
        tried = (pixels + noise * _wide(reach / _distance(noise, "l2"))).clamp(0, 1)
        answers = oracle(tried, row.expand(probes.count)).float() * 2 - 1
        # Where all answers are the same there is no mean to take off.
        middle = 0.0 if bool((answers == answers[0]).all()) else answers.mean()
        ways.append((_wide(answers - middle) * (tried - pixels)).mean(0))
    way = torch.stack(ways)
    if probes.norm == "linf":
        return way.sign()
    return way / _wide(_distance(way, "l2").clamp_min(1e-12))


def _stepped(oracle: Oracle, rows: Tensor, at: Tensor, step: Tensor) -> Tensor:
    """``at`` after the longest of step, step / 2, ... that still succeeds, or as it was."""
    made, left = at.clone(), torch.arange(len(rows))
    for halving in range(_HALVINGS):
        if not len(left):
            break
        tried = (at[left] + step[left] / 2**halving).clamp(0, 1)
        good = oracle(tried, rows[left])
        made[left[good]] = tried[good]
        left = left[~good]
    return made


def _to_border(oracle: Oracle, rows: Tensor, at: Tensor, norm: Norm) -> Tensor:
    """The successful picture nearest the border between the trials' own pixels and ``at``."""
    origin = oracle.trials.pixels[rows]
    moved = at - origin
    gap = _distance(moved, norm)
    low, high = torch.zeros(len(rows)), torch.ones(len(rows))

    def part(share: Tensor) -> Tensor:
        if norm == "l2":
            return origin + _wide(share) * moved
        return origin + torch.clamp(moved, -_wide(share * gap), _wide(share * gap))

    made = at
    for _ in range(_BISECTIONS if len(rows) else 0):
        middle = (low + high) / 2
        tried = part(middle)
        good = oracle(tried, rows)
        made = torch.where(_wide(good), tried, made)
        low, high = torch.where(good, low, middle), torch.where(good, middle, high)
    return made


def _distance(moved: Tensor, norm: Norm) -> Tensor:
    """(K,) of moves (K, 3, S, S)."""
    flat = moved.flatten(1)
    return flat.abs().amax(1) if norm == "linf" else flat.norm(dim=1)


def _wide(values: Tensor) -> Tensor:
    """(K,) -> (K, 1, 1, 1)."""
    return values[:, None, None, None]
