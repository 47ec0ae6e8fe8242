from pathlib import Path

import numpy as np
import pytest

from common.errors import ModelError, NoFaceError
from common.faces.align import TEMPLATE, similarity
from common.faces.detect import (
    Detector,
    Face,
    HaarDetector,
    YuNetDetector,
    largest,
    make_detector,
)
from common.faces.pack import load_pack
from common.faces.pictures import Picture, read_picture
from common.synthetic.generate import synthetic_faces

BOTH = ["haar", "yunet"]


@pytest.fixture(scope="session")
def detectors(shared_models: Path) -> dict[str, Detector]:
    return {"haar": make_detector(None), "yunet": make_detector(shared_models / "yunet_n.onnx")}


def test_weights_decide_which_detector_is_made(detectors: dict[str, Detector]) -> None:
    assert isinstance(detectors["haar"], HaarDetector)
    assert isinstance(detectors["yunet"], YuNetDetector)


@pytest.mark.parametrize("name", BOTH)
def test_portraits_have_a_face_and_crowds_have_many(
    detectors: dict[str, Detector], shared_data: Path, name: str
) -> None:
    counts = {
        "one_person_1": (1, 1),
        "two_people_1": (2, 3),
        "crowd_5": (2, 2),
        "crowd_2": (12, 30),
    }
    for scene, (least, most) in counts.items():
        found = detectors[name].find(read_picture(shared_data / "scenes" / f"{scene}.jpg"))
        assert least <= len(found) <= most, scene
        assert all(np.isfinite(face.box).all() for face in found)
        assert [f.area for f in found] == sorted((f.area for f in found), reverse=True)


def test_both_detectors_align_the_same_face_alike(
    detectors: dict[str, Detector], shared_data: Path
) -> None:
    picture = read_picture(shared_data / "scenes" / "one_person_2.jpg")
    one, other = (largest(detectors[name].find(picture)).landmarks for name in BOTH)
    assert one is not None
    assert other is not None
    matrix = similarity(other, TEMPLATE)
    apart = (one - other) @ matrix[:, :2].T
    assert np.abs(apart).mean() < 6  # pixels of the crop


def test_landmarks_of_aligned_faces_lie_on_the_template(
    detectors: dict[str, Detector], shared_data: Path
) -> None:
    faces, misses = load_pack(shared_data / "lfw_112.npz"), []
    for index in range(0, 600, 30):
        found = detectors["yunet"].find(framed(faces.crop(index)))
        if found and found[0].landmarks is not None:
            misses.append(found[0].landmarks - 40 - TEMPLATE)
    assert len(misses) >= 18
    assert np.abs(np.median(misses, axis=0)).mean() < 2.5  # pixels


def test_invented_people_look_like_faces_to_both(detectors: dict[str, Detector]) -> None:
    faces = synthetic_faces(40, 1, seed=11)
    for name, least in (("yunet", 36), ("haar", 20)):
        found = [detectors[name].find(framed(faces.crop(i))) for i in range(40)]
        assert sum(map(bool, found)) >= least, name


def test_a_face_that_fills_a_large_picture_is_found(
    detectors: dict[str, Detector], shared_data: Path
) -> None:
    crop = framed(load_pack(shared_data / "lfw_112.npz").crop(0))
    large = np.repeat(np.repeat(crop, 10, axis=0), 10, axis=1)
    face = largest(detectors["yunet"].find(large))
    assert face.area > 400**2


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize("shape", [(1, 1), (3, 500), (40, 40), (500, 2), (700, 900)])
def test_pictures_without_a_face_of_any_shape_give_none(
    detectors: dict[str, Detector], name: str, shape: tuple[int, int]
) -> None:
    assert detectors[name].find(np.full((*shape, 3), 128, np.uint8)) == ()


def test_the_largest_face_is_the_portrait_and_nobody_is_an_error() -> None:
    small, large = (Face((0, 0, side, side), 0.9, None) for side in (10.0, 20.0))
    assert largest((small, large)) is large
    with pytest.raises(NoFaceError):
        largest(())


def test_weights_that_are_no_detector_are_refused(tmp_path: Path, shared_models: Path) -> None:
    garbage, empty = tmp_path / "garbage.onnx", tmp_path / "empty.onnx"
    garbage.write_bytes(b"\x08\x07garbage")
    empty.write_bytes(b"")
    embedder = shared_models / "mobilefacenet_ms1m.onnx"
    for path in (garbage, empty, embedder, tmp_path / "absent.onnx"):
        with pytest.raises(ModelError, match=path.name):
            YuNetDetector(path)


def framed(crop: Picture) -> Picture:
    """The crop with 40 pixels of its own edge around it, so that the whole head has room."""
    return np.pad(crop, ((40, 40), (40, 40), (0, 0)), "edge")
