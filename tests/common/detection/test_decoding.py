import numpy as np
import pytest

from common.detection.cells import ANSWERS, cells
from common.detection.decoding import decode, overlaps, suppress

SIZE = (64, 96)


def answers() -> np.ndarray:
    made = np.zeros((ANSWERS, len(cells(*SIZE)[1])), np.float32)
    made[0] = -9
    return made


def test_nothing_sure_is_nothing_found() -> None:
    found = decode(answers(), SIZE, 0.3)
    assert found.score.shape == (0,)
    assert found.boxes.shape == (0, 4)
    assert found.landmarks.shape == (0, 5, 2)


def test_neighbours_that_tell_of_one_face_are_one_and_the_surest_speaks() -> None:
    made = answers()
    middle, _ = cells(*SIZE)
    for cell, sure in ((30, 1.0), (31, 3.0), (42, 2.0)):
        made[0, cell] = sure
        made[1:3, cell] = ([44.0, 28.0] - middle[cell]) / 8
        made[3:5, cell] = np.log(24 / 8)
    found = decode(made, SIZE, 0.5)
    assert np.allclose(found.boxes, [[32, 16, 24, 24]], atol=1e-4)
    assert found.score == pytest.approx([1 / (1 + np.exp(-3))])


def test_a_picture_of_another_size_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="cells"):
        decode(answers(), (64, 64), 0.5)


def test_numbers_past_all_measure_stay_finite() -> None:
    made = answers()
    made[:, 5] = 1e4
    found = decode(made, SIZE, 0.5)
    assert np.isfinite(found.boxes).all()
    assert found.boxes[0, 2] == pytest.approx(8 * np.exp(4))


def test_overlap_is_of_intersection_over_union() -> None:
    box = np.array([0, 0, 10, 10], np.float32)
    others = np.array([[0, 0, 10, 10], [5, 0, 10, 10], [20, 20, 4, 4]], np.float32)
    assert overlaps(box, others) == pytest.approx([1, 1 / 3, 0])
    assert suppress(others, 0.3).tolist() == [0, 2]
    assert suppress(others, 0.5).tolist() == [0, 1, 2]
