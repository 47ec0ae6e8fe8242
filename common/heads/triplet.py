"""Triplets: two pictures of one person must be nearer than a third of somebody else.

FaceNet (Schroff et al. 2015, arXiv:1503.03832). The third is chosen among the others of the batch,
so one person's loss depends on who else is there: for public training only.
"""

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812


def triplet_loss(embedding: Tensor, person: Tensor, margin: float) -> Tensor:
    """Mean over all pairs of one person of [d(a, p) - d(a, n) + margin]+: (B, E), (B,) -> scalar.

    d is the squared distance of unit vectors (eq. 2). The negative n of a pair is semi-hard
    (eq. 4): the nearest of those farther away than p, or the farthest where there is none.
    Zero where the batch has no pair, or nobody else.
    """
    if not 0 <= margin < 4:
        raise ValueError(f"margin must be in [0, 4), got {margin}")
    unit = F.normalize(embedding)
    distance = 2 - 2 * unit @ unit.T  # (B, B)
    same = person[:, None] == person[None]
    others = ~same
    anchor, positive = torch.nonzero(same.triu(1) | same.tril(-1), as_tuple=True)
    kept = others.any(1)[anchor]
    anchor, positive = anchor[kept], positive[kept]
    if not len(anchor):
        return (0 * embedding).sum()
    apart = distance[anchor, positive]  # (T,)
    negative = _semi_hard(distance.detach()[anchor], others[anchor], apart.detach())
    return F.relu(apart - distance[anchor, negative] + margin).mean()


def _semi_hard(distance: Tensor, other: Tensor, apart: Tensor) -> Tensor:
    """Columns (T,) of the negatives among ``other`` (T, B) at ``distance`` (T, B)."""
    farther = other & (distance > apart[:, None])
    nearest = distance.masked_fill(~farther, torch.inf).argmin(1)
    farthest = distance.masked_fill(~other, -torch.inf).argmax(1)
    return torch.where(farther.any(1), nearest, farthest)
