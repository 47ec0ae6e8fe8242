"""Dead leaves: shapes of all sizes that hide one another, as things in photographs do.

Sizes fall by a power law, so that edges, contrasts and scales have the statistics of photographs
without anything that is in one (Lee, Mumford and Huang 2001, doi:10.1023/A:1011109015675). Leaves
are flat, lit, round as pebbles and coins, or stained with spots in no order: whoever learns to tell
faces from everything else learns here what everything else looks like.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from common.faces.pictures import Picture

Values = NDArray[np.float32]
_SMALLEST, _LARGEST = 0.012, 0.5  # of the side: half the size of a leaf
_POWER = 3.0  # of the density of sizes
_FINER = 4  # a place of a corner is given in quarters of a pixel, as two bits
_BITS = 2
_ROUND = 20  # corners of a pebble


@dataclass(frozen=True, slots=True, eq=False)
class Ground:
    """What leaves are made of: ``colours`` (C, 3) of one light, and ``rough`` (2 S, 2 S) grain."""

    colours: NDArray[np.float64]
    rough: Values


def draw_leaves(side: int, grain: Picture, rng: np.random.Generator) -> Picture:
    """A square of ``side`` pixels full of leaves; ``grain`` (side, side, 3) lies under them."""
    picture = grain.astype(np.float32)
    ground = Ground(_palette(rng), _rough(2 * side, rng))
    for reach in _reaches(int(rng.integers(20, 110)), side, rng):
        _lay(picture, reach, ground, rng)
    return np.clip(picture, 0, 255).astype(np.uint8)


def _lay(picture: Values, reach: float, ground: Ground, rng: np.random.Generator) -> None:
    cover = np.zeros(picture.shape[:2], np.uint8)
    corners = _corners(reach, picture.shape[0], rng)
    cv2.fillPoly(cover, [np.rint(corners * _FINER).astype(np.int32)], 255, cv2.LINE_AA, _BITS)
    edge = 2 + round(0.15 * reach)
    x, y, wide, tall = cv2.boundingRect(cover)
    if not wide:
        return
    y, x = max(0, y - edge), max(0, x - edge)
    there = slice(y, y + tall + 2 * edge), slice(x, x + wide + 2 * edge)
    part = picture[there]
    seen = cover[there].astype(np.float32) / 255
    if rng.random() < 0.35:
        soft = float(rng.uniform(0.5, 0.1 * reach + 1))
        seen = np.asarray(cv2.GaussianBlur(seen, (0, 0), soft), np.float32)
    colour = ground.colours[int(rng.integers(len(ground.colours)))] + rng.normal(0, 14, 3)
    part += seen[..., None] * (_surface((part.shape[0], part.shape[1]), colour, ground, rng) - part)


def _reaches(count: int, side: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Half sizes in pixels, their density falling with the power of the size."""
    low, high = (share ** (1 - _POWER) for share in (_SMALLEST, _LARGEST))
    share = (low + rng.random(count) * (high - low)) ** (1 / (1 - _POWER))
    reach = np.asarray(share * side)
    large = rng.random(count) < 0.35  # else the small ones hide everything
    reach[large] = side * np.exp(rng.uniform(math.log(0.05), math.log(_LARGEST), int(large.sum())))
    return reach


def _palette(rng: np.random.Generator) -> NDArray[np.float64]:
    """A few colours of one light, skin among them more often than not."""
    count = int(rng.integers(3, 9))
    grey = rng.uniform(10, 245, (count, 1))
    colours = grey + rng.normal(0, rng.uniform(1, 50), (count, 3))
    if rng.random() < 0.6:
        colours[0] = rng.uniform(0.2, 1) * np.array([255, 200, 168]) + rng.normal(0, 10, 3)
    return np.asarray(np.clip(colours, 0, 255))


def _rough(side: int, rng: np.random.Generator) -> Values:
    """Grain (side, side) of several fineness, of mean 0 and deviation 1."""
    total = np.zeros((side, side), np.float32)
    for cells in (side, side // 2, side // 4, side // 8):
        noise = rng.standard_normal((cells, cells), np.float32)
        total += np.float32(rng.random()) * cv2.resize(noise, (side, side))
    return np.asarray(total / max(float(total.std()), 1e-3), np.float32)


def _corners(reach: float, side: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """The outline (K, 2) of one leaf anywhere: a pebble, an oval, a slab or a splinter."""
    middle = rng.uniform(-0.1 * side, 1.1 * side, 2)
    turn, kind = float(rng.uniform(0, 2 * math.pi)), int(rng.integers(4))
    if kind < 2:
        angles = np.linspace(0, 2 * math.pi, _ROUND, endpoint=False)
        far = np.ones(_ROUND)
        for wave in range(2, 6) if kind == 0 else ():
            far += rng.normal(0, 0.12 / (wave - 1)) * np.cos(wave * angles + rng.uniform(0, 7))
    elif kind == 2:
        half = math.atan(float(rng.uniform(0.1, 1)))
        angles, far = np.array([-half, half, math.pi - half, math.pi + half]), np.ones(4)
    else:
        angles = np.sort(rng.uniform(0, 2 * math.pi, int(rng.integers(3, 9))))
        far = rng.uniform(0.3, 1, len(angles))
    squeeze = float(rng.uniform(0.5, 1))
    ring = np.stack([np.cos(angles), squeeze * np.sin(angles)], axis=1) * far[:, None]
    spin = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    return np.asarray(reach * ring @ spin.T + middle)


def _surface(
    size: tuple[int, int], colour: NDArray[np.float64], ground: Ground, rng: np.random.Generator
) -> Values:
    """The colours (H, W, 3) of a leaf: lit from a side, round, rough, and with spots."""
    column = np.linspace(-1, 1, size[1], dtype=np.float32)[None]
    row = np.linspace(-1, 1, size[0], dtype=np.float32)[:, None]
    turn, strength = float(rng.uniform(0, 2 * math.pi)), float(rng.uniform(0, 0.7))
    light = 1 + strength * (row * math.sin(turn) + column * math.cos(turn))
    if rng.random() < 0.45:
        light = light + float(rng.uniform(0, 0.8)) * (0.4 - row**2 - column**2)
    if rng.random() < 0.4:
        for _ in range(int(rng.integers(1, 6))):
            y, x = rng.uniform(-0.8, 0.8, 2)
            high, wide = rng.uniform(0.03, 0.3, 2)
            away = ((row - y) / high) ** 2 + ((column - x) / wide) ** 2
            light = light + float(rng.normal(0, 0.5)) * np.exp(-away.clip(0, 30))
    if rng.random() < 0.65:
        top, left = (int(rng.integers(0, ground.rough.shape[0] - s + 1)) for s in size)
        rough = ground.rough[top : top + size[0], left : left + size[1]]
        light = light + float(rng.uniform(0.03, 0.35)) * rough
    return np.asarray(light.clip(0, 2.5)[..., None] * colour, np.float32)
