"""From the answers of cells to faces: sizes and places in pixels, and one face where several agree.

Numpy only, so that whoever runs an exported network needs no torch.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.detection.cells import LARGEST, Floats, cells

_MOST = 2000  # candidates looked at, the surest first


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """Faces, the surest first: ``score`` (F,) in (0, 1), ``boxes`` (F, 4) left, top, width, height,
    ``landmarks`` (F, 5, 2); in pixels.

    Leaks: landmarks are biometric data; they stay where the picture is.
    """

    score: Floats
    boxes: Floats
    landmarks: Floats


def decode(answers: Floats, size: tuple[int, int], threshold: float, overlap: float = 0.4) -> Found:
    """The network's (15, N) for a picture of ``size`` (height, width) as faces.

    Kept is what scores ``threshold`` or more and overlaps no surer face by more than ``overlap``.
    """
    middle, step = cells(*size)
    if answers.shape[1] != len(step):
        raise ValueError(f"{answers.shape[1]} cells are not those of a picture of {size}")
    logit = np.log(threshold) - np.log1p(-threshold)
    chosen = np.flatnonzero(answers[0] >= logit)
    chosen = chosen[np.argsort(-answers[0, chosen], kind="stable")][:_MOST]
    rows, middle, step = answers[:, chosen].T, middle[chosen], step[chosen, None]
    wide = np.exp(np.clip(rows[:, 3:5], -LARGEST, LARGEST)) * step
    corner = middle + rows[:, 1:3] * step - wide / 2
    boxes = np.hstack([corner, wide]).astype(np.float32)
    points = middle[:, None] + rows[:, 5:].reshape(-1, 5, 2) * step[..., None]
    kept = suppress(boxes, overlap)
    score = (1 / (1 + np.exp(-rows[kept, 0]))).astype(np.float32)
    return Found(score, boxes[kept], points[kept].astype(np.float32))


def suppress(boxes: Floats, overlap: float) -> NDArray[np.int64]:
    """Rows of ``boxes`` (F, 4), the surest first, that overlap none kept before by more (IoU)."""
    kept: list[int] = []
    left = np.ones(len(boxes), np.bool_)
    for index in range(len(boxes)):
        if not left[index]:
            continue
        kept.append(index)
        left &= overlaps(boxes[index], boxes) <= overlap
    return np.array(kept, np.int64)


def overlaps(box: Floats, boxes: Floats) -> Floats:
    """Intersection over union of ``box`` (4,) with each of ``boxes`` (F, 4)."""
    low = np.maximum(box[:2], boxes[:, :2])
    high = np.minimum(box[:2] + box[2:], boxes[:, :2] + boxes[:, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=1)
    total = box[2] * box[3] + boxes[:, 2] * boxes[:, 3] - shared
    return np.asarray(shared / np.maximum(total, 1e-9), np.float32)
