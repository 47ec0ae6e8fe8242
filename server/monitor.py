"""How well a shared tail does on public people: the only figure early stopping may look at.

The same people say at which cosine an evaluation accepts: so many of them pass for one another.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.errors import ModelError, RunError
from common.metrics.verification import (
    LEAST_IMPOSTORS,
    Pairs,
    allowed_impostors,
    tar_at_far,
    threshold_at_far,
)
from common.models.tail import BIAS, WEIGHT, Tail
from common.moments.reference import Reference
from common.moments.storing import reference_arrays, stored_reference

PUBLIC = "public.safetensors"  # beside the charter: features (N, D), person (N,), statistics
FAR = 1e-2
FMRS = (1e-2, 1e-3)  # that an evaluation has a threshold for, as far as public people allow


class PublicMonitor:
    """TAR at FAR 1e-2 of a tail on the features (N, D) of public people (N,), and thresholds.

    ``reference`` has what public people say of moments, where the charter brings it.
    """

    def __init__(
        self,
        features: NDArray[np.float32],
        person: NDArray[np.int64],
        reference: Reference | None = None,
    ) -> None:
        self._features, self._person, self.reference = features, person, reference

    def score(self, arrays: Mapping[str, NDArray[Any]]) -> float:
        """Higher is better; 0 where there are too few public people to say."""
        tail = Tail(arrays[WEIGHT], arrays[BIAS])
        return tar_at_far(tail.embed(self._features), self._person, (FAR,))[FAR] or 0.0

    @property
    def rates(self) -> tuple[float, ...]:
        """Of ``FMRS``, those that there are enough public pairs for."""
        return rates_of(self._person)

    def thresholds(self, tail: Tail) -> NDArray[np.float32]:
        """The cosine under ``tail`` at which each of ``rates`` of the public pairs pass, (m,)."""
        scores = np.sort(Pairs.of(self._person).score(tail.embed(self._features)).impostor)
        found = [threshold_at_far(scores, rate) for rate in self.rates]
        return np.clip(np.array(found, np.float32), -1, 1)


def rates_of(person: NDArray[np.int64]) -> tuple[float, ...]:
    """Of ``FMRS``, those that pictures of ``person`` (N,) have enough impostor pairs for."""
    counts = np.unique(person, return_counts=True)[1]
    pairs = (len(person) ** 2 - int(np.square(counts).sum())) // 2
    return tuple(fmr for fmr in FMRS if allowed_impostors(fmr, pairs) >= LEAST_IMPOSTORS)


def save_public(
    folder: Path,
    features: NDArray[np.float32],
    person: NDArray[np.int64],
    reference: Reference | None = None,
) -> None:
    """Puts public people beside the charter in ``folder``, for ``find_monitor``."""
    from safetensors.numpy import save_file

    arrays: dict[str, NDArray[Any]] = {
        "features": np.ascontiguousarray(features),
        "person": np.ascontiguousarray(person),
    }
    if reference is not None:
        arrays |= reference_arrays(reference)
    folder.mkdir(parents=True, exist_ok=True)
    save_file(arrays, folder / PUBLIC)


def find_monitor(folder: Path) -> PublicMonitor | None:
    """The monitor of the charter in ``folder``, if it brings public people.

    ``RunError`` if they cannot be read.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    path = folder / PUBLIC
    if not path.exists():
        return None
    try:
        arrays = load_file(path)
        features, person = arrays["features"], arrays["person"]
        reference = stored_reference(arrays)
    except (OSError, ValueError, KeyError, SafetensorError, ModelError) as error:
        raise RunError(f"cannot read {path}: {type(error).__name__}") from error
    if features.ndim != 2 or person.shape != features.shape[:1] or person.dtype.kind not in "iu":
        raise RunError(f"{path}: features must be (N, D) and person (N,) integers")
    return PublicMonitor(features, person, reference)
