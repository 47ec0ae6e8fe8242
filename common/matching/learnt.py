"""Learnt weights of pictures at work, without torch: what a door pools by.

The same function as ``set_weights``, which learns it. A person's weights are the same to the bit in
whatever company they are made: every sum is taken picture by picture, or in blocks of one size.

Leaks: as ``set_weights``; a weight says how well one picture shows a face.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from common.errors import ModelError
from common.matching.directions import Doubles, affine
from common.matching.pooling import LEAST
from common.metrics.verification import Floats

Kind = Literal["attention", "recurrent"]
KINDS: tuple[Kind, ...] = get_args(Kind)

_TINY = 1e-12  # length of a feature below which it is not scaled to 1
_PART = 1024  # features measured at a time


class Learnt:
    """Weights of ``kind`` for features of ``trunk``; ``name`` is the SHA-256 of their file.

    ``arrays`` are named and shaped as ``shapes`` says, float32 and finite: reading a file checks it
    (``set_file``).
    """

    def __init__(self, kind: Kind, trunk: str, name: str, arrays: Mapping[str, Floats]) -> None:
        self.kind, self.trunk, self.name = kind, trunk, name
        self.size, self.feature_dim = arrays["seen.weight"].shape
        self._arrays = {key: array.astype(np.float64) for key, array in arrays.items()}
        self._power = float(arrays["power"])

    def __repr__(self) -> str:
        return f"Learnt({self.kind}, {self.name[:12]})"

    def shares(self, features: ArrayLike, quality: ArrayLike) -> Floats:
        """The weights (K,) of one person's pictures: ``features`` (K, D), ``quality`` (K,).

        Raises as ``of_groups``, and for a person without pictures.
        """
        rows = np.asarray(features)
        return self.of_groups(rows, quality, [np.arange(len(rows))])[0]

    def of_groups(
        self, features: ArrayLike, quality: ArrayLike, groups: Sequence[ArrayLike]
    ) -> list[Floats]:
        """For each of ``groups`` of the pictures with ``features`` (N, D) and ``quality`` (N,) in
        [0, 1] its weights (K,), which sum to 1.

        Groups of one size are done together. Raises ``ModelError`` for what cannot be.
        """
        wide, worth = np.asarray(features), np.asarray(quality, np.float64)
        if wide.ndim != 2 or wide.shape[1] != self.feature_dim:
            raise ModelError(f"features must be (N, {self.feature_dim}), got {wide.shape}")
        if worth.shape != (len(wide),) or not ((worth >= 0) & (worth <= 1)).all():
            raise ModelError(f"{len(wide)} features need as many qualities in [0, 1]")
        by_size = defaultdict(list)  # type: dict[int, list[int]]
        for number, group in enumerate(groups):
            by_size[len(np.asarray(group))].append(number)
        if 0 in by_size:
            raise ModelError("a person without pictures has no weights")
        rows, told = self._rows(wide), np.log(worth.clip(LEAST))
        made: list[Floats] = [np.zeros(0, np.float32)] * len(groups)
        for numbers in by_size.values():
            at = np.stack([np.asarray(groups[number], np.intp) for number in numbers])
            for number, weights in zip(numbers, self._weights(rows[at], told[at]), strict=True):
                made[number] = weights
        return made

    def _rows(self, features: NDArray[np.floating]) -> Doubles:
        """(N, D) -> (N, size): what is read in each feature at length 1."""
        length = np.empty(len(features))
        for start in range(0, len(features), _PART):
            part = features[start : start + _PART].astype(np.float64)
            length[start : start + len(part)] = np.sqrt(np.square(part).sum(axis=1))
        if not np.isfinite(length).all():
            raise ModelError("a feature is not finite")
        seen = self._arrays["seen.weight"].T
        rows = affine(features, seen, np.zeros(self.size)).astype(np.float64)
        rows /= np.maximum(length, _TINY)[:, None]
        return rows

    def _weights(self, rows: Doubles, worth: Doubles) -> Floats:
        """``rows`` (P, K, size) and logarithms of quality (P, K) -> weights (P, K)."""
        score = self._attended if self.kind == "attention" else self._recurred
        weights = _shares(score(rows, worth) + self._power * worth).astype(np.float32)
        if not np.isfinite(weights).all():
            raise ModelError("the weights of pictures are not finite")
        return weights

    def _attended(self, rows: Doubles, worth: Doubles) -> Doubles:
        arrays = self._arrays
        first = _shares(_dots(rows, arrays["question"]) + self._power * worth)
        found = np.zeros((len(rows), self.size))
        for k in range(rows.shape[1]):
            found += first[:, k, None] * rows[:, k]
        asked = np.tanh(_through(found, arrays["next.weight"], arrays["next.bias"]))
        return _dots(rows, asked[:, None])

    def _recurred(self, rows: Doubles, worth: Doubles) -> Doubles:
        """Gates as torch orders them: reset, update, new (Cho et al. 2014, arXiv:1406.1078)."""
        arrays = {name.removeprefix("reader."): array for name, array in self._arrays.items()}
        told = np.concatenate([rows, worth[..., None]], axis=2)
        held, score = np.zeros((len(rows), self.size)), np.zeros(worth.shape)
        for k in range(rows.shape[1]):
            given = _through(told[:, k], arrays["weight_ih_l0"], arrays["bias_ih_l0"])
            kept = _through(held, arrays["weight_hh_l0"], arrays["bias_hh_l0"])
            (reset, update, new), (was, had, old) = (
                np.split(part, 3, axis=1) for part in (given, kept)
            )
            update = _sigmoid(update + had)
            new = np.tanh(new + _sigmoid(reset + was) * old)
            held = (1 - update) * new + update * held
            score[:, k] = _dots(held, arrays["told.weight"][0])
        return score


def shapes(kind: Kind, feature_dim: int, size: int) -> dict[str, tuple[int, ...]]:
    """The names and shapes of the arrays of ``kind``."""
    common: dict[str, tuple[int, ...]] = {"power": (), "seen.weight": (size, feature_dim)}
    if kind == "attention":
        return common | {"question": (size,), "next.weight": (size, size), "next.bias": (size,)}
    return common | {
        "reader.weight_ih_l0": (3 * size, size + 1),
        "reader.weight_hh_l0": (3 * size, size),
        "reader.bias_ih_l0": (3 * size,),
        "reader.bias_hh_l0": (3 * size,),
        "told.weight": (1, size),
    }


def _through(rows: Doubles, weight: Doubles, bias: Doubles) -> Doubles:
    return affine(rows, weight.T, bias).astype(np.float64)


def _dots(rows: Doubles, other: Doubles) -> Doubles:
    made: Doubles = np.ascontiguousarray(rows * other).sum(axis=-1)
    return made


def _sigmoid(values: Doubles) -> Doubles:
    made: Doubles = 0.5 * (1 + np.tanh(0.5 * values))
    return made


def _shares(score: Doubles) -> Doubles:
    """The softmax of each row (P, K)."""
    with np.errstate(invalid="ignore", over="ignore"):  # not finite: for the caller to refuse
        high = np.exp(score - score.max(axis=1, keepdims=True))
        total = np.zeros(len(high))
        for k in range(high.shape[1]):
            total += high[:, k]
        made: Doubles = high / total[:, None]
        return made
