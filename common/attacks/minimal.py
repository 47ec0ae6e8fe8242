"""How little is enough: the smallest budget at which an attack succeeds, found row by row."""

import torch
from torch import Tensor, nn

from common.attacks.gradient import Pgd
from common.attacks.target import Budget, Norm, Trials

MOST: dict[Norm, float] = {"linf": 64 / 255, "l2": 16.0}  # beyond it nobody is asked
BIM = Pgd(steps=20, random_start=False, stop=True)


def minimal_distortion(
    face: nn.Module,
    trials: Trials,
    norm: Norm,
    generator: torch.Generator,
    bisections: int = 8,
) -> Tensor:
    """(B,): how far each row has to move; infinite where ``MOST`` is not enough.

    An upper bound: the length of a move that succeeds, with ``bisections`` + 1 attacks a row. Rows
    that are fooled as they are need 0.
    """
    low, high = torch.zeros(len(trials)), torch.full((len(trials),), torch.inf)
    high[trials.fooled(face, trials.pixels)] = 0
    tried = torch.full((len(trials),), MOST[norm])
    for _ in range(bisections + 1):
        going = torch.nonzero(low < high.clamp(max=2 * MOST[norm]))[:, 0]
        for eps in sorted(set(tried[going].tolist())):
            rows = going[tried[going] == eps]
            part = trials.rows(rows)
            found = BIM(face, part, Budget(norm, eps), generator)
            good = part.fooled(face, found)
            # The first iterate that succeeds may be well within the budget.
            high[rows[good]] = torch.minimum(high[rows], _lengths(found - part.pixels, norm))[good]
            low[rows[~good]] = eps
        low = torch.where(high.isinf(), MOST[norm] * 2, low)  # not even the most: given up
        tried = (low + high) / 2
    return high


def median(distortions: Tensor) -> float | None:
    """The middle one of (B,), the lower of two; ``None`` where half of the rows have none."""
    middle = float(distortions.median()) if len(distortions) else float("inf")
    return middle if middle < float("inf") else None


def _lengths(moves: Tensor, norm: Norm) -> Tensor:
    flat = moves.flatten(1)
    length: Tensor = flat.abs().amax(1) if norm == "linf" else torch.linalg.vector_norm(flat, dim=1)
    return length
