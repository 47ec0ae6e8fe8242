"""How many faces a detector finds at a given number of false alarms, and how near their landmarks.

A face is found by a detection that overlaps it (IoU) enough, each detection one face and each face
once, the surest first. What finds a doubtful face counts neither way.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """One picture's detections, the surest first, and how many faces there were to find.

    ``hit`` (D,) is the row of the face found, -1 for a false alarm, -2 for neither.
    """

    score: Floats
    hit: NDArray[np.int64]
    faces: int


def judge(
    score: Floats, found: Floats, faces: Floats, doubtful: NDArray[np.bool_], least: float = 0.4
) -> Judged:
    """Detections (D, 4) with their ``score`` (D,) against ``faces`` (F, 4).

    Boxes are left, top, width, height. ``doubtful`` (F,) faces need not be found.
    """
    order = np.argsort(-score, kind="stable")
    hit = np.full(len(order), -1, np.int64)
    free = np.ones(len(faces), np.bool_)
    overlap = overlap_matrix(found[order], faces)
    for row in range(len(order)):
        candidates = np.where(free, overlap[row], 0)
        best = int(candidates.argmax()) if len(faces) else -1
        if best >= 0 and candidates[best] >= least:
            hit[row] = -2 if doubtful[best] else best
            free[best] = False
    return Judged(score[order], hit, int((~doubtful).sum()))


def recall_at(judged: list[Judged], alarms: float) -> tuple[float, float]:
    """The share of faces found with at most ``alarms`` false ones a picture, at best.

    And the threshold of it: what scores more counts. (0, inf) where there is nobody to find.
    """
    score = np.concatenate([one.score for one in judged])
    hit = np.concatenate([one.hit for one in judged])
    faces, allowed = sum(one.faces for one in judged), alarms * len(judged)
    if not faces:
        return 0.0, float("inf")
    wrong = np.sort(score[hit == -1])[::-1]
    position = int(np.floor(allowed))
    threshold = float(wrong[position]) if len(wrong) > position else -float("inf")
    return float(((hit >= 0) & (score > threshold)).sum() / faces), threshold


def landmark_error(found: Floats, true: Floats) -> Floats:
    """Mean distance of five points (N, 5, 2) from the truth, over the distance of the true eyes."""
    apart = np.linalg.norm(found - true, axis=2).mean(axis=1)
    eyes = np.linalg.norm(true[:, 0] - true[:, 1], axis=1)
    return np.asarray(apart / np.maximum(eyes, 1e-6))


def overlap_matrix(one: Floats, other: Floats) -> Floats:
    """Intersection over union of boxes (N, 4) with boxes (M, 4): (N, M)."""
    one, other = np.reshape(one, (-1, 1, 4)), np.reshape(other, (1, -1, 4))
    low = np.maximum(one[..., :2], other[..., :2])
    high = np.minimum(one[..., :2] + one[..., 2:], other[..., :2] + other[..., 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    total = one[..., 2:].prod(axis=2) + other[..., 2:].prod(axis=2) - shared
    return np.asarray(shared / np.maximum(total, 1e-9))
