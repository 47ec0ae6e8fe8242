"""Cameras: what a lens, a sensor and a codec do to a face, as a list of operations with ranges.

A camera is a TOML file: an ordered list of operations, each with the range its strength is drawn
from. The draw depends on the camera's seed, the crop itself and the view number only, so the same
crop through the same camera is the same picture in every run and in any order.
"""

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from common.config import build, read_toml
from common.errors import ConfigError

RANDOMISED = Path(__file__).with_name("randomised.toml")  # ranges that cover those we know

Crop = NDArray[np.uint8]  # (112, 112, 3) RGB

Kind = Literal["resize", "gamma", "gain", "noise", "jpeg", "motion", "defocus", "grey", "occlude"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Operation:
    """One thing that happens to a picture, with the range its strength is drawn from.

    ==========  ==========================================================================
    resize      side in pixels the crop is shrunk to, then enlarged again
    gamma       exponent on [0, 1] intensities; > 1 darkens
    gain        factor on intensities
    noise       standard deviation of Gaussian sensor noise, in grey levels
    jpeg        JPEG quality, 1-95
    motion      length in pixels of a straight motion blur at a random angle
    defocus     standard deviation in pixels of a Gaussian blur
    grey        share of the picture replaced by a near-infrared-like grey (mostly red channel)
    occlude     share of the height covered by a flat bar from the bottom or the top
    ==========  ==========================================================================
    """

    kind: Kind
    low: float
    high: float
    chance: float = 1.0  # probability that the operation happens at all

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low <= self.high):
            raise ConfigError(f"{self.kind}: low must not exceed high")
        least, most = _BOUNDS[self.kind]
        if self.low < least or self.high > most:
            raise ConfigError(f"{self.kind}: range must lie within [{least:g}, {most:g}]")
        if not 0 <= self.chance <= 1:
            raise ConfigError(f"{self.kind}: chance must be in [0, 1]")


@dataclass(frozen=True, kw_only=True, slots=True)
class Camera:
    """A named, seeded list of operations applied in order."""

    name: str
    operations: tuple[Operation, ...]
    seed: int = 0

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise ConfigError(f"seed must not be negative, got {self.seed}")

    def shoot(self, crop: Crop, view: int = 0) -> Crop:
        """``crop`` (H, W, 3) uint8 RGB as this camera sees it; ``view`` gives another draw."""
        digest = hashlib.blake2b(crop.tobytes(), digest_size=8).digest()
        rng = np.random.default_rng([self.seed, view, int.from_bytes(digest, "little")])
        picture = crop
        for operation in self.operations:
            strength = float(rng.uniform(operation.low, operation.high))
            if rng.uniform() < operation.chance:
                picture = _OPERATIONS[operation.kind](picture, strength, rng)
        return picture


@dataclass(frozen=True, kw_only=True, slots=True)
class _File:
    camera: tuple[Camera, ...]


def narrowed(camera: Camera, number: int) -> Camera:
    """One plausible fixed camera out of a randomised one: number ``number`` of as many as wanted.

    Each operation happens always or never, as its chance falls, and keeps a quarter of its range
    around a middle drawn on a logarithmic scale. The draw depends on seed and number only.
    """
    rng = np.random.default_rng([camera.seed, number, 1])
    operations = []
    for operation in camera.operations:
        low, high = math.log1p(operation.low), math.log1p(operation.high)
        middle, reach = rng.uniform(low, high), (high - low) / 8
        if rng.uniform() < operation.chance:
            ends = max(low, middle - reach), min(high, middle + reach)
            least, most = (min(max(math.expm1(e), operation.low), operation.high) for e in ends)
            operations.append(replace(operation, low=least, high=most, chance=1.0))
    seed = int(rng.integers(2**31))
    return Camera(name=f"{camera.name}-{number}", operations=tuple(operations), seed=seed)


def load_cameras(path: Path) -> tuple[Camera, ...]:
    """The ``[[camera]]`` entries of a TOML file, in order; names must differ."""
    cameras = build(_File, read_toml(path), str(path)).camera
    if not cameras:
        raise ConfigError(f"{path}: no [[camera]]")
    if len({c.name for c in cameras}) != len(cameras):
        raise ConfigError(f"{path}: two cameras have the same name")
    return cameras


def _resize(picture: Crop, side: float, rng: np.random.Generator) -> Crop:
    import cv2

    small = cv2.resize(picture, (round(side), round(side)), interpolation=cv2.INTER_AREA)
    size = picture.shape[1], picture.shape[0]
    return _crop(cv2.resize(small, size, interpolation=cv2.INTER_LINEAR))


def _gamma(picture: Crop, exponent: float, rng: np.random.Generator) -> Crop:
    table = (np.arange(256) / 255.0) ** exponent * 255.0
    return _crop(table[picture])


def _gain(picture: Crop, factor: float, rng: np.random.Generator) -> Crop:
    return _crop(picture * np.float32(factor))


def _noise(picture: Crop, deviation: float, rng: np.random.Generator) -> Crop:
    return _crop(picture + deviation * rng.standard_normal(picture.shape, dtype=np.float32))


def _jpeg(picture: Crop, quality: float, rng: np.random.Generator) -> Crop:
    import cv2

    settings = [cv2.IMWRITE_JPEG_QUALITY, round(quality)]
    _, data = cv2.imencode(".jpg", picture[..., ::-1], settings)
    return _crop(np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))[..., ::-1])


def _motion(picture: Crop, length: float, rng: np.random.Generator) -> Crop:
    import cv2

    angle = float(rng.uniform(0, math.pi))
    reach = max(1, math.ceil(length / 2))
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1), np.float32)
    for t in np.linspace(-length / 2, length / 2, 4 * reach + 1):
        kernel[round(reach + t * math.sin(angle)), round(reach + t * math.cos(angle))] += 1
    return _crop(cv2.filter2D(picture, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REFLECT))


def _defocus(picture: Crop, deviation: float, rng: np.random.Generator) -> Crop:
    import cv2

    return _crop(cv2.GaussianBlur(picture, (0, 0), max(deviation, 1e-3)))


def _grey(picture: Crop, share: float, rng: np.random.Generator) -> Crop:
    infrared = picture @ np.array([0.75, 0.2, 0.05], np.float32)
    return _crop((1 - share) * picture + share * infrared[..., None])


def _occlude(picture: Crop, share: float, rng: np.random.Generator) -> Crop:
    covered = picture.copy()
    rows = round(share * picture.shape[0])
    where = slice(picture.shape[0] - rows, None) if rng.uniform() < 0.5 else slice(0, rows)
    covered[where] = rng.integers(0, 256, 3)
    return covered


def _crop(values: NDArray[np.generic]) -> Crop:
    return np.ascontiguousarray(np.clip(np.rint(values), 0, 255), np.uint8)


_OPERATIONS: dict[str, Callable[[Crop, float, np.random.Generator], Crop]] = {
    "resize": _resize,
    "gamma": _gamma,
    "gain": _gain,
    "noise": _noise,
    "jpeg": _jpeg,
    "motion": _motion,
    "defocus": _defocus,
    "grey": _grey,
    "occlude": _occlude,
}

_BOUNDS: dict[str, tuple[float, float]] = {
    "resize": (4, 112),
    "gamma": (0.1, 10),
    "gain": (0.01, 10),
    "noise": (0, 128),
    "jpeg": (1, 95),
    "motion": (0, 56),
    "defocus": (0, 28),
    "grey": (0, 1),
    "occlude": (0, 0.8),
}
