"""How much each head counts in the sum: fixed numbers, or what public faces make of them.

A head whose loss stays high says less per unit of loss, and would drown the others in a sum that
is clipped once. Kendall et al. 2018 (arXiv:1705.07115) give each loss a log-variance s and minimise
sum exp(-s) L + s. Heads on a frozen trunk share no number, so that minimum is known: each head at
the least loss it can have, and the weight exp(-s) = 1 / L. It is taken on PUBLIC faces and then
fixed; learnt in private it would be one more released parameter, and cost.
"""

from collections.abc import Mapping, Sequence

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


def uncertainty_weights(losses: Mapping[str, float]) -> dict[str, float]:
    """The weight of each head by kind, one over its loss on public people who taught it nothing.

    To three digits, so that it can be written down, and at most ``MOST``.
    """
    return {kind: float(f"{1 / max(loss, 1 / MOST):.3g}") for kind, loss in losses.items()}
