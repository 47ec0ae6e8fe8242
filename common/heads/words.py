"""Words head: a linear map into the space of texts, so that a sentence finds a face.

A picture's own description attracts; a fixed PUBLIC bank of prompts repels (softmax over that
sample of texts). Other people's descriptions never appear: contrast within a batch would let one
person move all the others' gradients. Prompts that say nearly what the description says are no
negatives of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from common.errors import ModelError
from common.heads.head import PictureLabels, array_name, labelled_mean

SCALE = 16.0  # of cosines
NEAR = 0.95  # cosine at which a prompt says the same as a description


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class WordsHead:
    """Arrays ``weight`` (T, D) and ``bias`` (T,): the text of a face, before normalisation.

    ``encoder`` names the text encoder (its hash) whose space this is. ``bank`` (M, T) holds unit
    rows; a head that only reads needs none.
    """

    kind: ClassVar[str] = "words"
    size: int  # T
    encoder: str
    bank: NDArray[np.float32] | None = None
    scale: float = SCALE

    def __post_init__(self) -> None:
        if self.size < 1 or not 0 < self.scale < 1e3:
            raise ModelError("words: a space has dimensions, and a scale is in (0, 1000)")
        if self.bank is None:
            return
        if self.bank.ndim != 2 or self.bank.shape[1] != self.size or not len(self.bank):
            raise ModelError(f"a bank of prompts is (M, {self.size}), got {self.bank.shape}")
        if not np.allclose(np.linalg.norm(self.bank, axis=1), 1, atol=1e-3):
            raise ModelError("the rows of a bank of prompts have length 1")

    def arrays(self, features: int, generator: torch.Generator) -> dict[str, Tensor]:
        """A drawn map: from zero no direction could be normalised."""
        weight = torch.randn((self.size, features), generator=generator) * features**-0.5
        return {self._name("weight"): weight, self._name("bias"): torch.zeros(self.size)}

    def loss(self, arrays: Mapping[str, Tensor], feature: Tensor, labels: PictureLabels) -> Tensor:
        """Mean over described pictures of one person's ``feature`` (k, D).

        ``ModelError`` where some are described and there is no bank to learn against.
        """
        unit = self.embed(arrays, feature)
        if labels.words is None:
            return unit.sum() * 0
        if self.bank is None:
            raise ModelError("a words head learns against a bank of prompts, and has none")
        described = torch.isfinite(labels.words).all(dim=1)
        own = torch.where(described[:, None], labels.words, 0).to(unit)
        bank = torch.from_numpy(self.bank).to(unit)
        same = own @ bank.T >= NEAR  # (k, M)
        others = (self.scale * unit @ bank.T).masked_fill(same, -torch.inf)
        mine = self.scale * (unit * own).sum(dim=1, keepdim=True)
        losses = torch.logsumexp(torch.cat([mine, others], dim=1), dim=1) - mine[:, 0]
        return labelled_mean(losses, described)

    def embed(self, arrays: Mapping[str, Tensor], feature: Tensor) -> Tensor:
        """(k, D) -> (k, T), rows of length 1."""
        mapped = F.linear(feature, arrays[self._name("weight")], arrays[self._name("bias")])
        return F.normalize(mapped)

    def shapes(self, features: int) -> dict[str, tuple[int, ...]]:
        """The shape of each array for features of that width."""
        return {self._name("weight"): (self.size, features), self._name("bias"): (self.size,)}

    def table(self) -> dict[str, Any]:
        """What ``head_of`` makes this head of again, without its bank, as JSON can hold it."""
        return {"size": self.size, "encoder": self.encoder, "scale": self.scale}

    def _name(self, array: str) -> str:
        return array_name(self.kind, array)
