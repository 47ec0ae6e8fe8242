"""The cheapest inversion there is: least squares from a vector to the pixels it was made of.

It takes a second and no gradient of anything. What it decodes is fed to the network again by
``inversion``, which tells whether a picture was found or only a face.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from common.errors import ModelError

RIDGES = (0.01, 0.1, 1.0)  # in mean eigenvalues; a part of the teachers chooses
_LEAST = 1e-12
_EVERY = 16  # pixel that choosing looks at

Floats = NDArray[np.floating]


@dataclass(frozen=True, eq=False, repr=False)
class Decoder:
    """pixels = middle + (vector - centre) @ weight, held to [0, 1]; ``side`` S of the pictures.

    Leaks: a decoder holds the mean face of its teachers, and directions that they differ in.
    """

    centre: NDArray[np.float32]  # (K,)
    weight: NDArray[np.float32]  # (K, 3 S S)
    middle: NDArray[np.float32]  # (3 S S,)
    side: int

    @classmethod
    def fit(cls, vectors: Floats, crops: NDArray[np.uint8]) -> "Decoder":
        """The decoder that people who are not attacked teach: ``vectors`` (N, K) of their
        ``crops`` (N, S, S, 3), in the order of people. The last quarter chooses how far weights
        are shrunk. ``ModelError`` for fewer than two pictures or rows that differ.
        """
        if len(vectors) != len(crops) or len(crops) < 2 or vectors.ndim != 2:
            raise ModelError("a decoder learns from two pictures or more, and a vector of each")
        if not np.isfinite(vectors).all():
            raise ModelError("a decoder learns from finite vectors")
        planes = np.ascontiguousarray(crops.transpose(0, 3, 1, 2)).reshape(len(crops), -1)
        pixels = planes.astype(np.float32) / 255
        middle = pixels.mean(axis=0)
        centre, inverse = _inverse(vectors, _chosen(vectors, pixels))
        return cls(centre.astype(np.float32), inverse @ (pixels - middle), middle, crops.shape[1])

    def decode(self, vectors: Floats) -> Tensor:
        """(B, K) -> pixels (B, 3, S, S) in [0, 1]; what is not finite counts as the mean's."""
        known = np.where(np.isfinite(vectors), vectors, self.centre).astype(np.float32)
        made = self.middle + (known - self.centre) @ self.weight
        return torch.from_numpy(made.clip(0, 1)).view(-1, 3, self.side, self.side)

    def mean_face(self) -> Tensor:
        """(1, 3, S, S): what who knows nothing of a person would answer."""
        return torch.from_numpy(self.middle.clip(0, 1)).view(1, 3, self.side, self.side)


def _inverse(vectors: Floats, ridge: float) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Mean (K,) of ``vectors`` (N, K), and what makes weights (K, P) of centred pixels (N, P)."""
    centre = vectors.astype(np.float64).mean(axis=0)
    centred = vectors - centre
    moment = centred.T @ centred
    size = max(float(np.trace(moment)) / len(moment), _LEAST)
    regular = moment + ridge * size * np.eye(len(moment))
    return centre, np.linalg.solve(regular, centred.T).astype(np.float32)


def _chosen(vectors: Floats, pixels: Floats) -> float:
    """Of ``RIDGES`` the one that decodes the last quarter best, learnt from the others."""
    cut = 3 * len(vectors) // 4
    if cut < 2:
        return RIDGES[-1]
    few = pixels[:, ::_EVERY]
    middle, errors = few[:cut].mean(axis=0), []
    for ridge in RIDGES:
        centre, inverse = _inverse(vectors[:cut], ridge)
        made = (vectors[cut:] - centre).astype(np.float32) @ (inverse @ (few[:cut] - middle))
        errors.append(float(np.square(made + middle - few[cut:]).mean()))
    return RIDGES[int(np.argmin(errors))]


def signs(vectors: Floats) -> NDArray[np.float32]:
    """The sign code of each row, +1 and -1: a bit a number, which protects nothing."""
    return np.where(np.asarray(vectors) < 0, -1, 1).astype(np.float32)


def numbers(blobs: list[bytes]) -> NDArray[np.float32]:
    """Sealed blobs of one length, (B, bytes): each byte as a number in [-1, 1]."""
    if len({len(blob) for blob in blobs}) != 1:
        raise ModelError("blobs of one length are needed, and one at least")
    raw = np.frombuffer(b"".join(blobs), np.uint8).reshape(len(blobs), -1)
    return raw.astype(np.float32) / 127.5 - 1
