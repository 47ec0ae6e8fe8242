"""Gender head: one line, trained and shown only where a charter and a site both switch it on.

Nothing here is on by default: no plan, command or release has this head unless it is named.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from common.heads.attributes import BETA, binary_loss, check_counts, class_weights, prior
from common.heads.head import PictureLabels, array_name


@dataclass(frozen=True, kw_only=True, slots=True)
class GenderHead:
    """Arrays ``weight`` (1, D) and ``bias`` (1,): the logit of female, as labels call it.

    ``female`` and ``male`` count public pictures.
    """

    kind: ClassVar[str] = "gender"
    female: int
    male: int
    beta: float = BETA

    def __post_init__(self) -> None:
        check_counts((self.female, self.male), self.beta)

    def arrays(self, features: int, generator: torch.Generator) -> dict[str, Tensor]:
        """A line that knows the public shares alone; nothing is drawn."""
        del generator
        bias = prior((self.female,), (self.male,), self.beta)
        return {self._name("weight"): torch.zeros(1, features), self._name("bias"): bias}

    def loss(self, arrays: Mapping[str, Tensor], feature: Tensor, labels: PictureLabels) -> Tensor:
        """Mean over labelled pictures of one person's ``feature`` (k, D)."""
        logits = self.logits(arrays, feature)
        truth = self.truth(labels)
        if truth is None:
            return logits.sum() * 0
        return binary_loss(logits, truth, class_weights((self.female,), (self.male,), self.beta))

    def truth(self, labels: PictureLabels) -> Tensor | None:
        """What the logits are to say, (k, 1) in {1, 0, MISSING}."""
        return None if labels.gender is None else labels.gender[:, None]

    def logits(self, arrays: Mapping[str, Tensor], feature: Tensor) -> Tensor:
        """(k, D) -> (k, 1), not calibrated."""
        return F.linear(feature, arrays[self._name("weight")], arrays[self._name("bias")])

    def shapes(self, features: int) -> dict[str, tuple[int, ...]]:
        """The shape of each array for features of that width."""
        return {self._name("weight"): (1, features), self._name("bias"): (1,)}

    def table(self) -> dict[str, Any]:
        """What ``head_of`` makes this head of again, as JSON can hold it."""
        return {"female": self.female, "male": self.male, "beta": self.beta}

    def _name(self, array: str) -> str:
        return array_name(self.kind, array)
