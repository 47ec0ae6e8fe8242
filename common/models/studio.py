"""Pictures through cameras and a trunk: features computed once, pictures forgotten.

A feature is as sensitive as the face it came from, so the cache is private to its owner.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from common.faces.cameras import Camera
from common.faces.faceset import FaceSet
from common.models.cache import CacheKey, FeatureCache
from common.models.trunk import Trunk
from common.wire import digest

Features = NDArray[np.float32]


class Progress(Protocol):
    """Told what is being done, how many steps it has, and every few steps."""

    def start(self, what: str, total: int) -> Callable[[int], None]: ...


@dataclass(frozen=True, kw_only=True, eq=False)
class Lens:
    """Which camera sees which picture: ``cameras[chosen[i]]`` sees picture i; none: as it is."""

    cameras: tuple[Camera, ...] = ()
    chosen: NDArray[np.int64] | None = None  # None: the first camera sees all
    view: int = 0

    def camera_of(self, index: int) -> Camera | None:
        """The camera that sees picture number ``index``."""
        if not self.cameras:
            return None
        return self.cameras[0 if self.chosen is None else int(self.chosen[index])]

    @property
    def name(self) -> str:
        """For people who wait."""
        if not self.cameras:
            return "as they are"
        return self.cameras[0].name if len(self.cameras) == 1 else f"{len(self.cameras)} cameras"

    @property
    def digest(self) -> str:
        """Names the lens by everything that decides what it does."""
        chosen = b"" if self.chosen is None else self.chosen.tobytes()
        return digest(repr(self.cameras), chosen) if self.cameras else ""


@dataclass(frozen=True, eq=False)
class Studio:
    """Shoots faces through cameras and trunk, remembering what it has done in ``cache``."""

    trunk: Trunk
    cache: FeatureCache
    progress: Progress

    def shoot(self, faces: FaceSet, lens: Lens, what: str) -> Features:
        """(N, D) features of all ``faces`` through ``lens``."""

        def crops() -> Iterator[NDArray[np.uint8]]:
            for index in range(len(faces)):
                crop = faces.crop(index)
                camera = lens.camera_of(index)
                yield crop if camera is None else camera.shoot(crop, lens.view)

        key = CacheKey(faces=faces.digest, camera=lens.digest, view=lens.view)
        done = self.progress.start(what, len(faces))
        return self.cache.features(self.trunk, crops(), key, done)
