"""Learning how much each of several pictures of one person counts in their template: in torch.

A picture's weight depends on its feature and its quality beside those of the others; the template
is the weighted mean of the embeddings' directions, as it is without learning (``pooling``). Weights
read the trunk's feature, so that a new tail does not outdate them. Before anything is learnt both
kinds weigh by quality alone. What was learnt is at work in ``learnt``, where no torch is needed.

Leaks: made from public or invented people only; a weight says how well one picture shows a face.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from common.errors import ModelError
from common.matching.learnt import Kind
from common.matching.pooling import LEAST


class SetWeights(nn.Module, ABC):
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

    @abstractmethod
    def score(self, rows: Tensor, worth: Tensor, there: Tensor) -> Tensor:
        """What speaks for each picture beside its quality (B, K); ``rows`` are (B, K, size)."""


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


def _shares(score: Tensor, there: Tensor) -> Tensor:
    return score.masked_fill(~there, -torch.inf).softmax(-1)
