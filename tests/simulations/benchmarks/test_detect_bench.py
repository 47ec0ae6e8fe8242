import numpy as np
import pytest

from common.faces.detect import Face
from common.faces.pictures import Picture
from simulations.benchmarks import counted, detect

BOXES = np.array([[10, 10, 40, 50], [90, 20, 40, 50.0]])
POINTS = BOXES[:, None, :2] + np.array([[10, 15], [30, 15], [20, 28], [12, 38], [28, 38.0]])


class Told:
    """Finds what it was told to find."""

    def __init__(self, *faces: Face) -> None:
        self.faces = faces

    def find(self, picture: Picture) -> tuple[Face, ...]:
        return self.faces


def face(index: int, score: float, by: float = 0.0) -> Face:
    left, top, wide, tall = BOXES[index].tolist()
    points = (POINTS[index] + by).astype(np.float32)
    return Face((left + by, top + by, wide, tall), score, points)


def test_recall_alarms_and_landmarks_are_counted() -> None:
    truth = detect.Truth(np.zeros((100, 200, 3), np.uint8), BOXES, POINTS)
    stray = Face((150.0, 60.0, 20.0, 20.0), 0.6, POINTS[0].astype(np.float32))
    eager = Told(face(0, 0.9, 2.0), stray, face(1, 0.3))
    found = detect.judged(detect.Contender(Told(face(0, 0.9, 2.0), stray), eager), [truth])
    assert found["recall"] == 1
    assert found["recall_at_tenth"] == 0.5
    assert (found["found"], found["alarms"]) == (0.5, 1)
    assert found["landmark_error"] == pytest.approx(2 * 2**0.5 / 20, abs=1e-3)


def test_faces_that_are_somewhere_count_as_missed() -> None:
    truth = detect.Truth(np.zeros((100, 200, 3), np.uint8), BOXES, POINTS, unseen=2)
    both = Told(face(0, 0.9), face(1, 0.8))
    found = detect.judged(detect.Contender(both, both), [truth])
    assert (found["recall"], found["found"]) == (0.5, 0.5)


def test_photographs_need_somebody_who_says_where_the_faces_are() -> None:
    assert "yunet" in counted.photographs({}, None)["skipped"].lower()  # type: ignore[arg-type]


def test_contenders_are_timed_in_turns() -> None:
    truth = detect.Truth(np.zeros((100, 200, 3), np.uint8), BOXES, POINTS)
    told = detect.Contender(Told(), Told())
    found = detect.speed({"haar": told, "own": told}, [truth], 2)
    assert set(found["ms"]) == {"haar", "own"}
    assert found["ratio_time_own"] > 0
