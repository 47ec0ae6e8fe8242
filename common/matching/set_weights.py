"""How much each of several pictures of one person counts in their template, as it was learnt.

A picture's weight depends on its feature and its quality beside those of the others; the template
is the weighted mean of the embeddings' directions, as it is without learning (``pooling``). Weights
read the trunk's feature, so that a new tail does not outdate them. Before anything is learnt both
kinds weigh by quality alone.

Leaks: made from public or invented people only; a weight says how well one picture shows a face.
"""

from typing import Literal

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from common.errors import ModelError
from common.matching.pooling import LEAST
from common.metrics.verification import Floats

Kind = Literal["attention", "recurrent"]


class SetWeights(nn.Module):
    """Features (B, K, D) and qualities (B, K) of B people -> weights (B, K), each row sums to 1.

    ``there`` (B, K) is false where a person has fewer than K pictures; those weigh 0.
    """

    kind: Kind

    def __init__(self, feature_dim: int, size: int) -> None:
        super().__init__()
        self.feature_dim, self.size = feature_dim, size
        self.seen = nn.Linear(feature_dim, size, bias=False)
        self.power = nn.Parameter(torch.ones(()))  # of the quality

    def forward(self, features: Tensor, quality: Tensor, there: Tensor) -> Tensor:
        rows = self.seen(F.normalize(features, dim=-1))
        worth = quality.clamp_min(LEAST).log()
        score = self.score(rows, worth, there) + self.power * worth
        return _shares(score, there)

    def score(self, rows: Tensor, worth: Tensor, there: Tensor) -> Tensor:
        """What speaks for each picture beside its quality (B, K); ``rows`` are (B, K, size)."""
        raise NotImplementedError


class AttentionWeights(SetWeights):
    """Two blocks of attention (NAN; Yang et al. 2017, arXiv:1603.05474, eq. 2-4).

    The first asks all sets alike, the second asks what the first found in this one. The order of
    pictures does not matter.
    """

    kind = "attention"

    def __init__(self, feature_dim: int, size: int) -> None:
        super().__init__(feature_dim, size)
        self.question = nn.Parameter(torch.zeros(size))
        self.next = nn.Linear(size, size)
        nn.init.zeros_(self.next.weight)
        nn.init.zeros_(self.next.bias)

    def score(self, rows: Tensor, worth: Tensor, there: Tensor) -> Tensor:
        first = _shares(rows @ self.question + self.power * worth, there)
        found = (first[..., None] * rows).sum(1)  # (B, size)
        asked = torch.tanh(self.next(found))
        return (rows * asked[:, None]).sum(-1)


class RecurrentWeights(SetWeights):
    """A GRU that reads pictures as they come, so a weight depends on those before it."""

    kind = "recurrent"

    def __init__(self, feature_dim: int, size: int) -> None:
        super().__init__(feature_dim, size)
        self.reader = nn.GRU(size + 1, size, batch_first=True)
        self.told = nn.Linear(size, 1, bias=False)
        nn.init.zeros_(self.told.weight)

    def score(self, rows: Tensor, worth: Tensor, there: Tensor) -> Tensor:
        read, _ = self.reader(torch.cat([rows, worth[..., None]], -1))
        told: Tensor = self.told(read).squeeze(-1)
        return told


def make_weights(kind: Kind, feature_dim: int, size: int = 32, seed: int = 0) -> SetWeights:
    """Freshly initialised weights of ``kind``, the same for the same seed."""
    made: dict[str, type[SetWeights]] = {
        "attention": AttentionWeights,
        "recurrent": RecurrentWeights,
    }
    if kind not in made or feature_dim < 1 or size < 1:
        raise ModelError(f"no weights of kind {kind!r} for {feature_dim} numbers in {size}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return made[kind](feature_dim, size)


@torch.no_grad()
def weights_of(model: SetWeights, features: ArrayLike, quality: ArrayLike) -> Floats:
    """The weights (K,) of one person's pictures: ``features`` (K, D), ``quality`` (K,) in [0, 1].

    Raises ``ModelError`` for what cannot be.
    """
    rows, worth = np.asarray(features, np.float32), np.asarray(quality, np.float32)
    if rows.ndim != 2 or not len(rows) or rows.shape[1] != model.feature_dim:
        raise ModelError(f"features must be (K, {model.feature_dim}), got {rows.shape}")
    if worth.shape != (len(rows),) or not ((worth >= 0) & (worth <= 1)).all():
        raise ModelError(f"{len(rows)} features need as many qualities in [0, 1]")
    if not np.isfinite(rows).all():
        raise ModelError("a feature is not finite")
    there = torch.ones(1, len(rows), dtype=torch.bool)
    made = model(torch.from_numpy(rows)[None], torch.from_numpy(worth)[None], there)
    return np.asarray(made[0].numpy(), np.float32)


def _shares(score: Tensor, there: Tensor) -> Tensor:
    return score.masked_fill(~there, -torch.inf).softmax(-1)
