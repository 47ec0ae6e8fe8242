"""Identity head for public training: a softmax over known people, made harder by a margin.

For public and synthetic people only. One row of ``Centres`` per person is a list of identities,
and a softmax over it lets every person move everybody's gradient; neither is ever used on a site's
own faces.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812


class Centres(nn.Module):
    """One direction per person: embedding (B, E) of any norm -> cosine (B, P)."""

    def __init__(self, embedding: int, people: int, generator: torch.Generator) -> None:
        super().__init__()
        drawn = torch.randn((people, embedding), generator=generator)
        self.weight = nn.Parameter(drawn * embedding**-0.5)  # (P, E)

    def forward(self, embedding: Tensor) -> Tensor:
        return F.linear(F.normalize(embedding), F.normalize(self.weight))


def arc_margin(cosine: Tensor, person: Tensor, margin: float) -> Tensor:
    """Adds ``margin`` radians to the angle of the true person: (B, P), (B,) -> (B, P).

    ArcFace (Deng et al. 2019, arXiv:1801.07698, eq. 3). Where the angle would pass pi the cosine
    is lowered by a constant instead, so that it keeps falling.
    """
    if not 0 <= margin < math.pi / 2:
        raise ValueError(f"margin must be in [0, pi/2), got {margin}")
    target = cosine.gather(1, person[:, None])  # (B, 1)
    sine = (1 - target.square()).clamp_min(1e-6).sqrt()  # off 0: the gradient stays finite
    turned = target * math.cos(margin) - sine * math.sin(margin)
    lowered = target - margin * math.sin(margin)
    kept = torch.where(target > -math.cos(margin), turned, lowered)
    return cosine.scatter(1, person[:, None], kept)


def cos_margin(cosine: Tensor, person: Tensor, margin: float) -> Tensor:
    """Subtracts ``margin`` from the cosine of the true person: (B, P), (B,) -> (B, P).

    CosFace (Wang et al. 2018, arXiv:1801.09414, eq. 4).
    """
    if not 0 <= margin < 1:
        raise ValueError(f"margin must be in [0, 1), got {margin}")
    target = cosine.gather(1, person[:, None])
    return cosine.scatter(1, person[:, None], target - margin)


def margin_loss(hardened: Tensor, person: Tensor, scale: float) -> Tensor:
    """Mean cross entropy of ``scale`` times the hardened cosines (B, P) -> scalar."""
    return F.cross_entropy(scale * hardened, person)


def softmax_loss(embedding: Tensor, centres: Centres, person: Tensor) -> Tensor:
    """Mean cross entropy of plain products with the centres: lengths count, nothing is hardened."""
    return F.cross_entropy(F.linear(embedding, centres.weight), person)
