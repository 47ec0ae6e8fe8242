"""Signs of an attack for the log: a picture that is another after JPEG, or after a blur.

Guarantee: none. The attacker who knows the signal keeps it low, as ``Unsuspicious`` does; what is
measured of a signal is only worth something beside what is measured of that attacker.
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from common.attacks.ball import Ball
from common.attacks.gradient import STRIDE
from common.attacks.target import Budget, Trials

QUALITY = 75  # of the JPEG
FPR = 0.05  # share of honest pictures that may be suspected

View = Callable[[Tensor], Tensor]


def jpeg(pixels: Tensor) -> Tensor:
    """``pixels`` (B, 3, S, S) through a JPEG file; its gradient is taken to be 1.

    The straight-through gradient is BPDA (Athalye et al. 2018, arXiv:1802.00420).
    """
    crops = (pixels.detach() * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    made = np.stack([_through_file(np.ascontiguousarray(crop[..., ::-1])) for crop in crops])
    after = torch.from_numpy(np.ascontiguousarray(made[..., ::-1].transpose(0, 3, 1, 2)))
    return pixels + (after.to(pixels) / 255 - pixels).detach()


def blur(pixels: Tensor) -> Tensor:
    """``pixels`` (B, 3, S, S) blurred by [1 2 1] each way."""
    line = torch.tensor([0.25, 0.5, 0.25]).to(pixels)
    kernel = (line[:, None] * line[None, :]).expand(3, 1, 3, 3)
    return F.conv2d(F.pad(pixels, (1,) * 4, mode="replicate"), kernel, groups=3)


SIGNALS: dict[str, View] = {"jpeg75": jpeg, "blur3": blur}


def inconsistency(face: nn.Module, pixels: Tensor, view: View) -> Tensor:
    """(B,): 1 - cosine of the embeddings before and after ``view``; differentiable."""
    score: Tensor = 1 - (face(pixels) * face(view(pixels))).sum(1)
    return score


def separation(honest: ArrayLike, attacked: ArrayLike) -> tuple[float, float]:
    """AUC of scores (N,) against (M,), ties counting half, and the TPR where the FPR is ``FPR``."""
    low, high = np.sort(np.asarray(honest, np.float64)), np.asarray(attacked, np.float64)
    below = np.searchsorted(low, high, "left") + np.searchsorted(low, high, "right")
    allowed = int(FPR * len(low) + 1e-9)
    threshold = low[len(low) - 1 - allowed]
    return float(below.mean() / 2 / len(low)), float((high > threshold).mean())


@dataclass(frozen=True, kw_only=True, slots=True)
class Unsuspicious:
    """PGD that wants success first and all of ``SIGNALS`` low then: the adaptive attack.

    ``weight`` of the signals against the margin; once past the threshold by ``ample`` the margin is
    worth nothing more. Of a row's successes the least suspicious one is returned.
    """

    steps: int = 40
    weight: float = 1.0
    ample: float = 0.05

    def __call__(
        self, face: nn.Module, trials: Trials, budget: Budget, generator: torch.Generator
    ) -> Tensor:
        """Pixels (B, 3, S, S); see ``common.attacks.target.Attack``."""
        ball = Ball.of(trials.pixels.detach(), budget)
        at = ball.start(generator)
        best, worth = trials.pixels.clone(), torch.full((len(trials),), -torch.inf)
        for step in range(self.steps + 1):
            at = at.detach().requires_grad_()
            margin, suspicion = self._looked_at(face, trials, at)
            # Every success is worth more than any failure.
            now = torch.where(margin > 0, 4 - suspicion, margin - 4).detach()
            better = now > worth
            best[better], worth[better] = at.detach()[better], now[better]
            if step == self.steps:
                break
            loss = margin.clamp(max=self.ample) - self.weight * suspicion
            (gradient,) = torch.autograd.grad(loss.sum(), at)
            stride = 2 * STRIDE * budget.eps / self.steps * (1 - step / self.steps)
            at = ball.project(at.detach() + stride * ball.steepest(gradient))
        return best

    def _looked_at(self, face: nn.Module, trials: Trials, pixels: Tensor) -> tuple[Tensor, Tensor]:
        plain = face(pixels)
        seen = [1 - (plain * face(view(pixels))).sum(1) for view in SIGNALS.values()]
        return trials.margin(plain), torch.stack(seen).sum(0)


def _through_file(crop: NDArray[np.uint8]) -> NDArray[np.uint8]:
    _, content = cv2.imencode(".jpg", crop, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return np.asarray(cv2.imdecode(content, cv2.IMREAD_COLOR), np.uint8)
