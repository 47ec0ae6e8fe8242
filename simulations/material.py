"""What an experiment is made of: features of every face as each camera sees it, computed once.

Pictures pass through a camera and the trunk and are forgotten; everything after that works on
features. A feature is as sensitive as the face it came from, so the cache is private to its owner.
"""

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from common.errors import ScenarioError
from common.faces.cameras import Camera
from common.faces.faceset import REPORT_SITE, FaceSet
from common.models.cache import CacheKey, FeatureCache
from common.models.tail import Tail
from common.models.trunk import Trunk
from common.wire import digest
from simulations.scenario import Scenario

AS_IT_IS = "as it is"  # the camera type of pictures whose pack declares none

Features = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, eq=False)
class Material:
    """Features and labels, no pictures.

    ``features[t]`` (N, D) are all faces through camera type ``types[t]``; where pictures are taken
    as they are, every type holds the same array and ``taken`` (N,) says which type each picture
    is. ``site`` (N,) is what the pack declares, or None. ``public`` (M, V, D) are the public
    people under domain randomisation.
    """

    types: tuple[str, ...]
    features: tuple[Features, ...]
    person: NDArray[np.int64]
    fold: NDArray[np.int8]
    public: Features
    public_person: NDArray[np.int64]
    trunk: str
    tail: Tail
    taken: NDArray[np.int64] | None = None
    site: NDArray[np.int64] | None = None

    def seen(self, pictures: NDArray[np.int64], camera: int) -> NDArray[np.int64]:
        """Those of ``pictures`` that exist at camera type number ``camera``."""
        return pictures if self.taken is None else pictures[self.taken[pictures] == camera]


class Progress(Protocol):
    """Told what is being done, how many steps it has, and every few steps."""

    def start(self, what: str, total: int) -> Callable[[int], None]: ...


@dataclass(frozen=True, eq=False)
class Studio:
    """Shoots faces through cameras and trunk, remembering what it has done in ``cache``."""

    trunk: Trunk
    cache: FeatureCache
    progress: Progress

    def shoot(self, faces: FaceSet, camera: Camera | None, view: int, what: str) -> Features:
        """(N, D) features of all ``faces`` through ``camera``."""

        def crops() -> Iterator[NDArray[np.uint8]]:
            for index in range(len(faces)):
                crop = faces.crop(index)
                yield crop if camera is None else camera.shoot(crop, view)

        key = CacheKey(
            faces=faces.digest, camera="" if camera is None else camera_digest(camera), view=view
        )
        done = self.progress.start(what, len(faces))
        return self.cache.features(self.trunk, crops(), key, done)


def prepare(
    scenario: Scenario, faces: FaceSet, public: FaceSet, tail: Tail, studio: Studio
) -> Material:
    """Computes, or reads from the cache, every feature the scenario needs."""
    assert faces.fold is not None
    randomised = scenario.public_camera()
    views = [
        studio.shoot(public, randomised, v, f"public people, view {v + 1} of {scenario.views}")
        for v in range(scenario.views)
    ]
    plain = Material(
        types=(),
        features=(),
        person=faces.person,
        fold=faces.fold,
        public=np.stack(views, axis=1),
        public_person=public.person,
        trunk=studio.trunk.hash,
        tail=tail,
    )
    cameras = scenario.camera_list()
    if not cameras:
        return _as_they_are(plain, faces, studio)
    features = tuple(studio.shoot(faces, c, 0, f"faces through {c.name}") for c in cameras)
    return dataclasses.replace(plain, types=tuple(c.name for c in cameras), features=features)


def _as_they_are(plain: Material, faces: FaceSet, studio: Studio) -> Material:
    features = studio.shoot(faces, None, 0, "faces as they are")
    declared = faces.camera_type or (AS_IT_IS,) * len(faces)
    types, taken = np.unique(np.array(declared), return_inverse=True)
    if faces.site is not None and not (faces.site != REPORT_SITE).any():
        raise ScenarioError("the pack's site array leaves nobody to train")
    return dataclasses.replace(
        plain,
        types=tuple(map(str, types)),
        features=(features,) * len(types),
        taken=taken.astype(np.int64),
        site=faces.site,
    )


def camera_digest(camera: Camera) -> str:
    """Names a camera by everything that decides what it does."""
    return digest(repr(camera))
