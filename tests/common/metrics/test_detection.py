import numpy as np
import pytest

from common.metrics.detection import judge, landmark_error, recall_at

FACES = np.array([[0, 0, 10, 10], [30, 0, 10, 10.0]])
SURE = np.zeros(2, np.bool_)


def test_each_face_is_found_once_and_the_surest_detection_has_it() -> None:
    found = np.array([[0, 0, 10, 9], [1, 0, 10, 10], [60, 0, 5, 5], [30, 1, 10, 10.0]])
    one = judge(np.array([0.5, 0.9, 0.7, 0.2]), found, FACES, SURE)
    assert one.score.tolist() == [0.9, 0.7, 0.5, 0.2]
    assert one.hit.tolist() == [0, -1, -1, 1]
    assert one.faces == 2


def test_a_doubtful_face_counts_neither_way() -> None:
    one = judge(np.array([0.9]), FACES[:1], FACES, np.array([True, False]))
    assert one.hit.tolist() == [-2]
    assert one.faces == 1


def test_recall_is_counted_down_to_the_allowed_number_of_false_alarms() -> None:
    found = np.array([[60, 0, 5, 5], [0, 0, 10, 10], [70, 0, 5, 5], [30, 0, 10, 10.0]])
    one = judge(np.array([0.9, 0.8, 0.7, 0.6]), found, FACES, SURE)
    assert recall_at([one], 0)[0] == 0
    assert recall_at([one], 1) == (0.5, pytest.approx(0.7))
    assert recall_at([one], 2)[0] == 1
    assert recall_at([one, judge(np.empty(0), np.empty((0, 4)), FACES[:0], SURE[:0])], 1)[0] == 1
    assert recall_at([judge(np.empty(0), np.empty((0, 4)), FACES[:0], SURE[:0])], 1)[0] == 0


def test_landmarks_are_measured_by_the_distance_of_the_eyes() -> None:
    true = np.array([[[0, 0], [20, 0], [10, 8], [4, 15], [16, 15.0]]])
    assert landmark_error(true + np.array([3, 4]), true) == pytest.approx([5 / 20])
