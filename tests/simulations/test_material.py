"""Every feature is computed once, by what is in the picture and nothing else."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from common.errors import ConfigError, ScenarioError
from common.faces.cameras import Camera, load_cameras
from common.faces.faceset import FaceSet
from common.models.cache import FeatureCache
from common.models.studio import Lens, Studio
from common.models.tail import Tail
from common.models.trunk import Trunk
from common.synthetic.generate import synthetic_faces
from simulations.material import AS_IT_IS, labels_of, prepare
from simulations.scenario import CAMERAS, Scenario
from tests.small_world import Silent

SCENARIO = Scenario(name="x", sites=2, views=2, simulated_views=2, simulated_cameras=3)


class PixelTrunk(Trunk):
    """Counts the crops it sees; a feature is the mean colour of each quarter."""

    def __init__(self) -> None:
        self.hash, self.feature_dim, self.seen = "p" * 64, 12, 0

    def features(self, crops: np.ndarray) -> np.ndarray:
        self.seen += len(crops)
        quarters = crops.reshape(len(crops), 2, 56, 2, 56, 3).mean(axis=(2, 4))
        return quarters.reshape(len(crops), 12).astype(np.float32)


@pytest.fixture(scope="module")
def faces() -> FaceSet:
    return synthetic_faces(8, 2, 1)


@pytest.fixture(scope="module")
def public() -> FaceSet:
    return synthetic_faces(4, 2, 2)


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    return Studio(PixelTrunk(), FeatureCache(tmp_path / "features"), Silent())


def tail() -> Tail:
    return Tail(np.eye(12, dtype=np.float32), np.zeros(12, np.float32))


def cameras(name: str = "four.toml") -> tuple[Camera, ...]:
    return load_cameras(CAMERAS / name)


def test_second_preparation_shoots_nothing(faces: FaceSet, public: FaceSet, studio: Studio) -> None:
    first = prepare(SCENARIO, faces, public, tail(), studio)
    assert studio.trunk.seen == 4 * 16 + (2 + 2) * 8
    again = prepare(SCENARIO, faces, public, tail(), studio)
    assert studio.trunk.seen == 4 * 16 + (2 + 2) * 8
    for one, other in zip(first.features, again.features, strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(first.public.simulated, again.public.simulated)


def test_every_camera_sees_every_face_and_each_differently(
    faces: FaceSet, public: FaceSet, studio: Studio
) -> None:
    material = prepare(SCENARIO, faces, public, tail(), studio)
    assert material.types == tuple(camera.name for camera in cameras())
    assert [f.shape for f in material.features] == [(16, 12)] * 4
    assert (material.taken, material.site) == (None, None)
    for one in range(4):
        for other in range(one):
            assert not np.allclose(material.features[one], material.features[other])
    np.testing.assert_array_equal(material.seen(np.arange(5), 2), np.arange(5))


def test_public_people_are_seen_by_different_fixed_cameras(
    faces: FaceSet, public: FaceSet, studio: Studio
) -> None:
    views = prepare(SCENARIO, faces, public, tail(), studio).public
    assert views.randomised.shape == (8, 2, 12)
    assert views.simulated.shape == (8, 2, 12)
    assert views.camera.shape == (8, 2)
    assert set(np.unique(views.camera)) <= {0, 1, 2}
    assert (views.camera[:, 0] != views.camera[:, 1]).all()  # a picture meets a camera once


def test_more_views_than_simulated_cameras_are_not_asked_for(
    faces: FaceSet, public: FaceSet, studio: Studio
) -> None:
    few = dataclasses.replace(SCENARIO, simulated_views=9)
    assert prepare(few, faces, public, tail(), studio).public.simulated.shape == (8, 3, 12)


def test_a_picture_looks_the_same_wherever_it_stands(faces: FaceSet, studio: Studio) -> None:
    camera = cameras()[0]
    order = np.array([3, 1, 0, 2])
    here = studio.shoot(faces.subset(range(4)), Lens(cameras=(camera,)), "here")
    there = studio.shoot(faces.subset(order), Lens(cameras=(camera,)), "there")
    np.testing.assert_array_equal(here[order], there)
    chosen = np.array([0, 1, 1, 0])
    both = Lens(cameras=cameras()[:2], chosen=chosen)
    turned = Lens(cameras=cameras()[:2], chosen=chosen[order])
    one = studio.shoot(faces.subset(range(4)), both, "one")
    other = studio.shoot(faces.subset(order), turned, "other")
    np.testing.assert_array_equal(one[order], other)
    np.testing.assert_array_equal(one[[0, 3]], here[[0, 3]])


def test_lens_is_named_by_all_that_it_does() -> None:
    first, second = cameras()[:2]
    lenses = [
        Lens(),
        Lens(cameras=(first,)),
        Lens(cameras=(second,)),
        Lens(cameras=(first, second), chosen=np.array([0, 1])),
        Lens(cameras=(first, second), chosen=np.array([1, 0])),
        Lens(cameras=(dataclasses.replace(first, seed=first.seed + 1),)),
    ]
    assert len({lens.digest for lens in lenses}) == len(lenses)


def test_without_cameras_pictures_are_taken_as_they_are(
    faces: FaceSet, public: FaceSet, studio: Studio
) -> None:
    plain = dataclasses.replace(SCENARIO, cameras="none")
    material = prepare(plain, faces, public, tail(), studio)
    assert material.types == (AS_IT_IS,)
    crops = faces.crops(range(16))
    np.testing.assert_array_equal(material.features[0], PixelTrunk().features(crops))
    assert studio.trunk.seen == 16 + 4 * 8


def test_declared_sites_and_camera_types_are_kept(
    faces: FaceSet, public: FaceSet, studio: Studio
) -> None:
    site = np.where(faces.person < 6, faces.person % 2, -1)
    kinds = tuple("door" if s == 0 else "hall" for s in site)
    plain = dataclasses.replace(SCENARIO, cameras="none")
    declared = dataclasses.replace(faces, site=site, camera_type=kinds)
    material = prepare(plain, declared, public, tail(), studio)
    assert material.types == ("door", "hall")
    np.testing.assert_array_equal(material.site, site)
    np.testing.assert_array_equal(material.taken, (site != 0).astype(int))
    assert material.features[0] is material.features[1]
    np.testing.assert_array_equal(material.seen(np.arange(16), 0), np.flatnonzero(site == 0))


def test_labels_that_do_not_fit_are_refused_before_a_picture_is_looked_at(
    faces: FaceSet, public: FaceSet, studio: Studio
) -> None:
    plain = dataclasses.replace(SCENARIO, cameras="none")
    nobody = dataclasses.replace(faces, site=np.full(16, -1))
    with pytest.raises(ScenarioError, match="leaves nobody to train"):
        prepare(plain, nobody, public, tail(), studio)
    with pytest.raises(ScenarioError, match="folds"):
        labels_of(plain, dataclasses.replace(faces, fold=None))
    with pytest.raises(ConfigError, match=r"no cameras 'x\.toml'"):
        prepare(dataclasses.replace(SCENARIO, cameras="x.toml"), faces, public, tail(), studio)
    assert studio.trunk.seen == 0


def test_with_one_camera_each_person_is_shot_once_and_every_fold_has_all_cameras(
    public: FaceSet, studio: Studio
) -> None:
    many = synthetic_faces(32, 2, 1)
    scenario = dataclasses.replace(SCENARIO, one_camera=True)
    material = prepare(scenario, many, public, tail(), studio)
    assert studio.trunk.seen == 64 + (2 + 2) * 8
    assert all(features is material.features[0] for features in material.features)
    assert material.taken is not None
    for person in many.people:
        assert len(np.unique(material.taken[material.person == person])) == 1
    for fold in range(1, 9):
        assert set(material.taken[material.fold == fold]) == {0, 1, 2, 3}
    alone = prepare(SCENARIO, many, public, tail(), studio)
    for camera in range(4):
        mine = material.taken == camera
        np.testing.assert_array_equal(alone.features[camera][mine], material.features[0][mine])
