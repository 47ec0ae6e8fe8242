from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from common.faces.faceset import FaceSet
from common.faces.splits import split
from common.synthetic.generate import synthetic_faces


@pytest.fixture(scope="module")
def faces() -> FaceSet:
    return synthetic_faces(24, 6, seed=3)


def test_the_set_has_everyone_in_one_of_eight_folds(faces: FaceSet) -> None:
    assert repr(faces) == "FaceSet(144 pictures of 24 people)"
    assert faces.counts().tolist() == [6] * 24
    assert faces.fold is not None
    assert np.bincount(faces.fold).tolist() == [0] + [18] * 8
    assert not set(split(faces, "1-6").people) & set(split(faces, "7,8").people)


def test_people_stay_the_same_however_many_others_and_pictures_there_are(faces: FaceSet) -> None:
    fewer = synthetic_faces(2, 3, seed=3)
    assert np.array_equal(fewer.crops(range(3)), faces.crops(range(3)))
    assert np.array_equal(fewer.crops(range(3, 6)), faces.crops(range(6, 9)))
    assert not np.array_equal(synthetic_faces(1, 1, seed=4).crop(0), faces.crop(0))


def test_two_processes_make_the_same_pictures_and_labels(faces: FaceSet) -> None:
    both = synthetic_faces(6, 6, seed=3, processes=2)
    alone = faces.subset(range(36))
    assert both.digest == synthetic_faces(6, 6, seed=3).digest
    assert both.description == alone.description
    assert np.array_equal(both.crops(range(36)), alone.crops(range(36)))


def test_progress_counts_pictures() -> None:
    seen: list[int] = []
    synthetic_faces(3, 2, seed=0, progress=seen.append)
    assert seen == [2, 4, 6]


def test_work_for_no_process_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one process"):
        synthetic_faces(1, 1, 0, processes=0)


@pytest.mark.parametrize(("people", "pictures", "seed"), [(0, 1, 0), (1, 0, 0), (1, 1, -1)])
def test_an_empty_set_or_a_negative_seed_is_refused(people: int, pictures: int, seed: int) -> None:
    with pytest.raises(ValueError, match=r"must not be negative|at least one"):
        synthetic_faces(people, pictures, seed)


def test_pictures_of_one_person_differ_but_less_than_those_of_two(faces: FaceSet) -> None:
    rows = standardised(faces)
    likeness = rows @ rows.T / rows.shape[1]
    same = faces.person[:, None] == faces.person
    apart = ~np.eye(len(faces), dtype=bool)
    assert likeness[same & apart].mean() > likeness[~same].mean() + 0.1
    assert likeness[same & apart].max() < 0.999


def test_no_single_colour_tells_who_somebody_is(faces: FaceSet) -> None:
    """The nearest mean colour belongs to the same person in less than 40 % of the pictures."""
    colour = faces.crops(range(len(faces)))[:, 30:100, 25:88].reshape(len(faces), -1, 3).mean(1)
    away = np.linalg.norm(colour[:, None] - colour, axis=2) + 1e9 * np.eye(len(faces))
    assert (faces.person[away.argmin(axis=1)] == faces.person).mean() < 0.4


@pytest.mark.slow
def test_a_network_trained_on_real_faces_can_tell_them_apart(shared_models: Path) -> None:
    """TAR 0.45 to 0.85 at FAR 1e-2: neither hopeless nor trivial."""
    import onnxruntime

    faces = synthetic_faces(60, 6, seed=5)
    session = onnxruntime.InferenceSession(shared_models / "mobilefacenet_ms1m.onnx")
    pixels = faces.crops(range(len(faces))) / 255
    inputs = ((pixels - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]).astype(np.float32)
    inputs = np.ascontiguousarray(inputs.transpose(0, 3, 1, 2))
    rows = np.concatenate([session.run(None, {"input0": one[None]})[0] for one in inputs])
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    score, above = rows @ rows.T, np.triu(np.ones((len(rows), len(rows)), bool), 1)
    same = faces.person[:, None] == faces.person
    threshold = np.quantile(score[above & ~same], 0.99)
    assert 0.45 < (score[above & same] > threshold).mean() < 0.85


def standardised(faces: FaceSet) -> NDArray[np.float64]:
    """Grey 14x14 thumbnails (N, 196) of mean 0 and deviation 1."""
    crops = faces.crops(range(len(faces))).mean(axis=3)
    rows = crops.reshape(len(faces), 14, 8, 14, 8).mean(axis=(2, 4)).reshape(len(faces), -1)
    rows = rows - rows.mean(axis=1, keepdims=True)
    return np.asarray(rows / rows.std(axis=1, keepdims=True))
