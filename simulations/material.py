"""What an experiment is made of: features of every face as each camera sees it, computed once.

Pictures pass through a camera and the trunk and are forgotten; everything after that works on
features. A feature is as sensitive as the face it came from, so the cache is private to its owner.
"""

import dataclasses
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from common.errors import ScenarioError
from common.faces.faceset import REPORT_SITE, FaceSet
from common.models.studio import Features, Lens, Studio
from common.models.tail import Tail
from common.moments.reference import PublicViews
from server.public import Opening, PublicCameras, open_tail, shoot_public
from simulations.scenario import Scenario

AS_IT_IS = "as it is"  # the camera type of pictures whose pack declares none


@dataclass(frozen=True, kw_only=True, eq=False)
class Labels:
    """Whose the N pictures are and where they were taken: enough to deal people to sites.

    Where pictures are taken as they are, ``taken`` (N,) says through which of ``types``; otherwise
    every picture is seen through all of them. ``site`` (N,) is what the pack declares, or None;
    ``attribute`` (N,) the number of the group that the scenario's attribute puts a picture in.
    """

    types: tuple[str, ...]  # of cameras
    person: NDArray[np.int64]
    fold: NDArray[np.int8]
    taken: NDArray[np.int64] | None = None
    site: NDArray[np.int64] | None = None
    attribute: NDArray[np.int64] | None = None

    def seen(self, pictures: NDArray[np.int64], camera: int) -> NDArray[np.int64]:
        """Those of ``pictures`` that exist at camera type number ``camera``."""
        return pictures if self.taken is None else pictures[self.taken[pictures] == camera]


@dataclass(frozen=True, kw_only=True, eq=False)
class Material(Labels):
    """Features and labels, no pictures.

    ``features[t]`` (N, D) are all faces through camera type ``types[t]``, the same array for all
    types where pictures are taken as they are.
    """

    features: tuple[Features, ...]
    public: PublicViews
    trunk: str
    tail: Tail
    _openings: dict[int, Opening] = field(default_factory=dict, init=False)

    def opening(self, steps: int) -> Opening:
        """The tail after at most ``steps`` on public people, and their statistics; made once."""
        if steps not in self._openings:
            self._openings[steps] = open_tail(self.tail, self.public, steps)
        return self._openings[steps]


def prepare(
    scenario: Scenario, faces: FaceSet, public: FaceSet, tail: Tail, studio: Studio
) -> Material:
    """Computes, or reads from the cache, every feature the scenario needs."""
    labels = labels_of(scenario, faces)
    views = _public(scenario, public, studio)
    features = _features(scenario, faces, labels, studio)
    told = {entry.name: getattr(labels, entry.name) for entry in dataclasses.fields(labels)}
    return Material(**told, features=features, public=views, trunk=studio.trunk.hash, tail=tail)


def _features(
    scenario: Scenario, faces: FaceSet, labels: Labels, studio: Studio
) -> tuple[Features, ...]:
    cameras = scenario.camera_list()
    if cameras and labels.taken is None:
        lenses = [Lens(cameras=(camera,)) for camera in cameras]
        return tuple(studio.shoot(faces, one, f"faces through {one.name}") for one in lenses)
    lens = Lens(cameras=cameras, chosen=labels.taken if cameras else None)
    return (studio.shoot(faces, lens, f"faces, {lens.name}"),) * len(labels.types)


def labels_of(scenario: Scenario, faces: FaceSet) -> Labels:
    """The labels of ``faces`` in ``scenario``; touches no picture.

    ``ScenarioError`` or ``ConfigError`` if cameras, folds and declared sites do not fit together.
    """
    if faces.fold is None:
        raise ScenarioError("faces need folds")
    cameras, groups = scenario.camera_list(), _groups(scenario.attribute, faces)
    if cameras:
        types = tuple(camera.name for camera in cameras)
        taken = _dealt_cameras(faces, len(cameras)) if scenario.one_camera else None
        return Labels(
            types=types, person=faces.person, fold=faces.fold, taken=taken, attribute=groups
        )
    if faces.site is not None and not (faces.site != REPORT_SITE).any():
        raise ScenarioError("the pack's site array leaves nobody to train")
    declared = faces.camera_type or (AS_IT_IS,) * len(faces)
    names, taken = np.unique(np.array(declared), return_inverse=True)
    return Labels(
        types=tuple(map(str, names)),
        person=faces.person,
        fold=faces.fold,
        taken=taken.astype(np.int64),
        site=faces.site,
        attribute=groups,
    )


def _dealt_cameras(faces: FaceSet, cameras: int) -> NDArray[np.int64]:
    """The camera of every picture (N,): people of each fold take turns at the cameras."""
    assert faces.fold is not None
    fold = faces.fold[np.unique(faces.person, return_index=True)[1]]  # of each of ``people``
    order = np.argsort(fold, kind="stable")
    turn = np.empty(len(fold), np.int64)
    turn[order] = np.arange(len(fold)) % cameras
    return turn[np.searchsorted(faces.people, faces.person)]


def _groups(attribute: str, faces: FaceSet) -> NDArray[np.int64] | None:
    """(N,) 1 where a picture shows ``attribute``, 0 where not and 2 where nobody said.

    None where none is asked for.
    """
    if not attribute:
        return None
    if faces.attributes is None or attribute not in faces.attribute_names:
        known = ", ".join(faces.attribute_names) or "none"
        raise ScenarioError(f"no attribute {attribute!r}; these faces have {known}")
    said = faces.attributes[:, faces.attribute_names.index(attribute)].astype(np.int64)
    return np.where(said < 0, 2, said)


def _public(scenario: Scenario, public: FaceSet, studio: Studio) -> PublicViews:
    how = PublicCameras(
        camera=scenario.public_camera(),
        views=scenario.views,
        simulated_views=scenario.simulated_views,
        simulated_cameras=scenario.simulated_cameras,
    )
    return shoot_public(public, how, studio)
