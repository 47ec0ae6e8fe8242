import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from common.detection.cells import STRIDES, cells
from common.detection.decoding import decode
from common.detection.targets import REACH, Targets, make_targets

SIZE = (96, 160)


def targets(*boxes: tuple[float, float, float, float], doubtful: bool = False) -> Targets:
    landmarks = np.array([points(box) for box in boxes], np.float32).reshape(-1, 5, 2)
    rows = np.array(boxes, np.float32).reshape(-1, 4)
    return make_targets(SIZE, rows, landmarks, np.full(len(boxes), doubtful))


def points(box: tuple[float, float, float, float]) -> np.ndarray:
    left, top, wide, tall = box
    shares = np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]])
    return np.array([left, top]) + shares * [wide, tall]


def test_cells_are_told_row_by_row_the_finest_first() -> None:
    middle, step = cells(*SIZE)
    assert [int((step == stride).sum()) for stride in STRIDES] == [12 * 20, 6 * 10, 3 * 5]
    assert middle[:2].tolist() == [[4, 4], [12, 4]]
    assert middle[-1].tolist() == [144, 80]


@given(
    x=st.floats(30, 130),
    y=st.floats(30, 66),
    tall=st.floats(12, 90),
    squeeze=st.floats(0.6, 1.2),
)
def test_every_face_is_told_by_a_cell_near_its_middle_and_read_back_from_it(
    x: float, y: float, tall: float, squeeze: float
) -> None:
    box = (x - squeeze * tall / 2, y - tall / 2, squeeze * tall, tall)
    truth = targets(box)
    middle, step = cells(*SIZE)
    told = np.flatnonzero(truth.face == 1)
    assert len(told)
    assert (np.abs(middle[told] - [x, y]) <= step[told, None] + 1e-3).all()
    answers = np.zeros((15, len(step)), np.float32)
    answers[0] = np.where(truth.face == 1, 5, -5)
    answers[1:3] = ((truth.box[:, :2] - middle) / step[:, None]).T
    answers[3:5] = np.log(np.maximum(truth.box[:, 2:], 1) / step[:, None]).T
    offset = truth.landmarks.reshape(-1, 5, 2) - middle[:, None]
    answers[5:] = (offset / step[:, None, None]).reshape(-1, 10).T
    found = decode(answers, SIZE, 0.5)
    assert np.allclose(found.boxes, [box], atol=1e-2)
    assert np.allclose(found.landmarks, [points(box)], atol=1e-2)


def test_a_picture_without_a_face_asks_for_none() -> None:
    assert (targets().face == 0).all()


def test_a_doubtful_face_is_neither_asked_for_nor_refused() -> None:
    truth = targets((60, 30, 30, 36), doubtful=True)
    assert (truth.face != 1).all()
    assert (truth.face == -1).any()


def test_sizes_choose_the_map() -> None:
    _, step = cells(*SIZE)
    for tall, strides in ((16, {8}), (60, {16}), (88, {16, 32}), (38, {8, 16})):
        truth = targets((50, 4, tall, tall))
        assert set(step[truth.face == 1].astype(int)) == strides
    assert all(low < high for low, high in REACH)


def test_where_two_faces_want_a_cell_the_smaller_has_it() -> None:
    large, small = (40.0, 20.0, 40.0, 40.0), (51.0, 31.0, 18.0, 18.0)
    truth = targets(small, large)
    middle, _ = cells(*SIZE)
    near = (truth.face == 1) & (np.abs(middle - 60).max(1) < 5) & (np.abs(middle[:, 1] - 40) < 5)
    assert (truth.box[near, 2] == 18).all()
