"""Public people as a door sees them: pictures as they are, and through randomised cameras.

For public and invented people only.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.faces.align import TEMPLATE
from common.faces.cameras import RANDOMISED, load_cameras
from common.faces.crops import Crop
from common.faces.faceset import FaceSet
from common.faces.quality import defects, quality_of
from common.matching.set_learning import Frames
from common.metrics.verification import Floats
from common.models.cache import CacheKey, FeatureCache
from common.models.studio import Progress
from common.models.trunk import Trunk
from common.wire import digest

MOST = 8  # pictures of one person
_WIDE = (10**6, 10**6)  # pixels: a crop does not tell how large its picture was


@dataclass(frozen=True, kw_only=True, eq=False, slots=True)
class Seeing:
    """What sees the pictures, in how many spoilt ``states``, and where features are kept."""

    trunk: Trunk
    cache: FeatureCache
    progress: Progress
    states: int = 1

    def frames(self, faces: FaceSet) -> Frames:
        """State 0 is a picture as it is, the others are through cameras; at most MOST a person.

        A feature is the mean of those of a crop and its mirror image, as at a door.
        """
        chosen = np.concatenate([faces.pictures_of(int(p))[:MOST] for p in faces.people])
        shown = faces.subset(chosen)
        done = self.progress.start("features", 3 * len(shown) * (self.states + 1))
        seen = [self._seen(shown, state, done) for state in range(self.states + 1)]
        features, quality = (np.stack(part, axis=1) for part in zip(*seen, strict=True))
        return Frames(features=features, quality=quality, person=shown.person)

    def _seen(
        self, faces: FaceSet, state: int, done: Callable[[int], None]
    ) -> tuple[Floats, Floats]:
        """Features (N, D) and qualities (N,) of all ``faces`` in one state."""
        camera = load_cameras(RANDOMISED)[0]

        def shots() -> Iterator[Crop]:
            for index in range(len(faces)):
                crop = faces.crop(index)
                yield camera.shoot(crop, state) if state else crop

        def features(crops: Iterable[Crop], side: str) -> NDArray[np.float32]:
            key = CacheKey(faces=faces.digest, camera=digest(repr(camera), side), view=state)
            return self.cache.features(self.trunk, crops, key, done)

        quality = []
        for index, crop in enumerate(shots()):
            points = TEMPLATE if faces.landmarks is None else faces.landmarks[index]
            quality.append(quality_of(defects(points, crop, _WIDE)).score)
            done(1)
        both = features(shots(), ""), features((crop[:, ::-1] for crop in shots()), "mirrored")
        return (both[0] + both[1]) / np.float32(2), np.array(quality, np.float32)
