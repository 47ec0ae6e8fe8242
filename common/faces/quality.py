"""How much a picture is worth for recognition: one number, and words for what is wrong with it.

Eight things are measured on a face. Each becomes a *defect*, 0 where nothing is lost; the score is
``exp(-sum of weighted defects)``: about the share of the likeness to a person's own other pictures
that is left. The weights were fitted on invented people; ``mascaron-lab bench quality`` fits them
again and tells how well they sort people they never saw.

Leaks: score and reasons say something of a picture, nothing of whose it is. They may be told to
whoever holds the camera.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from common.errors import NoFaceError
from common.faces.align import TEMPLATE, similarity
from common.faces.crops import SIDE, Crop
from common.faces.detect import Face
from common.faces.pictures import Picture

Reason = Literal[
    "too_small",
    "blurred",
    "noisy",
    "too_dark",
    "too_bright",
    "low_contrast",
    "turned_away",
    "cut_off",
    "eyes_not_found",
    "not_certain",
    "several_faces",
]
Floats = NDArray[np.float64]
Grey = NDArray[np.float32]

REASONS: tuple[Reason, ...] = get_args(Reason)
DEFECTS: tuple[Reason, ...] = REASONS[:8]
"""Those that are measured; the other reasons are told by the detector."""

# What a unit of each defect costs, in the order of DEFECTS; see the first paragraph.
WEIGHTS: Floats = np.array([0.1, 1.9, 0.13, 0.2, 0.23, 0.2, 0.5, 5.0])
TOLD = 0.2  # cost from which a reason is worth telling: a fifth of the likeness
BESIDE = 0.25  # share of the face's area from which another face counts
_GUESSED = 0.7  # cost of landmarks that are only a guess from the box
_DOUBTED = 0.1  # cost of a second face, and of a detector in doubt

_EYES = 32.0  # pixels between the eyes: a little below the crop's own 35
_SHARP = 0.75  # detail over coarser detail in a sharp crop
_DARK, _BRIGHT, _STEP = 70.0, 150.0, 50.0  # grey levels
_CONTRAST = 60.0  # grey levels between the 5th and 95th percentile
_ROUGH = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
_ROUGHNESS = 6 * 0.6745  # median of its absolute value under noise of deviation 1


def _oval(shape: tuple[float, float]) -> NDArray[np.bool_]:
    """The face in a crop, half axes ``shape``."""
    row, column = np.mgrid[0:SIDE, 0:SIDE]
    return np.asarray(((column - 56) / shape[0]) ** 2 + ((row - 70) / shape[1]) ** 2 < 1)


_FACE = _oval((34, 44))
_PLACES: Floats = np.argwhere(_FACE)[:, ::-1].astype(np.float64)  # (N, 2) x, y


@dataclass(frozen=True, slots=True)
class Quality:
    """``score`` in [0, 1], 1 the best; ``reasons`` are what is wrong, the worst first."""

    score: float
    reasons: tuple[Reason, ...]


def assess(picture: Picture, face: Face, crop: Crop, others: Sequence[Face] = ()) -> Quality:
    """The quality of ``face``, found in ``picture`` (H, W, 3) and aligned to ``crop``.

    ``others`` are the faces found beside it. ``NoFaceError`` if ``face`` has no landmarks.
    """
    if face.landmarks is None:
        raise NoFaceError("the detector gives no landmarks to judge by")
    told: dict[Reason, float] = {}
    if not face.eyes_found:
        told["eyes_not_found"] = _GUESSED
    if not face.certain:
        told["not_certain"] = _DOUBTED
    if any(other.area >= BESIDE * face.area for other in others):
        told["several_faces"] = _DOUBTED
    size = picture.shape[1], picture.shape[0]
    return quality_of(defects(face.landmarks, crop, size), told)


def quality_of(measured: Floats, told: Mapping[Reason, float] | None = None) -> Quality:
    """The quality of a face of the defects ``measured`` (8,) and the costs ``told`` beside them."""
    by_detector = dict(told or {})
    costs = dict(zip(DEFECTS, (WEIGHTS * measured).tolist(), strict=True)) | by_detector
    worst = sorted(costs, key=lambda name: -costs[name])
    reasons = [name for name in worst if costs[name] >= TOLD or name in by_detector]
    return Quality(math.exp(-sum(costs.values())), tuple(reasons))


def defects(landmarks: ArrayLike, crop: Crop, size: tuple[int, int]) -> Floats:
    """How far (8,) a face is from what recognition wants, in the order of ``DEFECTS``.

    ``landmarks`` (5, 2) are pixels of a picture of ``size`` (width, height). 0 where nothing is
    lost, about 1 where much is; no upper bound, no weights yet.
    """
    points = np.asarray(landmarks, np.float64)
    matrix = similarity(points, TEMPLATE)
    grey = np.asarray(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), np.float32)
    aligned = points @ matrix[:, :2].T + matrix[:, 2]
    measured = [
        _small(points),
        *_detail(grey),
        *_exposure(grey),
        _turned(aligned),
        _outside(matrix, size),
    ]
    return np.array(measured)


def _small(points: Floats) -> float:
    """Octaves by which the eyes are nearer to each other than in a crop."""
    apart = float(np.hypot(*(points[1] - points[0])))
    return max(0.0, math.log2(_EYES / max(apart, 1.0)))


def _detail(grey: Grey) -> tuple[float, float]:
    """Octaves by which fine detail falls off against coarser detail, and noise over contrast.

    A lens out of focus, motion and enlargement take the first. Noise as in Immerkaer 1996
    (doi:10.1006/cviu.1996.0060), but by the median, as edges are rare.
    """
    two, four, eight = (cv2.GaussianBlur(grey, (0, 0), sigma) for sigma in (2, 4, 8))
    fine, coarse = float((two - four)[_FACE].std()), float((four - eight)[_FACE].std())
    kept = fine / max(coarse, 1e-3)
    noise = float(np.median(np.abs(cv2.filter2D(grey, -1, _ROUGH))[_FACE])) / _ROUGHNESS
    contrast = max(float(grey[_FACE].std()), 1.0)
    return max(0.0, math.log2(_SHARP / max(kept, 1e-2))), noise / contrast


def _exposure(grey: Grey) -> tuple[float, float, float]:
    """Octaves too dark, steps too bright, octaves of contrast missing."""
    face = cv2.GaussianBlur(grey, (0, 0), 1)[_FACE]
    mean = float(face.mean())
    low, high = np.percentile(face, (5, 95)).tolist()
    dark, flat = _DARK / max(mean, 1.0), _CONTRAST / max(high - low, 1.0)
    return max(0.0, math.log2(dark)), max(0.0, mean - _BRIGHT) / _STEP, max(0.0, math.log2(flat))


def _turned(aligned: Floats) -> float:
    """How far the nose is from its place between eyes and mouth, in distances between the eyes."""
    eyes, mouth, nose = aligned[:2].mean(axis=0), aligned[3:].mean(axis=0), aligned[2]
    apart = float(TEMPLATE[1, 0] - TEMPLATE[0, 0])
    sideways = abs(float(nose[0] - (eyes[0] + mouth[0]) / 2)) / apart
    usual = (TEMPLATE[2, 1] - TEMPLATE[:2, 1].mean()) / (
        TEMPLATE[3:, 1].mean() - TEMPLATE[:2, 1].mean()
    )
    high = float(nose[1] - eyes[1]) / max(float(mouth[1] - eyes[1]), 5.0)
    return sideways + abs(high - float(usual))


def _outside(matrix: Floats, size: tuple[int, int]) -> float:
    """The share of the face that lies outside the picture."""
    places = (_PLACES - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T
    out = (places < -0.5) | (places > np.array(size) - 0.5)
    return float(out.any(axis=1).mean())
