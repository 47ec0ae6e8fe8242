"""Adversarial crops of public training: pixels moved against the network as it is, then learned.

Madry et al. 2018 (arXiv:1706.06083), against the cosine to one's own centre, as somebody dodges.
Everybody here is public or invented: nothing of this is private, and nothing has to be.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from common.errors import ConfigError
from common.heads.margin import Centres
from common.models.embedder import Embedder

STRIDE = 2.5  # of a step: times eps over the number of steps


@dataclass(frozen=True, kw_only=True, slots=True)
class Adversary:
    """``steps`` of PGD within ``eps`` in L-inf, of pixels in [0, 1], on ``share`` of each batch."""

    steps: int = 2
    eps: float = 4 / 255
    share: float = 0.5

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ConfigError(f"adversarial steps must be at least 1, got {self.steps}")
        if not (0 <= self.eps <= 1 and 0 < self.share <= 1):
            raise ConfigError("adversarial eps must be in [0, 1] and its share in (0, 1]")

    def attacked(
        self,
        model: Embedder,
        centres: Centres,
        batch: tuple[Tensor, Tensor],
        generator: torch.Generator,
    ) -> Tensor:
        """``batch`` is pixels (B, 3, S, S) in [-1, 1] and people (B,); the pixels to train on.

        The first rows are moved, which people they are is drawn already. The network is attacked
        in eval mode, as it will be met: running statistics of BatchNorm stay as they were, and no
        parameter gets a gradient.
        """
        pixels, person = batch
        count = max(1, round(self.share * len(pixels)))
        was, centre = model.training, F.normalize(centres.weight.detach())[person[:count]]
        model.eval()
        moved = self._climb(model, pixels[:count], centre, generator)
        model.train(was)
        return torch.cat([moved, pixels[count:]])

    def _climb(
        self, model: nn.Module, clean: Tensor, centre: Tensor, generator: torch.Generator
    ) -> Tensor:
        radius = 2 * self.eps  # the pixels here are twice as wide
        low, high = (clean - radius).clamp(-1, 1), (clean + radius).clamp(-1, 1)
        noise = torch.rand(clean.shape, generator=generator).to(clean.device)
        start = clean + radius * (2 * noise - 1)
        at = start.clamp(-1, 1)
        for _ in range(self.steps):
            at = at.detach().requires_grad_()
            away = -(F.normalize(model(at)) * centre).sum()
            (slope,) = torch.autograd.grad(away, at)
            step = STRIDE * radius / self.steps * slope.sign()
            at = torch.minimum(torch.maximum(at.detach() + step, low), high)
        return at
