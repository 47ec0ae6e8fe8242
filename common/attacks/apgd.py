"""Auto-PGD: an attacker who halves the step where the margin no longer rises (Croce & Hein 2020).

arXiv:2003.01690, algorithm 1, with the margin of the decision as the loss.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from common.attacks.ball import Ball
from common.attacks.gradient import Best, Slope, Transform
from common.attacks.target import Budget, Trials
from common.errors import ModelError

MOMENTUM = 0.75  # share of the new move; the rest repeats the last one
RISES = 0.75  # share of the steps between checkpoints that must raise the margin


def checkpoints(steps: int) -> tuple[int, ...]:
    """Numbers of steps after which the step may be halved: at .22, .41, .57, ... of ``steps``."""
    shares = [0.0, 0.22]
    while (following := shares[-1] + max(shares[-1] - shares[-2] - 0.03, 0.06)) <= 1:
        shares.append(following)
    # Rounded first: .57 comes out of the sums a hair above itself.
    return tuple(sorted({math.ceil(round(share * steps, 6)) for share in shares[1:]}))


@dataclass(eq=False, slots=True)
class _Climb:
    """Where R rows of an attack are: state that checkpoints look back on."""

    rows: Tensor  # (R,) of the whole batch
    pixels: Tensor  # (R, 3, S, S)
    before: Tensor  # the iterate before
    gradient: Tensor  # at pixels
    margin: Tensor  # (R,) at pixels
    peak: Tensor  # the best pixels of this climb
    peak_gradient: Tensor
    peak_margin: Tensor  # (R,)
    stride: Tensor  # (R, 1, 1, 1)
    rises: Tensor  # (R,) steps since the last checkpoint that raised the margin
    last_peak: Tensor  # (R,) peak_margin at the last checkpoint
    last_halved: Tensor  # (R,) bool: whether it halved the stride

    @classmethod
    def begin(cls, rows: Tensor, pixels: Tensor, margin: Tensor, gradient: Tensor) -> "_Climb":
        return cls(
            rows=rows,
            pixels=pixels,
            before=pixels,
            gradient=gradient,
            margin=margin,
            peak=pixels,
            peak_gradient=gradient,
            peak_margin=margin,
            stride=torch.zeros(len(rows), 1, 1, 1).to(pixels),
            rises=torch.zeros_like(margin),
            last_peak=margin,
            last_halved=torch.ones_like(margin, dtype=torch.bool),
        )

    def keep(self, chosen: Tensor) -> None:
        """Forgets the rows that are not ``chosen`` (R,) bool."""
        for name in self.__slots__:
            setattr(self, name, getattr(self, name)[chosen])

    def arrive(self, pixels: Tensor, margin: Tensor, gradient: Tensor) -> None:
        """At ``pixels``: counts rises and remembers the peak."""
        self.rises = self.rises + (margin > self.margin)
        higher = margin > self.peak_margin
        wide = higher[:, None, None, None]
        self.peak = torch.where(wide, pixels, self.peak)
        self.peak_gradient = torch.where(wide, gradient, self.peak_gradient)
        self.peak_margin = torch.where(higher, margin, self.peak_margin)
        self.before, self.pixels = self.pixels, pixels
        self.margin, self.gradient = margin, gradient

    def check(self, window: int) -> None:
        """Halves the stride, back at the peak, of rows that rose too seldom or not at all."""
        seldom = self.rises < RISES * window
        stuck = ~self.last_halved & (self.peak_margin <= self.last_peak)
        halved = seldom | stuck
        wide = halved[:, None, None, None]
        self.stride = torch.where(wide, self.stride / 2, self.stride)
        self.pixels = torch.where(wide, self.peak, self.pixels)
        self.before = torch.where(wide, self.peak, self.before)
        self.gradient = torch.where(wide, self.peak_gradient, self.gradient)
        self.margin = torch.where(halved, self.peak_margin, self.margin)
        self.last_peak, self.last_halved = self.peak_margin, halved
        self.rises = torch.zeros_like(self.rises)


@dataclass(frozen=True, kw_only=True, eq=False, slots=True)
class Apgd:
    """PGD that finds its own step: 2 eps at first, halved row by row, each time from the best.

    The fields mean what they mean for ``common.attacks.gradient.Pgd``, and the random start is the
    same from the same generator.
    """

    steps: int = 40
    restarts: int = 1
    random_start: bool = True
    stop: bool = False
    mask: Tensor | None = None
    transform: Transform | None = None
    draws: int = 1

    def __post_init__(self) -> None:
        if min(self.steps, self.restarts, self.draws) < 1:
            raise ModelError(f"steps, restarts and draws >= 1 are needed: {self}")

    def __call__(
        self, face: nn.Module, trials: Trials, budget: Budget, generator: torch.Generator
    ) -> Tensor:
        """Pixels (B, 3, S, S); see ``common.attacks.target.Attack``."""
        best, ball = Best(trials), Ball.of(trials.pixels.detach(), budget, self.mask)
        for restart in range(self.restarts):
            anywhere = self.random_start or restart > 0
            start = ball.start(generator) if anywhere else ball.origin
            rows = best.open(self.stop)
            if len(rows):
                self._climb(face, trials, (ball, start, best, rows), generator)
        return best.pixels

    def _climb(
        self,
        face: nn.Module,
        trials: Trials,
        place: tuple[Ball, Tensor, Best, Tensor],
        generator: torch.Generator,
    ) -> None:
        ball, start, best, rows = place
        slope = Slope(transform=self.transform, draws=self.draws)
        margin, gradient = slope.gradient(face, trials.rows(rows), start[rows], generator)
        best.offer(rows, start[rows], margin)
        at = _Climb.begin(rows, start[rows], margin, gradient)
        at.stride += 2 * ball.radius
        marks, last = checkpoints(self.steps), 0
        for number in range(1, self.steps + 1):
            if self.stop:
                at.keep(~(at.margin > 0))
            if not len(at.rows):
                return
            pixels = _moved(at, ball.rows(at.rows), first=number == 1)
            left = trials.rows(at.rows)
            if number < self.steps:
                margin, gradient = slope.gradient(face, left, pixels, generator)
            else:  # nobody steps on from here
                margin, gradient = slope.margin(face, left, pixels, generator), at.gradient
            best.offer(at.rows, pixels, margin)
            at.arrive(pixels, margin, gradient)
            if number in marks:
                at.check(number - last)
                last = number


def _moved(at: _Climb, ball: Ball, *, first: bool) -> Tensor:
    """The next pixels: a step up, and some of the move before."""
    up = ball.project(at.pixels + at.stride * ball.steepest(at.gradient))
    if first:
        return up
    onward = MOMENTUM * (up - at.pixels) + (1 - MOMENTUM) * (at.pixels - at.before)
    return ball.project(at.pixels + onward)
