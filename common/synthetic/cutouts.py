"""Invented people cut out of their picture: colour, what it covers, and where the face is.

A scene (``scenes``) costs a second. A person who was painted once can be laid before any number of
places, in any size, turn and light, for next to nothing: what a detector of faces learns from.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from common.synthetic.canvas import Colours
from common.synthetic.people import Person, draw_person
from common.synthetic.renderer import FINE, GAMMA
from common.synthetic.scenes import paint_someone
from common.synthetic.variation import Variation, draw_variation

TALL = 96.0  # height of a face in pixels of the largest copy
WIDTH, HEIGHT = 264, 272  # of that copy
_MIDDLE = (WIDTH / 2, 116.0)  # where in it a face is
_COPIES = 3  # each half as large as the one before
_SHADED = ("hand", "microphone", "telephone", "scarf")  # reach beyond the person


@dataclass(frozen=True, slots=True, eq=False)
class Cutout:
    """One person without a place.

    ``copies`` are (H, W, 4) uint8, the largest first: red, green and blue times opacity, and the
    opacity. ``landmarks`` (5, 2) and ``box`` (left, top, width, height) are in pixels of the
    largest, counted from the middle of the first pixel: x is at (x + .5) / 2^i - .5 in copy i.
    """

    copies: tuple[NDArray[np.uint8], ...]
    landmarks: NDArray[np.float64]
    box: tuple[float, float, float, float]


def draw_cutout(number: int, seed: int, view: int = 0) -> Cutout:
    """Picture ``view`` of person ``number`` under ``seed``; the same whatever others are made.

    The person is the one that ``synthetic_faces`` makes under that seed and number.
    """
    someone = draw_person(np.random.default_rng([seed, number, 0]))
    seen = draw_variation(someone, np.random.default_rng([seed, number, 3, view]))
    return cut_out(someone, seen)


def cut_out(someone: Person, seen: Variation) -> Cutout:
    """``someone`` as ``seen``, with head and shoulders, before nothing."""
    dark = np.zeros((3, HEIGHT * FINE, WIDTH * FINE), np.float32)
    place = (*_MIDDLE, TALL)
    face, cover = paint_someone(dark, someone, seen, place)
    opaque = cover
    if seen.obstacle in _SHADED:
        bright = np.ones_like(dark)
        paint_someone(bright, someone, seen, place)
        opaque = np.maximum(cover, _small(1 - (bright - dark))[..., 1].clip(0, 1))
    colour = _small(dark) / np.maximum(opaque, 1e-3)[..., None]
    lamp = seen.light
    colour = np.clip(colour * np.asarray(lamp.tint, np.float32) * np.float32(lamp.exposure), 0, 1)
    shown = cv2.pow(colour.astype(np.float32), 1 / GAMMA) * opaque[..., None]
    whole = np.rint(255 * np.dstack([shown, opaque])).astype(np.uint8)
    return Cutout(copies_of(whole), face.landmarks, face.box)


def head_alone(someone: Cutout, reach: float, oval: bool) -> Cutout:
    """``someone`` without a body, or with ``oval`` without hair as well; the edge is soft.

    ``reach`` is how far below the top of the face it goes, in heights of the face. Photographs cut
    people off anywhere, and a detector that looks for shoulders finds too few of them.
    """
    left, top, wide, tall = someone.box
    copies = []
    for halved, pixels in enumerate(someone.copies):
        row, column = np.mgrid[0 : pixels.shape[0], 0 : pixels.shape[1]].astype(np.float32) + 0.5
        row, column = row * 2**halved - top, column * 2**halved - left - wide / 2
        outside = (row - reach * tall) / (0.1 * tall)
        if oval:
            away = np.hypot(column / (0.58 * wide), (row - 0.5 * tall) / (0.6 * tall))
            outside = np.maximum(outside, (away - 1) / 0.12)
        kept = np.clip(0.5 - outside, 0, 1)[..., None]
        copies.append(np.rint(pixels * kept).astype(np.uint8))
    return Cutout(tuple(copies), someone.landmarks, someone.box)


def copies_of(pixels: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], ...]:
    """``pixels`` (H, W, 4), and again half as large, and again."""
    copies = [pixels]
    for _ in range(_COPIES - 1):
        size = copies[-1].shape[1] // 2, copies[-1].shape[0] // 2
        small = cv2.resize(copies[-1], size, interpolation=cv2.INTER_AREA)
        copies.append(np.asarray(small, np.uint8))
    return tuple(copies)


def _small(values: Colours) -> NDArray[np.float32]:
    """Samples (3, H, W) as pixels (H', W', 3)."""
    whole = np.ascontiguousarray(values.transpose(1, 2, 0))
    return np.asarray(cv2.resize(whole, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA), np.float32)
