"""Attackers who follow the gradient of the margin: FGSM, PGD, and MI, DI, TI for transfer.

Goodfellow et al. 2015 (arXiv:1412.6572), Madry et al. 2018 (arXiv:1706.06083), Dong et al. 2018
(arXiv:1710.06081), Xie et al. 2019 (arXiv:1803.06978), Dong et al. 2019 (arXiv:1904.02884).
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from common.attacks.ball import Ball
from common.attacks.diversity import shrunk, smoothed
from common.attacks.target import Budget, Trials
from common.errors import ModelError

Transform = Callable[[Tensor, torch.Generator], Tensor]

STRIDE = 2.5  # of PGD: eps times this over steps (Madry et al. 2018)


class Best:
    """The pixels of each row (B, 3, S, S) whose margin (B,) was the largest so far."""

    def __init__(self, trials: Trials) -> None:
        self.pixels = trials.pixels.detach().clone()
        self.margin = torch.full((len(trials),), -torch.inf, device=trials.pixels.device)

    def offer(self, rows: Tensor, pixels: Tensor, margin: Tensor) -> None:
        """Takes ``pixels`` of ``rows`` (R,) where their ``margin`` (R,) is larger; NaN never is."""
        better = margin > self.margin[rows]
        self.pixels[rows[better]] = pixels[better]
        self.margin[rows[better]] = margin[better]

    def open(self, stop: bool) -> Tensor:
        """Rows (R,) still worth work: all, or with ``stop`` those where nobody is fooled yet."""
        rows = torch.arange(len(self.margin), device=self.margin.device)
        return rows[~(self.margin > 0)] if stop else rows


@dataclass(frozen=True, kw_only=True, eq=False, slots=True)
class Slope:
    """How the margin is seen: of the pixels themselves, or of what a camera makes of them.

    ``transform`` changes pixels differentiably and at random; margin and gradient are then means
    over ``draws`` of it (Athalye et al. 2018, arXiv:1707.07397).
    """

    transform: Transform | None = None
    draws: int = 1

    def margin(
        self, face: nn.Module, trials: Trials, pixels: Tensor, generator: torch.Generator
    ) -> Tensor:
        """(B,) of ``pixels`` (B, 3, S, S)."""
        with torch.no_grad():
            views = self._views(pixels, generator)
            return torch.stack([trials.margin(face(view())) for view in views]).mean(0)

    def gradient(
        self, face: nn.Module, trials: Trials, pixels: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Margin (B,) and its gradient at ``pixels`` (B, 3, S, S); no parameter gets a gradient."""
        at = pixels.detach().requires_grad_()
        views = self._views(at, generator)
        margin, slope = torch.zeros(len(at), device=at.device), torch.zeros_like(pixels)
        with torch.enable_grad():
            for view in views:
                seen = trials.margin(face(view()))
                slope += torch.autograd.grad(seen.sum(), at)[0]
                margin += seen.detach()
        return margin / len(views), torch.nan_to_num(slope / len(views), 0.0, 0.0, 0.0)

    def _views(self, pixels: Tensor, generator: torch.Generator) -> list[Callable[[], Tensor]]:
        transform = self.transform
        if transform is None:
            return [lambda: pixels]
        return [lambda: transform(pixels, generator)] * self.draws


