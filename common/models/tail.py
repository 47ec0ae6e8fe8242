"""The tail: the small linear part that a federation trains, feature (D,) -> embedding (E,).

It is a matrix and an offset, so a new release re-embeds a whole gallery with one product, and a
closed-form correction (whitening, centring) is composed into it exactly.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from common.errors import ModelError

if TYPE_CHECKING:
    from torch import nn

WEIGHT, BIAS = "tail.weight", "tail.bias"  # names on the wire, in releases and at the gate


@dataclass(frozen=True, eq=False)
class Tail:
    """embedding = weight @ feature + bias; ``weight`` (E, D), ``bias`` (E,), float32, read-only.

    Raises ``ModelError`` for other shapes and for values that are not finite.
    """

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]

    def __post_init__(self) -> None:
        weight = _frozen(self.weight)
        bias = _frozen(self.bias)
        if weight.ndim != 2 or bias.shape != weight.shape[:1] or not weight.size:
            raise ModelError(f"a tail is (E, D) and (E,), got {weight.shape} and {bias.shape}")
        if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
            raise ModelError("a tail must be finite")
        object.__setattr__(self, "weight", weight)
        object.__setattr__(self, "bias", bias)

    @classmethod
    def of(cls, arrays: Mapping[str, NDArray[Any]]) -> "Tail":
        """The tail of named arrays, as ``arrays()`` gives them; any other name is refused."""
        if set(arrays) != {WEIGHT, BIAS}:
            raise ModelError(f"a tail is {WEIGHT} and {BIAS}, got {sorted(arrays)}")
        return cls(arrays[WEIGHT], arrays[BIAS])

    @property
    def feature_dim(self) -> int:
        return int(self.weight.shape[1])

    @property
    def embedding_dim(self) -> int:
        return int(self.weight.shape[0])

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the shape and the little-endian values."""
        digest = hashlib.sha256(f"tail {self.weight.shape}".encode())
        digest.update(self.weight.astype("<f4").tobytes())
        digest.update(self.bias.astype("<f4").tobytes())
        return digest.hexdigest()

    def embed(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, D) features -> (N, E) embeddings, not normalised."""
        if features.ndim != 2 or features.shape[1] != self.feature_dim:
            raise ModelError(f"features must be (N, {self.feature_dim}), got {features.shape}")
        embedded: NDArray[np.float32] = features.astype(np.float32, copy=False) @ self.weight.T
        return embedded + self.bias

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """The tail as named arrays, the form in which it travels."""
        return {WEIGHT: self.weight, BIAS: self.bias}

    def then(self, matrix: NDArray[Any], offset: NDArray[Any]) -> "Tail":
        """This tail followed by embedding -> matrix (K, E) @ embedding + offset (K,)."""
        wide = np.asarray(matrix, np.float64)
        if wide.ndim != 2 or wide.shape[1] != self.embedding_dim:
            raise ModelError(f"matrix must be (K, {self.embedding_dim}), got {wide.shape}")
        weight = wide @ self.weight.astype(np.float64)
        bias = wide @ self.bias.astype(np.float64) + offset
        return Tail(weight.astype(np.float32), bias.astype(np.float32))

    def module(self) -> "nn.Linear":
        """A trainable torch copy, (B, D) -> (B, E)."""
        import torch
        from torch import nn

        linear = nn.Linear(self.feature_dim, self.embedding_dim)
        linear.weight = nn.Parameter(torch.tensor(self.weight))
        linear.bias = nn.Parameter(torch.tensor(self.bias))
        return linear

    def __repr__(self) -> str:
        return f"Tail({self.feature_dim} -> {self.embedding_dim}, {self.hash[:12]})"


def _frozen(values: NDArray[Any]) -> NDArray[np.float32]:
    array = np.array(values, np.float32, order="C")
    array.setflags(write=False)
    return array
