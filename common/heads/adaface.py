"""AdaFace: a margin that asks more of good pictures, and lets the hopeless ones be.

Kim et al. 2022 (arXiv:2204.00964). The length of an embedding stands for the quality of its
picture, measured against the lengths seen lately: a mean over *other* people's pictures. So it is
for public training only. The statistics are buffers on purpose: ``refuse_batch_dependence``, which
guards every private step, refuses whatever holds them.
"""

import math

import torch
from torch import Tensor, nn

_OFF = 1e-3  # of 0 and pi for an angle, of 1 for a cosine: gradients stay finite
_LENGTHS = (1e-3, 100.0)


class NormStatistics(nn.Module):
    """Running mean and deviation of lengths: embedding (B, E) -> quality (B,) in [-1, 1].

    In train mode the batch moves the statistics by ``pace`` before they are used. No gradient flows
    through the quality.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, concentration: float = 0.333, pace: float = 0.01) -> None:
        super().__init__()
        self.concentration, self.pace = concentration, pace
        self.register_buffer("mean", torch.tensor(20.0))
        self.register_buffer("deviation", torch.tensor(100.0))

    def forward(self, embedding: Tensor) -> Tensor:
        length = embedding.detach().norm(dim=1).clamp(*_LENGTHS)
        if self.training and len(length) > 1:
            self.mean.lerp_(length.mean(), self.pace)
            self.deviation.lerp_(length.std(), self.pace)
        unit = (length - self.mean) / (self.deviation + _OFF)
        quality: Tensor = (self.concentration * unit).clamp(-1, 1)
        return quality


def adaptive_margin(cosine: Tensor, person: Tensor, quality: Tensor, margin: float) -> Tensor:
    """Hardens the cosine of the true person by quality: (B, P), (B,), (B,) -> (B, P).

    The angle grows by -``margin`` q and the cosine falls by ``margin`` (q + 1): q = -1 is
    ArcFace, q = 0 CosFace, and at q = 1 the angle is even turned towards the person.
    """
    if not 0 <= margin < 1:
        raise ValueError(f"margin must be in [0, 1), got {margin}")
    target = cosine.gather(1, person[:, None])  # (B, 1)
    shift = margin * quality[:, None]
    angle = target.clamp(_OFF - 1, 1 - _OFF).acos() - shift
    turned = angle.clamp(_OFF, math.pi - _OFF).cos() - (shift + margin)
    return cosine.scatter(1, person[:, None], turned)