@dataclass(frozen=True, kw_only=True, eq=False, slots=True)
class Pgd:
    """Projected gradient ascent on the margin; of every row the best iterate is what is returned.

    ``step`` is in the budget's norm; ``None``: 2.5 eps / ``steps``. ``restarts`` begin at random
    points, the first too if ``random_start``. With ``stop`` rows are left once fooled, which is
    all a success rate needs. ``momentum`` (MI) adds up gradients of L1 norm 1; ``diversity`` (DI)
    is the share of the steps whose gradient is taken at a shrunk and padded picture; ``smoothing``
    (TI), odd, is the side of the Gaussian that blurs gradients. ``mask``: as in ``Ball``;
    ``transform`` and ``draws``: as in ``Slope``.
    """

    steps: int = 40
    restarts: int = 1
    step: float | None = None
    random_start: bool = True
    stop: bool = False
    momentum: float = 0.0
    diversity: float = 0.0
    smoothing: int = 1
    mask: Tensor | None = None
    transform: Transform | None = None
    draws: int = 1

    def __post_init__(self) -> None:
        if min(self.steps, self.restarts, self.draws) < 1 or self.smoothing % 2 == 0:
            raise ModelError(f"steps, restarts, draws >= 1 and smoothing odd are needed: {self}")

    def __call__(
        self, face: nn.Module, trials: Trials, budget: Budget, generator: torch.Generator
    ) -> Tensor:
        """Pixels (B, 3, S, S); see ``common.attacks.target.Attack``."""
        best, ball = Best(trials), Ball.of(trials.pixels.detach(), budget, self.mask)
        for restart in range(self.restarts):
            anywhere = self.random_start or restart > 0
            start = ball.start(generator) if anywhere else ball.origin
            self._climb(face, trials, (ball, start, best), generator)
        return best.pixels

    def _climb(
        self,
        face: nn.Module,
        trials: Trials,
        place: tuple[Ball, Tensor, Best],
        generator: torch.Generator,
    ) -> None:
        ball, start, best = place
        pixels, pushed = start.clone(), torch.zeros_like(start)
        stride = STRIDE * ball.radius / self.steps if self.step is None else self.step
        rows = best.open(self.stop)
        for _ in range(self.steps):
            if not len(rows):
                return
            at, inside = pixels[rows], ball.rows(rows)
            margin, gradient = self._seen(face, trials.rows(rows), at, generator)
            best.offer(rows, at, margin)
            pushed[rows] = self.momentum * pushed[rows] + _level(smoothed(gradient, self.smoothing))
            pixels[rows] = inside.project(at + stride * inside.steepest(pushed[rows]))
            rows = rows[~(margin > 0)] if self.stop else rows
        if len(rows):
            margin = self._slope().margin(face, trials.rows(rows), pixels[rows], generator)
            best.offer(rows, pixels[rows], margin)

    def _slope(self) -> Slope:
        return Slope(transform=self.transform, draws=self.draws)

    def _seen(
        self, face: nn.Module, trials: Trials, pixels: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Margin of ``pixels`` and the gradient to follow, which may be of other pixels."""
        if not self.diversity or _chance(generator) >= self.diversity:
            return self._slope().gradient(face, trials, pixels, generator)

        def squeezed(plain: Tensor, generator: torch.Generator) -> Tensor:
            seen = self.transform(plain, generator) if self.transform else plain
            return shrunk(seen, generator)

        bent = Slope(transform=squeezed, draws=self.draws)
        _, gradient = bent.gradient(face, trials, pixels, generator)
        return self._slope().margin(face, trials, pixels, generator), gradient


@dataclass(frozen=True, kw_only=True, eq=False, slots=True)
class Fgsm:
    """One step of the whole budget from the picture itself."""

    mask: Tensor | None = None

    def __call__(
        self, face: nn.Module, trials: Trials, budget: Budget, generator: torch.Generator
    ) -> Tensor:
        """Pixels (B, 3, S, S); see ``common.attacks.target.Attack``."""
        whole = Ball.of(trials.pixels, budget, self.mask).radius
        once = Pgd(steps=1, step=whole, random_start=False, mask=self.mask)
        return once(face, trials, budget, generator)


@dataclass(frozen=True, kw_only=True, eq=False, slots=True)
class MiFgsm:
    """Steps of eps / ``steps`` along the momentum of the gradients, from the picture itself.

    With ``diversity`` it is DI-MI, with ``smoothing`` TI-MI, with both TI-DI-MI: pictures made
    for one network that are to fool another.
    """

    steps: int = 10
    momentum: float = 1.0
    diversity: float = 0.0
    smoothing: int = 1
    mask: Tensor | None = None

    def __call__(
        self, face: nn.Module, trials: Trials, budget: Budget, generator: torch.Generator
    ) -> Tensor:
        """Pixels (B, 3, S, S); see ``common.attacks.target.Attack``."""
        climb = Pgd(
            steps=self.steps,
            step=Ball.of(trials.pixels, budget, self.mask).radius / self.steps,
            random_start=False,
            momentum=self.momentum,
            diversity=self.diversity,
            smoothing=self.smoothing,
            mask=self.mask,
        )
        return climb(face, trials, budget, generator)


def di_fgsm(steps: int = 10, *, diversity: float = 0.5) -> MiFgsm:
    """MI-FGSM whose gradients are taken at shrunk and padded pictures in that share of steps."""
    return MiFgsm(steps=steps, diversity=diversity)


def ti_fgsm(steps: int = 10, *, smoothing: int = 7) -> MiFgsm:
    """MI-FGSM whose gradients are blurred, as if taken at shifted pictures."""
    return MiFgsm(steps=steps, smoothing=smoothing)


def _level(gradient: Tensor) -> Tensor:
    """``gradient`` (B, 3, S, S) with rows of L1 norm 1; zero rows stay zero."""
    return gradient / gradient.abs().sum((1, 2, 3), keepdim=True).clamp_min(1e-30)


def _chance(generator: torch.Generator) -> float:
    return float(torch.rand((), generator=generator, device=generator.device))
