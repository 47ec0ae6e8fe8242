"""What a pupil is asked: to say what the teacher says, and to find alike what it finds alike.

The first is one minus the cosine to the teacher's embedding; the second the squared difference of
the two tables of cosines between every two views of the batch (relational distillation: Park et al.
2019, arXiv:1904.05068). Matching is by cosine, so neither asks for a length.

In-batch: each row's loss depends on the others. Right for public pictures, never for private ones.
"""

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812


def teaching_loss(said: Tensor, wanted: Tensor, relation: float) -> Tensor:
    """A scalar of what the pupil ``said`` (B, E) and the teacher's unit rows ``wanted`` (B, E)."""
    unit = F.normalize(said.flatten(1))
    apart = 1 - (unit * wanted).sum(1).mean()
    if not relation:
        return apart
    tables = unit @ unit.T - wanted @ wanted.T
    return apart + relation * torch.mean(tables.square())
