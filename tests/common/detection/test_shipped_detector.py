"""The detector that the project brings: trained on invented people, it finds others of them."""

from pathlib import Path

import numpy as np
import pytest

from common.detection.detector import OwnDetector
from common.faces.detect import Detector, make_detector
from common.metrics.detection import landmark_error, overlap_matrix
from common.synthetic.clutter import draw_clutter
from common.synthetic.scenes import Scene, SceneSize, draw_scene

SEED = 90_210  # of nobody whom a training or a choice has seen
SIZE = SceneSize(width=320, height=240, fewest=2, most=4, smallest=24, largest=90)


@pytest.fixture(scope="module")
def detector() -> Detector:
    return make_detector(Path("own"))


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [draw_scene(number, SEED, SIZE) for number in range(4)]


def test_own_names_it(detector: Detector) -> None:
    assert isinstance(detector, OwnDetector)


def test_it_finds_most_faces_with_their_landmarks(detector: Detector, scenes: list[Scene]) -> None:
    found, there, errors = 0, 0, []
    for scene in scenes:
        told = detector.find(scene.picture)
        true = np.array([face.box for face in scene.faces])
        boxes = np.array([face.box for face in told]).reshape(-1, 4)
        best = overlap_matrix(true, boxes)
        there += len(true)
        for row, face in enumerate(scene.faces):
            if len(boxes) and best[row].max() > 0.4:
                points = told[int(best[row].argmax())].landmarks
                assert points is not None
                errors.append(landmark_error(points[None], face.landmarks[None])[0])
                found += 1
    assert found >= 0.8 * there
    assert np.median(errors) < 0.2


def test_it_sees_few_faces_where_nobody_is(detector: Detector) -> None:
    rng = np.random.default_rng(SEED)
    alarms = sum(len(detector.find(draw_clutter(192, rng))) for _ in range(20))
    assert alarms <= 8
