"""What is behind people: blurred rooms, streets, greenery and studio walls."""

import math

import cv2
import numpy as np

from common.synthetic.canvas import Colours, Map, Sheet, Texture, filled, lay, soft, tint
from common.synthetic.people import Rgb

_COARSE = 4  # pixels of the screen per pixel painted: backgrounds are out of focus


def background(screen: Sheet, rng: np.random.Generator) -> Colours:
    """A place out of focus (3, H, W), as the colours a camera shows; ``screen`` is in pixels."""
    small = Sheet(screen.x[::_COARSE, ::_COARSE].copy(), screen.y[::_COARSE, ::_COARSE].copy())
    place = (_wall, _room, _street, _garden)[int(rng.integers(4))]
    colour = place(small, rng)
    away = float(rng.uniform(0.4, 2.5))
    size = screen.x.shape[1], screen.x.shape[0]
    soft_ = cv2.GaussianBlur(np.ascontiguousarray(colour.transpose(1, 2, 0)), (0, 0), away)
    large = cv2.resize(soft_, size, interpolation=cv2.INTER_LINEAR)
    return np.clip(np.ascontiguousarray(large.transpose(2, 0, 1), np.float32), 0, 1)


def _wall(sheet: Sheet, rng: np.random.Generator) -> Colours:
    """A studio: one colour, brighter where the lamp is."""
    colour = filled(_dull(rng, 0.12), sheet)
    x, y = rng.uniform(-60, 60, 2)
    spot = np.exp(-((sheet.x - x) ** 2 + (sheet.y - y) ** 2) / 6000)
    tint(colour, float(rng.uniform(0.1, 0.7)) * (spot - 0.5))
    _stain(colour, sheet, rng, 0.05)
    return colour


def _room(sheet: Sheet, rng: np.random.Generator) -> Colours:
    """A wall with shelves, pictures or a window."""
    colour = filled(_dull(rng, 0.1), sheet)
    fall = (sheet.x * math.cos(float(rng.uniform(0, 7))) + sheet.y) / 300
    tint(colour, fall)
    for _ in range(int(rng.integers(2, 7))):
        _box(colour, sheet, rng, _dull(rng, 0.22))
    if rng.uniform() < 0.45:
        glow = float(rng.uniform(0.85, 1.0))
        _box(colour, sheet, rng, (glow, glow, min(1.0, 1.03 * glow)))
    return colour


def _street(sheet: Sheet, rng: np.random.Generator) -> Colours:
    """Fronts of houses, sky, and lamps as discs of light."""
    level = float(rng.uniform(-70, 20))
    dusk = float(rng.uniform(0.15, 1))
    colour = filled((0.30 * dusk, 0.29 * dusk, 0.29 * dusk), sheet)
    lay(colour, (0.72 * dusk, 0.8 * dusk, 0.9 * dusk), soft(sheet.y - level, 30))
    for _ in range(int(rng.integers(3, 8))):
        tone = _dull(rng, 0.12)
        _box(colour, sheet, rng, (tone[0] * dusk, tone[1] * dusk, tone[2] * dusk))
    for _ in range(int(rng.integers(0, 9))):
        x, y = rng.uniform(-90, 90), rng.uniform(-90, 60)
        disc = soft(np.hypot(sheet.x - x, sheet.y - y) - float(rng.uniform(3, 9)), 3)
        lay(colour, (1.0, 0.9, float(rng.uniform(0.5, 0.95))), float(rng.uniform(0.2, 0.8)) * disc)
    return colour


def _garden(sheet: Sheet, rng: np.random.Generator) -> Colours:
    """Leaves, and sky between them."""
    green = float(rng.uniform(0.22, 0.5))
    warm = float(rng.uniform(0.6, 1.15))
    colour = filled((green * warm, green, 0.45 * green), sheet)
    _stain(colour, sheet, rng, 0.35)
    texture = Texture.drawn(int(rng.integers(2**31)), 32)
    gaps = texture.at(sheet.x * 0.08 + 3, sheet.y * 0.08 + 9) - sheet.y / 60
    lay(colour, (0.82, 0.88, 0.92), np.clip(gaps - float(rng.uniform(0.3, 2.5)), 0, 1))
    return colour


def _box(colour: Colours, sheet: Sheet, rng: np.random.Generator, tone: Rgb) -> None:
    x, y = rng.uniform(-90, 90, 2)
    wide, tall = rng.uniform(8, 45, 2)
    away = np.maximum(np.abs(sheet.x - x) - wide, np.abs(sheet.y - y) - tall)
    lay(colour, tone, soft(away, 2))


def _stain(colour: Colours, sheet: Sheet, rng: np.random.Generator, strength: float) -> None:
    texture = Texture.drawn(int(rng.integers(2**31)), 32)
    coarse: Map = texture.at(sheet.x * 0.05 + 8, sheet.y * 0.05 + 8)
    tint(colour, strength * (coarse + 0.5 * texture.at(sheet.x * 0.17, sheet.y * 0.17)))


def _dull(rng: np.random.Generator, most: float) -> Rgb:
    """A colour as rooms and streets have it: mostly grey."""
    grey, strength = float(rng.uniform(0.08, 0.9)), float(rng.uniform(0, most))
    red, green, blue = np.clip(grey + strength * rng.uniform(-1, 1, 3), 0, 1)
    return float(red), float(green), float(blue)
