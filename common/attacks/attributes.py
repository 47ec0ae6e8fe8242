"""What somebody wears or is, read from vectors: a logistic probe against the majority's guess.

Balanced accuracy is the mean of the shares rightly told among those who have the attribute and
those who have not: whoever always says what the majority is gets exactly a half, however rare it
is. Probes are judged on people who taught none of them.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from common.errors import ModelError

DRAWS = 400  # resamples of people

Doubles = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class Probe:
    """decides attribute a of a vector x where (x - centre) / scale @ weight[:, a] + bias[a] > 0."""

    centre: Doubles  # (K,)
    scale: Doubles  # (K,)
    weight: Doubles  # (K, A)
    bias: Doubles  # (A,)

    @classmethod
    def fit(
        cls, vectors: NDArray[np.floating], truth: NDArray[np.bool_], decay: float = 1e-2
    ) -> "Probe":
        """Logistic regression on ``vectors`` (N, K) and ``truth`` (N, A), both sides weighed alike.

        ``decay`` is the weight of the squared coefficients. ``ModelError`` without vectors.
        """
        if len(vectors) != len(truth) or not len(vectors) or not np.isfinite(vectors).all():
            raise ModelError("a probe learns from finite vectors, a row of labels each")
        wide = np.asarray(vectors, np.float64)
        centre, scale = wide.mean(axis=0), wide.std(axis=0) + 1e-6 * (wide.std() + 1e-12)
        weight, bias = _logistic((wide - centre) / scale, truth, decay)
        return cls(centre, scale, weight, bias)

    def told(self, vectors: NDArray[np.floating]) -> NDArray[np.bool_]:
        """(N, K) -> what is said of each, (N, A)."""
        found = (vectors - self.centre) / self.scale @ self.weight + self.bias
        return np.asarray(found > 0)


def cross_fit(
    taught: NDArray[np.floating],
    asked: NDArray[np.floating],
    truth: NDArray[np.bool_],
    person: NDArray[np.int64],
    rng: np.random.Generator,
    parts: int = 5,
) -> NDArray[np.bool_]:
    """What is said of ``asked`` (N, K) by probes that ``taught`` (N, K) of other people taught.

    Row i of both is of the same picture: they are the same array, or what an attacker can have of
    strangers and what leaked of the attacked. ``truth`` (N, A), ``person`` (N,).
    """
    people, number = np.unique(person, return_inverse=True)
    if len(people) < 2:
        raise ModelError("a probe is taught by some people and judged on others: two are needed")
    part = (rng.permutation(len(people)) % min(parts, len(people)))[number]
    said = np.zeros(truth.shape, np.bool_)
    for one in range(int(part.max()) + 1):
        here = part == one
        said[here] = Probe.fit(taught[~here], truth[~here]).told(asked[here])
    return said


@dataclass(frozen=True, eq=False, repr=False)
class Inferred:
    """Balanced accuracy of each of A attributes, and of their mean, over resamples of people."""

    value: Doubles  # (A,)
    draws: Doubles  # (DRAWS, A)

    def interval(self, attribute: int | None = None) -> tuple[float, float]:
        """95 %, by person; of the mean over attributes where none is named."""
        drawn = self.draws.mean(axis=1) if attribute is None else self.draws[:, attribute]
        low, high = np.quantile(drawn, [0.025, 0.975])
        return float(low), float(high)


def inferred(
    said: NDArray[np.bool_],
    truth: NDArray[np.bool_],
    person: NDArray[np.int64],
    rng: np.random.Generator,
    known: NDArray[np.bool_] | None = None,
) -> Inferred:
    """How well ``said`` (N, A) tells ``truth`` (N, A): people are redrawn, not pictures.

    Where ``known`` (N, A) is given, what nobody knows does not count.
    """
    people, number = np.unique(person, return_inverse=True)
    counts = np.stack([said & truth, truth, ~said & ~truth, ~truth])  # (4, N, A)
    counts &= True if known is None else known
    own = np.zeros((len(people), len(person)))
    own[number, np.arange(len(person))] = 1
    mine = np.asarray(own @ counts, np.float64)  # (4, P, A)
    weights = rng.multinomial(len(people), np.full(len(people), 1 / len(people)), DRAWS)
    return Inferred(_balanced(mine.sum(axis=1)), _balanced(np.einsum("dp,cpa->cda", weights, mine)))


def _balanced(counts: Doubles) -> Doubles:
    """(4, ..., A): rightly told and all, of those who have it and those who have not."""
    hits, positive, refusals, negative = counts
    rate = hits / np.maximum(positive, 1) + refusals / np.maximum(negative, 1)
    return np.asarray(rate / 2, np.float64)


def _logistic(points: Doubles, truth: NDArray[np.bool_], decay: float) -> tuple[Doubles, Doubles]:
    x = torch.from_numpy(points)
    y = torch.from_numpy(truth.astype(np.float64))
    share = y.mean(dim=0).clamp(1e-9, 1 - 1e-9)
    each = y / (2 * share) + (1 - y) / (2 * (1 - share))
    weight = torch.zeros(x.shape[1], y.shape[1], dtype=x.dtype, requires_grad=True)
    bias = torch.zeros(y.shape[1], dtype=x.dtype, requires_grad=True)
    search = torch.optim.LBFGS([weight, bias], max_iter=60, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        search.zero_grad()
        logits = x @ weight + bias
        wrong = torch.nn.functional.binary_cross_entropy_with_logits(logits, y, each)
        value = wrong * y.shape[1] + decay * weight.square().sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    search.step(loss)  # type: ignore[no-untyped-call]
    return weight.detach().numpy(), bias.detach().numpy()
