"""A head: linear maps from the feature of a frozen trunk to something that can be said of a face.

A head's loss is of ONE person's pictures. It takes means over nothing but what that person's
labels say and compares with nothing but public constants, so removing a person changes what the
others contribute by exactly 0, and one clip of the sum over heads bounds a person's share whole.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

MISSING = -1  # an attribute that nobody labelled

KINDS = ("attributes", "age", "gender", "words")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class PictureLabels:
    """What is said of k pictures of one person, in their order; None where nothing is.

    ``attributes`` (k, A) int8 in {1, 0, MISSING}, the columns in the order of the head's names;
    ``age`` (k,) years, NaN where missing; ``gender`` (k,) int8, 1 for female, 0 for male or
    MISSING; ``words`` (k, T) the unit embedding of each picture's description, NaN where missing.
    """

    attributes: Tensor | None = None
    age: Tensor | None = None
    gender: Tensor | None = None
    words: Tensor | None = None

    def of(self, rows: Tensor | slice) -> "PictureLabels":
        """What is said of the pictures at ``rows``."""
        return PictureLabels(
            attributes=None if self.attributes is None else self.attributes[rows],
            age=None if self.age is None else self.age[rows],
            gender=None if self.gender is None else self.gender[rows],
            words=None if self.words is None else self.words[rows],
        )


class Head(Protocol):
    """One thing to say of a face. ``kind`` is one of ``KINDS``."""

    @property
    def kind(self) -> str: ...

    def arrays(self, features: int, generator: torch.Generator) -> dict[str, Tensor]:
        """The initial arrays for features of that width, named ``heads.<kind>.<array>``."""

    def loss(self, arrays: Mapping[str, Tensor], feature: Tensor, labels: PictureLabels) -> Tensor:
        """A scalar: the mean over what ``labels`` say of one person's ``feature`` (k, D).

        Exactly 0 with a gradient of exactly 0 where they say nothing.
        """

    def shapes(self, features: int) -> dict[str, tuple[int, ...]]:
        """The shape of each array for features of that width."""

    def table(self) -> dict[str, Any]:
        """What this head is, as JSON can hold it; no person's data and no large array."""


def array_name(kind: str, array: str) -> str:
    """What an array of a head is called on the wire, in files and at the gate."""
    return f"heads.{kind}.{array}"


def joint_loss(
    heads: Sequence[Head],
    weights: Mapping[str, float],
    arrays: Mapping[str, Tensor],
    feature: Tensor,
    labels: PictureLabels,
) -> Tensor:
    """The sum over ``heads`` of weight times loss, one scalar, whose gradient is clipped ONCE.

    ``weights`` (by kind, public and fixed) has an entry for every head; feature (k, D).
    """
    total = feature.sum() * 0
    for head in heads:
        total = total + weights[head.kind] * head.loss(arrays, feature, labels)
    return total


def labelled_mean(losses: Tensor, labelled: Tensor) -> Tensor:
    """The mean of ``losses`` where ``labelled``, of the same shape; 0 where nothing is.

    Losses of what is not labelled must be finite; their gradient is exactly 0.
    """
    kept = torch.where(labelled, losses, torch.zeros_like(losses))
    return kept.sum() / labelled.sum().clamp_min(1)
