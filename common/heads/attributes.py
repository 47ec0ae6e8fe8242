"""Attributes head: what can be seen in a face, each attribute by a line of its own.

Cross entropy over what is labelled, rare sides weighed up by PUBLIC counts (effective number of
samples, Cui et al. 2019, arXiv:1901.05555). A weight from the batch or from a site's own people
would let one person move the others' gradients; these are constants that everybody knows.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from common.errors import ModelError
from common.heads.head import MISSING, PictureLabels, array_name, labelled_mean
from common.text.forbidden import refuse
from common.text.words import words

BETA = 0.999  # of the effective number: counts beyond about 1 / (1 - BETA) stop mattering

_GENDERED = {*["gender", "sex", "male", "female", "man", "men", "woman", "women"], "男", "女", "性"}


@dataclass(frozen=True, kw_only=True, slots=True)
class AttributesHead:
    """Arrays ``weight`` (A, D) and ``bias`` (A,): logits of the A attributes in ``names``.

    ``shown`` and ``absent`` (A each) count public pictures with and without each; ``beta`` 0
    weighs both sides alike, towards 1 by inverse frequency. No head is made of what is forbidden
    (``ForbiddenError``), nor of gender.
    """

    kind: ClassVar[str] = "attributes"
    names: tuple[str, ...]
    shown: tuple[int, ...]
    absent: tuple[int, ...]
    beta: float = BETA

    def __post_init__(self) -> None:
        if not self.names or len(set(self.names)) < len(self.names):
            raise ModelError("attributes of a head have names, each of them once")
        refuse(self.names)
        if any(_GENDERED & set(words(name)) for name in self.names):
            raise ModelError("gender is no attribute: it has a head of its own, which is off")
        if not len(self.names) == len(self.shown) == len(self.absent):
            raise ModelError("public counts of attributes: two for every name")
        check_counts((*self.shown, *self.absent), self.beta)

    def arrays(self, features: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Lines that know nothing but how often each attribute is seen; nothing is drawn."""
        del generator
        weight = torch.zeros(len(self.names), features)
        return {self._name("weight"): weight, self._name("bias"): prior(*self._counts())}

    def loss(self, arrays: Mapping[str, Tensor], feature: Tensor, labels: PictureLabels) -> Tensor:
        """Mean over labelled attributes of one person's ``feature`` (k, D)."""
        logits = self.logits(arrays, feature)
        truth = self.truth(labels)
        if truth is None:
            return logits.sum() * 0
        return binary_loss(logits, truth, class_weights(*self._counts()))

    def truth(self, labels: PictureLabels) -> Tensor | None:
        """What the logits are to say, (k, A) in {1, 0, MISSING}."""
        return labels.attributes

    def logits(self, arrays: Mapping[str, Tensor], feature: Tensor) -> Tensor:
        """(k, D) -> (k, A), not calibrated."""
        return F.linear(feature, arrays[self._name("weight")], arrays[self._name("bias")])

    def shapes(self, features: int) -> dict[str, tuple[int, ...]]:
        """The shape of each array for features of that width."""
        size = len(self.names)
        return {self._name("weight"): (size, features), self._name("bias"): (size,)}

    def table(self) -> dict[str, Any]:
        """What ``head_of`` makes this head of again, as JSON can hold it."""
        named = {"names": list(self.names), "shown": list(self.shown), "absent": list(self.absent)}
        return {**named, "beta": self.beta}

    def _counts(self) -> tuple[tuple[int, ...], tuple[int, ...], float]:
        return self.shown, self.absent, self.beta

    def _name(self, array: str) -> str:
        return array_name(self.kind, array)


def binary_loss(logits: Tensor, truth: Tensor, weights: Tensor | None = None) -> Tensor:
    """Cross entropy: logits (k, A), truth (k, A) in {1, 0, MISSING}, weights (2, A) of 0 and 1."""
    target = (truth == 1).to(logits.dtype)
    each = None if weights is None else torch.where(truth == 1, weights[1], weights[0]).to(logits)
    losses = F.binary_cross_entropy_with_logits(logits, target, each, reduction="none")
    return labelled_mean(losses, truth != MISSING)


def class_weights(shown: tuple[int, ...], absent: tuple[int, ...], beta: float) -> Tensor:
    """(2, A): of a picture without and with each attribute; 1 on average over the public counts.

    One over the effective number (1 - beta^n) / (1 - beta) of each side's n, of at least one.
    """
    count = torch.tensor([absent, shown], dtype=torch.float64).clamp_min(1)
    effective = 1 - beta**count if beta > 0 else torch.ones_like(count)
    weights = 1 / effective
    return (weights * count.sum(dim=0) / (weights * count).sum(dim=0)).float()


def prior(shown: tuple[int, ...], absent: tuple[int, ...], beta: float) -> Tensor:
    """(A,): the logits at which a head that knows nothing of a face loses least."""
    count = torch.tensor([absent, shown], dtype=torch.float64).clamp_min(1)
    weighed = (class_weights(shown, absent, beta).double() * count).log()
    return (weighed[1] - weighed[0]).float()


def check_counts(counts: tuple[int, ...], beta: float) -> None:
    """Raises ``ModelError`` for counts below zero, or ``beta`` outside [0, 1)."""
    if any(count < 0 for count in counts):
        raise ModelError("public counts are whole numbers from 0")
    if not 0 <= beta < 1:
        raise ModelError(f"beta must be in [0, 1), got {beta}")
