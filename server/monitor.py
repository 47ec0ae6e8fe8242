"""How well a shared tail does on public people: the only figure early stopping may look at."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.errors import RunError
from common.metrics.verification import tar_at_far
from common.models.tail import BIAS, WEIGHT, Tail

PUBLIC = "public.safetensors"  # beside the charter: features (N, D) and person (N,)
FAR = 1e-2


class PublicMonitor:
    """TAR at FAR 1e-2 of a tail on the features (N, D) of public people (N,)."""

    def __init__(self, features: NDArray[np.float32], person: NDArray[np.int64]) -> None:
        self._features, self._person = features, person

    def score(self, arrays: Mapping[str, NDArray[Any]]) -> float:
        """Higher is better; 0 where there are too few public people to say."""
        tail = Tail(arrays[WEIGHT], arrays[BIAS])
        return tar_at_far(tail.embed(self._features), self._person, (FAR,))[FAR] or 0.0


def save_public(folder: Path, features: NDArray[np.float32], person: NDArray[np.int64]) -> None:
    """Puts public people beside the charter in ``folder``, for ``find_monitor``."""
    from safetensors.numpy import save_file

    arrays: dict[str, NDArray[Any]] = {
        "features": np.ascontiguousarray(features),
        "person": np.ascontiguousarray(person),
    }
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
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise RunError(f"cannot read {path}: {type(error).__name__}") from error
    if features.ndim != 2 or person.shape != features.shape[:1] or person.dtype.kind not in "iu":
        raise RunError(f"{path}: features must be (N, D) and person (N,) integers")
    return PublicMonitor(features, person)
