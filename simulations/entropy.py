"""Seeded randomness for reproducible simulations. It protects nobody.

Everything made with it says ``"entropy": "seeded"`` and carries no privacy claim: whoever knows the
seed can subtract the noise.
"""

import numpy as np
from numpy.typing import NDArray


class SeededEntropy:
    """The laboratory's stand-in for the agent's OS entropy; same interface, repeatable."""

    kind = "seeded"

    def __init__(self, *seed: int) -> None:
        self._rng = np.random.default_rng(list(seed))

    def uniform(self, n: int) -> NDArray[np.float64]:
        """``n`` values in [0, 1)."""
        return self._rng.random(n)

    def normal(self, n: int) -> NDArray[np.float64]:
        """``n`` standard Gaussian values."""
        return self._rng.standard_normal(n)
