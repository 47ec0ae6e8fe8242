"""Augmentation: the same person on another picture, made from one crop and a passed generator.

Each function is pure: a crop (112, 112, 3) uint8 goes in and a new one comes out; what the
generator draws says how. None of them changes who is seen. What a camera does is in ``cameras``.
"""

import difflib
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from common.errors import ConfigError
from common.faces.crops import Crop

REACH = 4  # pixels of a shift, at most
LEAST_SIDE = 0.84  # of the crop that a cut keeps
MOST_DEGREES = 12.0
MOST_COVERED = 0.16  # of the area, by an occlusion
_BANDS = ((38, 66), (78, 106))  # rows of eyes and mouth after alignment

Augmentation = Callable[[Crop, np.random.Generator], Crop]


def cut(crop: Crop, rng: np.random.Generator) -> Crop:
    """A square window of it, anywhere, enlarged to the whole."""
    import cv2

    size = crop.shape[0]
    side = round(size * rng.uniform(LEAST_SIDE, 1))
    top, left = rng.integers(0, size - side + 1, 2)
    window = crop[top : top + side, left : left + side]
    return _whole(cv2.resize(window, (size, size), interpolation=cv2.INTER_LINEAR))


def rotate(crop: Crop, rng: np.random.Generator) -> Crop:
    """Turned about its middle by a few degrees; the corners repeat the edge."""
    import cv2

    size = crop.shape[0]
    angle = rng.uniform(-MOST_DEGREES, MOST_DEGREES)
    turn = cv2.getRotationMatrix2D(((size - 1) / 2, (size - 1) / 2), angle, 1)
    return _whole(cv2.warpAffine(crop, turn, (size, size), borderMode=cv2.BORDER_REPLICATE))


def shift(crop: Crop, rng: np.random.Generator) -> Crop:
    """Moved by a few pixels; what comes in repeats the edge."""
    size = crop.shape[0]
    top, left = rng.integers(0, 2 * REACH + 1, 2)
    padded = np.pad(crop, ((REACH, REACH), (REACH, REACH), (0, 0)), mode="edge")
    return np.ascontiguousarray(padded[top : top + size, left : left + size])


def flip(crop: Crop, rng: np.random.Generator) -> Crop:
    """Mirrored half of the time."""
    return np.ascontiguousarray(crop[:, ::-1]) if rng.random() < 0.5 else crop.copy()


def colour(crop: Crop, rng: np.random.Generator) -> Crop:
    """Other white, contrast and saturation; brighter stays brighter within a grey picture."""
    values = crop.astype(np.float32)
    values = values * rng.uniform(0.92, 1.08, 3).astype(np.float32)
    middle = values.mean()
    values = middle + np.float32(rng.uniform(0.7, 1.3)) * (values - middle)
    grey = values @ np.array([0.299, 0.587, 0.114], np.float32)
    values = grey[..., None] + np.float32(rng.uniform(0.6, 1.4)) * (values - grey[..., None])
    return _whole(np.float32(rng.uniform(0.8, 1.2)) * values)


def occlude(crop: Crop, rng: np.random.Generator) -> Crop:
    """Half of the time a flat box somewhere, or a band over the eyes or the mouth."""
    covered = crop.copy()
    if rng.random() < 0.5:
        return covered
    size, kind, tint = crop.shape[0], int(rng.integers(3)), rng.integers(0, 256, 3)
    if kind == 2:
        height, width = rng.integers(size // 7, round(size * MOST_COVERED**0.5) + 1, 2)
        top, left = rng.integers(0, size - height + 1), rng.integers(0, size - width + 1)
        covered[top : top + height, left : left + width] = tint
        return covered
    first, last = _BANDS[kind]
    height = int(rng.integers(8, int(MOST_COVERED * size) + 1))
    top = int(rng.integers(first, last - height + 1))
    covered[top : top + height] = tint
    return covered


AUGMENTATIONS: dict[str, Augmentation] = {
    "crop": cut,
    "rotate": rotate,
    "shift": shift,
    "flip": flip,
    "colour": colour,
    "occlude": occlude,
}
"""Every augmentation by its name, in the order in which they happen."""


def augmented(crop: Crop, names: tuple[str, ...], rng: np.random.Generator) -> Crop:
    """``crop`` after all of ``names``, in the order of ``AUGMENTATIONS`` whatever theirs is."""
    for name, change in AUGMENTATIONS.items():
        if name in names:
            crop = change(crop, rng)
    return crop


def parse_augmentations(text: str) -> tuple[str, ...]:
    """``"shift,flip"`` as names; ``none`` and ``all`` are words too. ``ConfigError`` for others."""
    if text.strip() in ("none", "all"):
        return tuple(AUGMENTATIONS) if text.strip() == "all" else ()
    asked = {part.strip() for part in text.split(",")}
    for name in sorted(asked - set(AUGMENTATIONS)):
        near = difflib.get_close_matches(name, AUGMENTATIONS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(AUGMENTATIONS)}"
        raise ConfigError(f"no augmentation {name!r}; {hint}")
    return tuple(name for name in AUGMENTATIONS if name in asked)


def _whole(values: NDArray[np.generic]) -> Crop:
    return np.ascontiguousarray(np.clip(np.rint(values), 0, 255), np.uint8)
