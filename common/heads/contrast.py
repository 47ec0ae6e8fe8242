"""In-batch contrast: every other person of the batch is a negative. Nothing of it may leave a site.

One person's gradient depends on all the others, so removing a person moves everybody else's share:
this loss has no bounded sensitivity. It sees public faces, or a site's own for the site's own use.
The private objective, whose negatives are public, is in client/privacy/objective.py.
"""

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812


def in_batch_contrast(embedding: Tensor, person: Tensor, scale: float = 16.0) -> Tensor:
    """Mean over positive pairs of softplus(logsumexp of the anchor's negatives - positive).

    embedding (B, E) of any norm, person (B,) -> scalar; cosines are multiplied by ``scale``. A
    pairwise form of the supervised contrastive loss (Khosla et al. 2020, arXiv:2004.11362).
    """
    unit = F.normalize(embedding)
    score = scale * unit @ unit.T
    same = person[:, None] == person[None, :]
    positive = same & ~torch.eye(len(person), dtype=torch.bool, device=person.device)
    negatives = torch.logsumexp(score.masked_fill(same, -torch.inf), dim=1)
    return F.softplus(negatives[:, None] - score)[positive].mean()
