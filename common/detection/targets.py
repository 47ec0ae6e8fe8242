"""What each cell should have said: from the faces in a picture to one row of truth a cell.

A face is told by the cells near its middle, of the map whose step suits its size; sizes on the
border between two maps are told by both. Everything is a function of one picture alone.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.detection.cells import STRIDES, Floats, cells

REACH = ((0.0, 42.0), (34.0, 90.0), (74.0, 1e9))  # sizes of faces in pixels that a map tells
_NEAR = 1.0  # cells; a cell tells of a face whose middle is no farther away, in each direction
_AROUND = 2.0  # cells; between the two a cell may say what it likes
_CORE = 0.3  # share of a face's half sides in which its middle is taken to lie


@dataclass(frozen=True, slots=True, eq=False)
class Targets:
    """Truth for N cells. ``face`` is 1 for a face, 0 for none, -1 for either.

    ``box`` (N, 4) is middle x, y, width and height, ``landmarks`` (N, 10) x, y, x, y, ...; both in
    pixels, and meaningless where ``face`` is not 1.
    """

    face: NDArray[np.int8]
    box: Floats
    landmarks: Floats


def make_targets(
    size: tuple[int, int],
    boxes: Floats,
    landmarks: Floats,
    doubtful: NDArray[np.bool_],
) -> Targets:
    """For a picture of ``size`` (height, width) with boxes (F, 4) and landmarks (F, 5, 2).

    Boxes are left, top, width, height. What is ``doubtful`` (F,) is neither asked for nor refused.
    Where two faces want a cell, the smaller has it.
    """
    middles, steps = cells(*size)
    count = len(middles)
    face = np.zeros(count, np.int8)
    box, points = np.zeros((count, 4), np.float32), np.zeros((count, 10), np.float32)
    order = np.argsort(-boxes[:, 2] * boxes[:, 3], kind="stable")
    for index in order:
        left, top, wide, tall = boxes[index].tolist()
        middle = np.array([left + wide / 2, top + tall / 2], np.float32)
        away = np.abs(middles - middle)
        apart = away.max(axis=1) / steps
        inside = (away < [max(wide / 2, 1), max(tall / 2, 1)]).all(axis=1)
        core = (away < [_CORE * wide / 2, _CORE * tall / 2]).all(axis=1)
        near = (apart <= _NEAR) & (inside | (apart <= 0.5))
        told = _told(steps, float(np.sqrt(wide * tall)))
        face[(inside | near) & ((apart <= _AROUND) | core) & (face == 0)] = -1
        if doubtful[index]:
            face[inside | near] = -1
            continue
        mine = near & told
        face[mine] = 1
        box[mine] = [*middle, wide, tall]
        points[mine] = landmarks[index].ravel()
    return Targets(face, box, points)


def _told(steps: Floats, size: float) -> NDArray[np.bool_]:
    told = np.zeros(len(steps), np.bool_)
    for stride, (least, most) in zip(STRIDES, REACH, strict=True):
        if least <= size < most:
            told |= steps == stride
    return told
