import dataclasses
from pathlib import Path

import numpy as np
import pytest

from common.faces.align import align
from common.faces.detect import YuNetDetector
from common.synthetic.generate import numbered_person
from common.synthetic.renderer import render
from common.synthetic.scenes import Scene, SceneFace, SceneSize, draw_scene

SMALL = SceneSize(width=320, height=240, most=3, smallest=40, largest=90, people=50)


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [draw_scene(number, 1, SMALL) for number in range(6)]


def test_a_scene_is_the_same_again_and_another_is_another(scenes: list[Scene]) -> None:
    again = draw_scene(2, 1, SMALL)
    assert np.array_equal(again.picture, scenes[2].picture)
    assert [f.box for f in again.faces] == [f.box for f in scenes[2].faces]
    assert not np.array_equal(scenes[1].picture, scenes[2].picture)
    assert not np.array_equal(draw_scene(2, 2, SMALL).picture, scenes[2].picture)


def test_boxes_lie_in_the_picture_and_hold_the_landmarks(scenes: list[Scene]) -> None:
    faces = [face for scene in scenes for face in scene.faces]
    assert len(faces) >= 8
    for face in faces:
        left, top, wide, tall = face.box
        assert 25 < tall < 130
        assert (face.landmarks >= [left - 1e-6, top - 1e-6]).all()
        assert (face.landmarks <= [left + wide + 1e-6, top + tall + 1e-6]).all()
        middle = np.array([left + wide / 2, top + tall / 2])
        assert ((middle > 0) & (middle < [320, 240])).all()


def test_people_in_a_scene_differ_and_are_told_from_left_to_right(scenes: list[Scene]) -> None:
    for scene in scenes:
        assert len({face.person for face in scene.faces}) == len(scene.faces)
        lefts = [face.box[0] for face in scene.faces]
        assert lefts == sorted(lefts)
        assert all(0 <= face.person < 50 for face in scene.faces)


def test_a_face_cut_out_of_a_scene_looks_like_its_portrait(scenes: list[Scene]) -> None:
    """Correlation of the grey of the middle of the face with the same person rendered alone."""
    alike = []
    for scene in scenes:
        for face in scene.faces:
            cut = thumbnail(align(scene.picture, face.landmarks))
            alike.append(float((cut * portrait(face)).mean()))
    assert np.median(alike) > 0.95
    assert np.quantile(alike, 0.2) > 0.5  # some are partly hidden by others


def portrait(face: SceneFace) -> np.ndarray:
    pose = dataclasses.replace(face.variation.pose, jitter=((0.0, 0.0),) * 5)
    exact = dataclasses.replace(face.variation, pose=pose)
    return thumbnail(render(numbered_person(1, face.person), exact))


def thumbnail(crop: np.ndarray) -> np.ndarray:
    grey = crop[44:100, 36:76].mean(axis=2).reshape(14, 4, 10, 4).mean(axis=(1, 3))
    return np.asarray((grey - grey.mean()) / grey.std())


@pytest.mark.parametrize(
    "wrong",
    [{"fewest": 0}, {"fewest": 7}, {"smallest": 4}, {"largest": 9999}, {"people": 3}],
)
def test_a_size_that_cannot_be_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"scene|people"):
        SceneSize(**wrong)


@pytest.mark.slow
def test_a_detector_trained_on_real_faces_finds_nearly_all(shared_models: Path) -> None:
    detector = YuNetDetector(shared_models / "yunet_n.onnx")
    found = total = 0
    for number in range(25):
        scene = draw_scene(number, 4)
        middles = [
            (f.box[0] + f.box[2] / 2, f.box[1] + f.box[3] / 2) for f in detector.find(scene.picture)
        ]
        for face in scene.faces:
            left, top, wide, tall = face.box
            found += any(left < x < left + wide and top < y < top + tall for x, y in middles)
            total += 1
    assert total > 60
    assert found / total > 0.85
