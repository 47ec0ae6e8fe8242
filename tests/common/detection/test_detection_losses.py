import numpy as np
import torch

from common.detection.cells import ANSWERS, cells
from common.detection.losses import Cells, Truth, detection_loss
from common.detection.targets import make_targets

SIZE = (64, 64)
GRID = Cells(*(torch.from_numpy(part) for part in cells(*SIZE)))
BOX = (20.0, 16.0, 24.0, 30.0)
POINTS = np.array([[26, 28], [38, 28], [32, 34], [27, 40], [37, 40]], np.float32)


def truth(*boxes: tuple[float, float, float, float], doubtful: bool = False) -> Truth:
    rows = np.array(boxes, np.float32).reshape(-1, 4)
    points = np.repeat(POINTS[None], len(boxes), axis=0)
    made = make_targets(SIZE, rows, points, np.full(len(boxes), doubtful))
    return Truth(*(torch.from_numpy(part[None]) for part in (made.face, made.box, made.landmarks)))


def right(said: Truth) -> torch.Tensor:
    """What answers the truth exactly."""
    answers = torch.zeros(1, ANSWERS, len(GRID.step))
    answers[:, 0] = torch.where(said.face == 1, 12.0, -12.0)
    away = (said.box[..., :2] - GRID.middle) / GRID.step[:, None]
    answers[:, 1:3] = away.permute(0, 2, 1)
    size = (said.box[..., 2:].clamp_min(1) / GRID.step[:, None]).log()
    answers[:, 3:5] = size.permute(0, 2, 1)
    off = (said.landmarks - GRID.middle.repeat(1, 5)) / GRID.step[:, None]
    answers[:, 5:] = off.permute(0, 2, 1)
    return answers


def test_the_right_answer_costs_nothing() -> None:
    said = truth(BOX)
    assert float(detection_loss(right(said), said, GRID)) < 1e-4


def test_each_part_of_a_wrong_answer_costs() -> None:
    said = truth(BOX)
    told = said.face[0] == 1
    for row, by in ((0, 15), (1, 3), (3, 3), (9, 3)):
        wrong = right(said)
        wrong[0, row, told] -= by
        assert float(detection_loss(wrong, said, GRID)) > 0.05


def test_doubtful_cells_have_no_gradient() -> None:
    said = truth(BOX, doubtful=True)
    answers = torch.zeros(1, ANSWERS, len(GRID.step), requires_grad=True)
    torch.autograd.backward(detection_loss(answers, said, GRID))
    assert answers.grad is not None
    assert (answers.grad[0, :, said.face[0] == -1] == 0).all()
    assert (answers.grad[0, 0, said.face[0] == 0] > 0).all()


def test_pictures_without_faces_teach_what_is_none() -> None:
    said = truth()
    loud, quiet = (torch.full((1, ANSWERS, len(GRID.step)), v) for v in (2.0, -4.0))
    assert detection_loss(loud, said, GRID) > detection_loss(quiet, said, GRID) > 0
