"""Trained heads of one trunk, and what they read of a face: calibrated, with how sure they are.

Leaks: readings are personal data like the picture they were read from. They stay where it is.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from common.errors import ModelError
from common.heads.age import AgeHead
from common.heads.attributes import AttributesHead
from common.heads.calibration import Platt
from common.heads.gender import GenderHead
from common.heads.head import KINDS, Head
from common.heads.scaling import Scaling
from common.heads.weights import checked_weights
from common.heads.words import WordsHead

RANGE = (0.1, 0.9)  # the shares of the probability between which an age lies
_HASH = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Readings:
    """What is read of N pictures; None for what there is no head of.

    ``attributes`` (N, A) probabilities of ``names`` (A), ``age`` (N,) years with ``age_range``
    (N, 2) from and to, 80 % of the probability between them, ``female`` (N,) a probability,
    ``words`` (N, T) unit embeddings in the space of texts.
    """

    names: tuple[str, ...] = ()
    attributes: NDArray[np.float64] | None = None
    age: NDArray[np.float64] | None = None
    age_range: NDArray[np.float64] | None = None
    female: NDArray[np.float64] | None = None
    words: NDArray[np.float32] | None = None


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Heads:
    """Heads of the trunk with hash ``trunk``: arrays float32 by name, read-only.

    ``weights`` (by kind) are public, and what private steps sum with; ``calibration`` (by kind)
    makes scores probabilities, which they are taken for where there is none; ``match`` does so for
    cosines of the trunk's own tail. Raises ``ModelError`` for whatever does not fit together.
    """

    trunk: str
    heads: tuple[Head, ...]
    scaling: Scaling
    arrays: Mapping[str, NDArray[np.float32]]
    weights: Mapping[str, float]
    calibration: Mapping[str, Platt]
    match: Platt | None = None

    def __post_init__(self) -> None:
        if not _HASH.fullmatch(self.trunk):
            raise ModelError("heads name their trunk by its SHA-256")
        ordered = tuple(sorted(self.heads, key=lambda head: KINDS.index(head.kind)))
        object.__setattr__(self, "heads", ordered)
        kinds = [head.kind for head in self.heads]
        if not kinds or len(set(kinds)) < len(kinds):
            raise ModelError("heads are at least one, each of another kind")
        shapes = {n: s for head in self.heads for n, s in head.shapes(self.width).items()}
        if {n: a.shape for n, a in self.arrays.items()} != shapes:
            raise ModelError("the arrays are not those of the heads")
        frozen = {name: _frozen(array) for name, array in sorted(self.arrays.items())}
        object.__setattr__(self, "arrays", frozen)
        object.__setattr__(self, "weights", checked_weights(self.weights, self.heads))
        for kind, line in self.calibration.items():
            if kind not in kinds or len(line.slope) != _lines(self.head(kind)):
                raise ModelError("a calibration is not that of a head")
        if self.match is not None and len(self.match.slope) != 1:
            raise ModelError("cosines are calibrated by one line")

    def head(self, kind: str) -> Head | None:
        """The head of that kind, if there is one."""
        return next((head for head in self.heads if head.kind == kind), None)

    @property
    def kinds(self) -> tuple[str, ...]:
        return tuple(head.kind for head in self.heads)

    @property
    def width(self) -> int:
        """How many numbers a feature has that they read."""
        return len(self.scaling.centre)

    def only(self, kinds: Collection[str]) -> "Heads | None":
        """Those of ``kinds`` with all that is theirs; None where that is none of them."""
        kept = tuple(head for head in self.heads if head.kind in kinds)
        names = {name for head in kept for name in head.shapes(self.width)}
        if not kept:
            return None
        return replace(
            self,
            heads=kept,
            arrays={name: array for name, array in self.arrays.items() if name in names},
            weights={head.kind: self.weights[head.kind] for head in kept},
            calibration={k: line for k, line in self.calibration.items() if k in kinds},
        )

    def line(self, kind: str) -> Platt:
        """What makes the scores of that head probabilities."""
        return self.calibration.get(kind) or Platt.identity(_lines(self.head(kind)))

    def read(self, features: NDArray[np.float32]) -> Readings:
        """What is said of the pictures with ``features`` (N, D), as the trunk gives them.

        ``ModelError`` for another width or features that are not finite, and for heads so large
        that what they read of them is not.
        """
        if not np.isfinite(features).all():
            raise ModelError("features to read must be finite")
        seen = torch.from_numpy(self.scaling(features))
        arrays = {name: torch.from_numpy(array.copy()) for name, array in self.arrays.items()}
        found: dict[str, Any] = {}
        for head in self.heads:
            found |= self._read(head, arrays, seen)
        if not all(np.isfinite(found[name]).all() for name in found if name != "names"):
            raise ModelError("the heads are too large: what they read is not finite")
        return Readings(**found)

    def _read(self, head: Head, arrays: Mapping[str, Tensor], seen: Tensor) -> dict[str, Any]:
        if isinstance(head, WordsHead):
            return {"words": head.embed(arrays, seen).numpy()}
        if not isinstance(head, AttributesHead | AgeHead | GenderHead):
            raise ModelError(f"nobody knows how to read a head of kind {head.kind}")
        said = self.line(head.kind)(head.logits(arrays, seen).numpy())
        if isinstance(head, AttributesHead):
            return {"attributes": said, "names": head.names}
        if isinstance(head, GenderHead):
            return {"female": said[:, 0]}
        ages = head.quantiles(said, (RANGE[0], 0.5, RANGE[1]))
        return {"age": ages[:, 1], "age_range": ages[:, ::2]}


def _lines(head: Head | None) -> int:
    """How many lines a calibration of ``head`` has; ages share one, so that they keep in order."""
    return len(head.names) if isinstance(head, AttributesHead) else 1


def _frozen(values: NDArray[Any]) -> NDArray[np.float32]:
    array = np.array(values, np.float32, order="C")
    if not np.isfinite(array).all():
        raise ModelError("arrays of heads are finite")
    array.setflags(write=False)
    return array
