"""How much each head counts in the sum: fixed numbers, or what public faces make of them.

A head whose loss stays high says less per unit of loss, and would drown the others in a sum that
is clipped once. Kendall et al. 2018 (arXiv:1705.07115) give each loss a log-variance s and minimise
sum exp(-s) L + s: the weight exp(-s) tends to one over the loss. It is tuned on PUBLIC faces and
then fixed; under noise it would be one more released parameter, and cost.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from common.errors import ModelError
from common.heads.head import Head

MOST = 1e3


def checked_weights(weights: Mapping[str, float], heads: Sequence[Head]) -> dict[str, float]:
    """One positive finite weight for each head, by kind; ``ModelError`` otherwise."""
    if set(weights) != {head.kind for head in heads}:
        raise ModelError("weights: one for every head, and no other")
    if any(not 0 < float(weight) <= MOST for weight in weights.values()):
        raise ModelError(f"weights of heads are in (0, {MOST:g}]")
    return {kind: float(weight) for kind, weight in weights.items()}


class Uncertainty(nn.Module):
    """A log-variance for each head, learnt with the heads on public faces."""

    def __init__(self, heads: Sequence[Head]) -> None:
        super().__init__()
        self.log_variance = nn.ParameterDict({h.kind: nn.Parameter(torch.zeros(())) for h in heads})

    def forward(self, losses: Mapping[str, Tensor]) -> Tensor:
        """The scalar sum exp(-s) L + s over the heads that ``losses`` names."""
        total = torch.zeros(())
        for kind, loss in losses.items():
            s = self.log_variance[kind]
            total = total + torch.exp(-s) * loss + s
        return total

    def fixed(self) -> dict[str, float]:
        """The weights to fix, exp(-s), to three digits and within bounds."""
        with torch.no_grad():
            found = {kind: float(torch.exp(-s)) for kind, s in self.log_variance.items()}
        return {kind: float(f"{min(max(w, 1 / MOST), MOST):.3g}") for kind, w in found.items()}
