"""What heads see of a feature: each of its numbers centred and scaled by PUBLIC constants.

A trunk's numbers differ in level and spread; a step of gradient descent, and the clip of a private
one, would be spent on the loud ones. Mean and deviation of a site's own faces are never taken.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.errors import ModelError
from common.heads.head import array_name

CENTRE, SCALE = array_name("scaling", "centre"), array_name("scaling", "scale")


@dataclass(frozen=True, eq=False, repr=False)
class Scaling:
    """(feature - centre) * scale; ``centre`` (D,) and ``scale`` (D,) float32, read-only."""

    centre: NDArray[np.float32]
    scale: NDArray[np.float32]

    def __post_init__(self) -> None:
        for name in ("centre", "scale"):
            values = np.array(getattr(self, name), np.float32)
            if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
                raise ModelError(f"{name} of a scaling is finite and (D,)")
            values.setflags(write=False)
            object.__setattr__(self, name, values)
        if self.centre.shape != self.scale.shape or (self.scale <= 0).any():
            raise ModelError("a scaling has a positive scale for each number")

    @classmethod
    def of(cls, public: NDArray[np.float32]) -> "Scaling":
        """That brings ``public`` features (N, D) to mean 0 and a mean square length of 1.

        Each number has deviation D^-1/2 afterwards; one that hardly varies is left at that of the
        typical one, so that nothing is blown up.
        """
        if public.ndim != 2 or len(public) < 2 or not np.isfinite(public).all():
            raise ModelError("a scaling is of finite public features, at least two")
        wide = np.asarray(public, np.float64)
        deviation = wide.std(axis=0)
        least = max(0.1 * float(np.median(deviation)), 1e-6)
        scale = 1 / (np.maximum(deviation, least) * np.sqrt(wide.shape[1]))
        return cls(wide.mean(axis=0).astype(np.float32), scale.astype(np.float32))

    def __call__(self, features: NDArray[Any]) -> NDArray[np.float32]:
        """(N, D) -> (N, D). ``ModelError`` for features of another width."""
        if features.ndim != 2 or features.shape[1] != len(self.centre):
            raise ModelError(f"features must be (N, {len(self.centre)}), got {features.shape}")
        return np.asarray((features - self.centre) * self.scale, np.float32)

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """The constants as named arrays."""
        return {CENTRE: self.centre, SCALE: self.scale}
