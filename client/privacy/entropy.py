"""Where noise and sampling come from: the operating system, freshly for every draw.

A privacy guarantee dies with a repeated draw: two releases with the same noise differ by exactly
what the noise was to hide. Checkpointed generators, forked workers and restored snapshots all
repeat draws, so there is no generator here: every call takes a new key from the system.
"""

import os
from typing import Protocol

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from numpy.typing import NDArray


class Entropy(Protocol):
    """What the sampler and every Gaussian draw from. Nothing else in this project makes noise."""

    @property
    def kind(self) -> str:
        """``"os"``, or ``"seeded"`` in the laboratory; goes into the privacy statement."""

    def uniform(self, count: int) -> NDArray[np.float64]:
        """``count`` independent uniform numbers in [0, 1)."""

    def normal(self, count: int) -> NDArray[np.float64]:
        """``count`` independent standard normal numbers."""


class OsEntropy:
    """ChaCha20 under a key that the operating system gives for one call and nobody keeps.

    Guarantee: no state, so nothing to repeat: after a fork, a crash, a restored checkpoint or a
    resumed machine image the next draw is new.
    Leaks: normals are float64 and lie on a float's grid (Mironov 2012), with tails cut at 8.6
    deviations (probability below 1e-17); ``moments`` rounds releases far above that grid.
    """

    kind = "os"

    def uniform(self, count: int) -> NDArray[np.float64]:
        return (_words(count) >> np.uint64(11)).astype(np.float64) * 2.0**-53

    def normal(self, count: int) -> NDArray[np.float64]:
        half = (count + 1) // 2
        both = self.uniform(2 * half)
        radius = np.sqrt(-2 * np.log1p(-both[:half]))  # 1 - u is in (0, 1]: the log is finite
        angle = 2 * np.pi * both[half:]
        return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])[:count]

    def __reduce__(self) -> str:
        raise TypeError("entropy is not stored or sent")


def _words(count: int) -> NDArray[np.uint64]:
    cipher = Cipher(algorithms.ChaCha20(os.urandom(32), bytes(16)), mode=None)
    return np.frombuffer(cipher.encryptor().update(bytes(8 * count)), np.uint64)
