"""Alignment: turns and scales a picture so that every face looks at the camera from one place.

The five points (eyes, nose tip, mouth corners) are brought onto the ArcFace template by the
similarity transform of least squares, so that a network meets each face where it expects it.
"""

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from common.errors import NoFaceError
from common.faces.crops import SIDE, Crop
from common.faces.pictures import Picture

# Right eye, left eye, nose tip, right and left mouth corner as the viewer sees them from left to
# right, in pixels of the 112x112 crop (Deng et al. 2019, arXiv:1801.07698).
TEMPLATE: NDArray[np.float64] = np.array(
    [
        [38.2946, 51.6963],
        [73.5318, 51.5014],
        [56.0252, 71.7366],
        [41.5493, 92.3655],
        [70.7299, 92.2041],
    ]
)


def similarity(source: ArrayLike, target: ArrayLike) -> NDArray[np.float64]:
    """The (2, 3) matrix of scale, rotation and shift that best maps points (N, 2) to others.

    Least squares in closed form, never a reflection (Umeyama 1991, doi:10.1109/34.88573, eq.
    40-42). ``NoFaceError`` if the source points are not finite or all lie in one place.
    """
    a, b = np.asarray(source, np.float64), np.asarray(target, np.float64)
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise NoFaceError("a landmark is not a finite number")
    centre_a, centre_b = a.mean(axis=0), b.mean(axis=0)
    a, b = a - centre_a, b - centre_b
    spread = (a**2).sum() / len(a)
    if spread < 1e-6:
        raise NoFaceError("the landmarks lie in one place")
    u, strength, v = np.linalg.svd(b.T @ a / len(a))
    upright = np.array([1.0, np.sign(np.linalg.det(u) * np.linalg.det(v)) or 1.0])
    linear = (strength * upright).sum() / spread * (u * upright) @ v
    return np.hstack([linear, (centre_b - linear @ centre_a)[:, None]])


def align(picture: Picture, landmarks: ArrayLike) -> Crop:
    """The 112x112 crop of the face whose five ``landmarks`` (5, 2) are pixels of ``picture``.

    What lies outside the picture is black, as in the training data of public embedders. A large
    face is averaged down first, so that fine detail does not turn into noise.
    """
    points = np.asarray(landmarks, np.float64)
    if points.shape != (5, 2):
        raise NoFaceError(f"expected five landmarks (5, 2), got {points.shape}")
    matrix = similarity(points, TEMPLATE)
    scale = float(np.hypot(*matrix[:, 0]))
    if not 1e-3 < scale < 1e3:
        raise NoFaceError("the landmarks are too close together or too far apart")
    picture, matrix = _neighbourhood(picture, matrix)
    if scale < 0.5:
        picture, matrix = _shrunk(picture, matrix, 2 * scale)
    return np.asarray(cv2.warpAffine(picture, matrix, (SIDE, SIDE)), np.uint8)


def _neighbourhood(
    picture: Picture, matrix: NDArray[np.float64]
) -> tuple[Picture, NDArray[np.float64]]:
    """The part of the picture that the crop shows, and the matrix from there."""
    corners = np.array([[0, 0], [SIDE, 0], [0, SIDE], [SIDE, SIDE]], np.float64)
    inside = (corners - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T
    height, width = picture.shape[:2]
    low = np.clip(np.floor(inside.min(axis=0)) - 4, 0, [width - 1, height - 1]).astype(int)
    high = np.clip(np.ceil(inside.max(axis=0)) + 4, low + 1, [width, height]).astype(int)
    moved = matrix.copy()
    moved[:, 2] += matrix[:, :2] @ low
    return picture[low[1] : high[1], low[0] : high[0]], moved


def _shrunk(
    picture: Picture, matrix: NDArray[np.float64], factor: float
) -> tuple[Picture, NDArray[np.float64]]:
    """The picture averaged down by about ``factor``; pixel centres stay where they were."""
    height, width = picture.shape[:2]
    size = max(1, round(width * factor)), max(1, round(height * factor))
    small = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
    step = np.array([width / size[0], height / size[1]])
    # old = step * (new + 1/2) - 1/2
    adapted = np.hstack([matrix[:, :2] * step, matrix[:, 2:]])
    adapted[:, 2] += matrix[:, :2] @ (step / 2 - 0.5)
    return small, adapted
