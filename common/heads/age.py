"""Age head: one line through the faces, cut at fixed ages (CORAL, Cao et al. 2020, 1901.07884).

Every cut asks "at least this old?", all with the same weights, so that the answers cannot
contradict each other as long as the offsets fall. The cuts are fixed, public numbers. A label is
a number of years or a range of them: cuts inside the range are not labelled by it.
"""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from common.errors import ModelError
from common.heads.attributes import binary_loss
from common.heads.head import MISSING, PictureLabels, array_name

CUTS = tuple(range(20, 80, 5))
YOUNGEST, OLDEST = 15.0, 90.0  # where what lies outside the cuts is taken to end

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True, kw_only=True, slots=True)
class AgeHead:
    """Arrays ``weight`` (1, D) and ``bias`` (K,): logits of being at least each of ``cuts`` (K)."""

    kind: ClassVar[str] = "age"
    cuts: tuple[int, ...] = CUTS

    def __post_init__(self) -> None:
        edges = (YOUNGEST, *self.cuts, OLDEST)
        if not self.cuts or any(b <= a for a, b in itertools.pairwise(edges)):
            raise ModelError(f"cuts ascend between {YOUNGEST:g} and {OLDEST:g} years")

    def arrays(self, features: int, generator: torch.Generator) -> dict[str, Tensor]:
        """A line that takes everybody for middle-aged, in falling steps; nothing is drawn."""
        del generator
        bias = torch.linspace(2, -2, len(self.cuts)) if len(self.cuts) > 1 else torch.zeros(1)
        return {self._name("weight"): torch.zeros(1, features), self._name("bias"): bias}

    def loss(self, arrays: Mapping[str, Tensor], feature: Tensor, labels: PictureLabels) -> Tensor:
        """Mean over the labelled cuts of one person's ``feature`` (k, D).

        ``labels.age`` (k,) years, or (k, 2): from, and below.
        """
        logits, truth = self.logits(arrays, feature), self.truth(labels)
        return logits.sum() * 0 if truth is None else binary_loss(logits, truth)

    def truth(self, labels: PictureLabels) -> Tensor | None:
        """What the logits are to say, (k, K) in {1, 0, MISSING}: at least each cut or below it."""
        if labels.age is None:
            return None
        age = labels.age
        low, high = (age, age) if age.ndim == 1 else (age[:, 0], age[:, 1])
        cuts = torch.tensor(self.cuts, dtype=age.dtype, device=age.device)
        truth = torch.full((len(age), len(cuts)), MISSING, dtype=torch.int8, device=age.device)
        truth[high[:, None] <= cuts] = 0
        truth[low[:, None] >= cuts] = 1  # somebody of just that age is at least that old
        return truth

    def logits(self, arrays: Mapping[str, Tensor], feature: Tensor) -> Tensor:
        """(k, D) -> (k, K), falling along the cuts where the offsets fall."""
        line = F.linear(feature, arrays[self._name("weight")])
        return line + arrays[self._name("bias")]

    def shapes(self, features: int) -> dict[str, tuple[int, ...]]:
        """The shape of each array for features of that width."""
        return {self._name("weight"): (1, features), self._name("bias"): (len(self.cuts),)}

    def table(self) -> dict[str, Any]:
        """What ``head_of`` makes this head of again, as JSON can hold it."""
        return {"cuts": list(self.cuts)}

    def quantiles(self, reached: Floats, shares: tuple[float, ...]) -> NDArray[np.float64]:
        """Ages (N, Q) below which each of ``shares`` (Q) lies.

        ``reached`` (N, K) are the probabilities of being at least each cut; where one is above the
        one before, it is lowered to it. Between cuts ages are taken as equally likely.
        """
        falling = np.minimum.accumulate(np.asarray(reached, np.float64), axis=1)
        ones, zeros = np.ones((len(falling), 1)), np.zeros((len(falling), 1))
        below = 1 - np.hstack([ones, falling, zeros])  # share younger than each edge
        edges = np.array([YOUNGEST, *self.cuts, OLDEST])
        found = np.empty((len(below), len(shares)))
        for row, share in zip(found, below, strict=True):
            row[:] = np.interp(shares, share, edges)
        return found

    def _name(self, array: str) -> str:
        return array_name(self.kind, array)
