"""The painter's tools: soft edges, bumps, smooth noise and layers of colour over one another."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Colour = tuple[float, float, float]  # red, green, blue, share of full intensity
Map = NDArray[np.floating[Any]]  # (H, W), float32 in practice
Colours = NDArray[np.float32]  # (3, H, W), share of full intensity


def soft(distance: Map, width: float = 1.0) -> Map:
    """Coverage 1 inside (``distance`` < 0) to 0 outside, over an edge ``width`` pixels wide."""
    return np.asarray(np.clip(0.5 - distance / width, 0, 1), np.float32)


def bump(x: Map, y: Map, size: tuple[float, float]) -> Map:
    """A Gaussian hill of height 1 at the origin with standard deviations ``size``."""
    across, along = 0.5 / size[0] ** 2, 0.5 / size[1] ** 2
    return np.asarray(np.exp(-(x * x * across + y * y * along)), np.float32)


def filled(colour: Colour, sheet: "Sheet") -> Colours:
    """One colour everywhere on the sheet."""
    return np.repeat(np.asarray(colour, np.float32), sheet.x.size).reshape(3, *sheet.x.shape)


def shaded(colour: Colour, share: float) -> Colour:
    """``colour`` darkened to ``share`` of its intensity."""
    return colour[0] * share, colour[1] * share, colour[2] * share


def lay(base: Colours, colour: Colours | Colour, coverage: Map) -> None:
    """Paints ``colour`` over ``base`` in place, as opaque as ``coverage`` (H, W) says."""
    rows = _touched(coverage)
    part = coverage[rows]
    for under, over in zip(base, colour, strict=True):
        new = over[rows] if isinstance(over, np.ndarray) else np.float32(over)
        under[rows] += (new - under[rows]) * part


def tint(base: Colours, factor: Map, colour: Colour = (1, 1, 1)) -> None:
    """Multiplies ``base`` in place by 1 + ``factor`` (H, W) times ``colour``."""
    rows = _touched(factor)
    part = factor[rows]
    for under, share in zip(base, colour, strict=True):
        under[rows] *= 1 + part * np.float32(share)


def _touched(coverage: Map) -> slice:
    """The rows in which anything happens: most layers are small."""
    rows = np.flatnonzero(np.abs(coverage).max(axis=1) > 1e-3)
    return slice(int(rows[0]), int(rows[-1]) + 1) if len(rows) else slice(0)


@dataclass(frozen=True, slots=True)
class Texture:
    """Smooth noise of unit deviation that repeats only after ``size`` cells."""

    cells: Map

    @classmethod
    def drawn(cls, seed: int, size: int = 64) -> "Texture":
        """The same ``seed`` gives the same texture."""
        return cls(np.random.default_rng(seed).standard_normal((size, size), dtype=np.float32))

    def at(self, u: Map, v: Map) -> Map:
        """The noise at ``u``, ``v`` (H, W), measured in cells."""
        found = cv2.remap(self.cells, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
        return np.asarray(found, np.float32)


@dataclass(frozen=True, slots=True)
class Sheet:
    """Where each pixel lies on the average face: ``x`` and ``y`` (H, W) in crop pixels."""

    x: Map
    y: Map

    @property
    def across(self) -> Map:
        """Distance from the middle line; a face is drawn once for both sides."""
        return np.abs(self.x)

    def rows(self, low: float, high: float) -> slice:
        """The rows of pixels (at least one) that hold every point with y between the two."""
        touched = np.flatnonzero(((self.y > low) & (self.y < high)).any(axis=1))
        return slice(int(touched[0]), int(touched[-1]) + 1) if len(touched) else slice(1)

    def part(self, rows: slice) -> "Sheet":
        """Those rows only."""
        return Sheet(self.x[rows], self.y[rows])
