"""Places for whole scenes: a room with shelves and windows, a street, a park."""

import cv2
import numpy as np

from common.synthetic.canvas import Colours, Sheet, Texture, filled, lay, soft, tint
from common.synthetic.people import Rgb


def panorama(screen: Sheet, rng: np.random.Generator) -> Colours:
    """A place a little out of focus (3, H, W), as a camera shows it; ``screen`` is in pixels."""
    half = Sheet(screen.x[::2, ::2].copy(), screen.y[::2, ::2].copy())
    place = (_room, _street, _park)[int(rng.integers(3))]
    colour = np.ascontiguousarray(place(half, rng).transpose(1, 2, 0))
    away = float(rng.uniform(1.2, 3.5)) * half.x.shape[0] / 480
    size = screen.x.shape[1], screen.x.shape[0]
    large = cv2.resize(cv2.GaussianBlur(colour, (0, 0), away), size)
    return np.clip(np.ascontiguousarray(large.transpose(2, 0, 1), np.float32), 0, 1)


def _room(sheet: Sheet, rng: np.random.Generator) -> Colours:
    """A wall over a skirting and a floor, with a window, pictures and shelves of books."""
    colour = filled(_tone(rng, 0.45, 0.85, 0.08), sheet)
    tint(colour, (sheet.x * float(rng.uniform(-1, 1)) - sheet.y) / 500)
    floor = float(rng.uniform(70, 95))
    lay(colour, _tone(rng, 0.2, 0.5, 0.1), soft(floor - sheet.y, 1.5))
    lay(colour, (0.85, 0.84, 0.82), soft(np.abs(sheet.y - floor) - 2.5, 1))
    x = float(rng.uniform(-150, -110))
    while x < 150:
        wide = float(rng.uniform(28, 60))
        thing = (_shelf, _window, _frame, None)[int(rng.integers(4))]
        if thing is not None:
            thing(colour, sheet, rng, (x + wide / 2, wide / 2))
        x += wide + float(rng.uniform(4, 25))
    return colour


def _shelf(
    colour: Colours, sheet: Sheet, rng: np.random.Generator, at: tuple[float, float]
) -> None:
    x, half = at
    wood = _tone(rng, 0.2, 0.5, 0.06)
    _box(colour, sheet, (x, 10, half, 70), (wood[0], 0.85 * wood[1], 0.7 * wood[2]))
    for row in range(5):
        y = -48 + 26.0 * row
        _box(colour, sheet, (x, y + 2, half - 2, 10), (0.1, 0.09, 0.08))
        left = x - half + 3
        while left < x + half - 5:
            book = float(rng.uniform(2, 4.5))
            tall = float(rng.uniform(6, 9.5))
            _box(colour, sheet, (left, y + 12 - tall, book / 2, tall), _tone(rng, 0.15, 0.8, 0.3))
            left += book + 0.4


def _window(
    colour: Colours, sheet: Sheet, rng: np.random.Generator, at: tuple[float, float]
) -> None:
    x, half = at
    day = float(rng.uniform(0.5, 1.0))
    _box(colour, sheet, (x, -30, half, 48), (0.9, 0.89, 0.87))
    for side in (-0.5, 0.5):
        for y in (-52, -8):
            pane = (x + side * half, y, 0.42 * half, 19.0)
            _box(colour, sheet, pane, (0.85 * day, 0.93 * day, min(1.0, 1.02 * day)))


def _frame(
    colour: Colours, sheet: Sheet, rng: np.random.Generator, at: tuple[float, float]
) -> None:
    x, half = at
    y, tall = float(rng.uniform(-60, -20)), float(rng.uniform(14, 28))
    _box(colour, sheet, (x, y, 0.8 * half, tall), _tone(rng, 0.1, 0.5, 0.1))
    _box(colour, sheet, (x, y, 0.8 * half - 3, tall - 3), _tone(rng, 0.6, 0.9, 0.1))
    _box(colour, sheet, (x, y + 4, 0.5 * half, 0.5 * tall), _tone(rng, 0.3, 0.7, 0.25))


def _street(sheet: Sheet, rng: np.random.Generator) -> Colours:
    """Houses with rows of windows under a sky, and a pavement."""
    day = float(rng.uniform(0.35, 1))
    colour = filled((0.68 * day, 0.79 * day, 0.93 * day), sheet)
    tint(colour, (sheet.y + 60) / 500)
    x, ground = -160.0, float(rng.uniform(60, 90))
    while x < 160:
        half = float(rng.uniform(18, 42))
        top = float(rng.uniform(-130, -35))
        wall = _tone(rng, 0.3, 0.75, 0.12)
        wall = (wall[0] * day, 0.95 * wall[1] * day, 0.9 * wall[2] * day)
        middle, tall = 0.5 * (top + ground), 0.5 * (ground - top)
        _box(colour, sheet, (x + half, middle, half, tall), wall)
        u, v = (sheet.x - x) % 11 - 5.5, (sheet.y - top) % 17 - 8.5
        panes = soft(np.maximum(np.abs(u) - 2.8, np.abs(v) - 4.8), 1)
        inside = soft(np.abs(sheet.x - x - half) - half + 3, 1) * soft(top + 6 - sheet.y, 1)
        lit = (0.95, 0.8, 0.5) if day < 0.55 else (0.2, 0.24, 0.3)
        lay(colour, lit, 0.85 * panes * inside * soft(sheet.y - ground + 18, 1))
        x += 2 * half
    lay(colour, (0.4 * day, 0.39 * day, 0.38 * day), soft(ground - sheet.y, 2))
    return colour


def _park(sheet: Sheet, rng: np.random.Generator) -> Colours:
    """Grass, trunks, and leaves with sky between them."""
    day = float(rng.uniform(0.6, 1))
    leaves = Texture.drawn(int(rng.integers(2**31)))
    colour = filled((0.75 * day, 0.85 * day, 0.95 * day), sheet)
    ground = float(rng.uniform(10, 50))
    green = float(rng.uniform(0.25, 0.45))
    lay(colour, (0.9 * green, 1.25 * green, 0.4 * green), soft(ground - sheet.y, 3))
    tint(colour, 0.08 * leaves.at(sheet.x * 0.4, sheet.y * 0.9) * (sheet.y > ground))
    for _ in range(int(rng.integers(3, 8))):
        x, half = float(rng.uniform(-140, 140)), float(rng.uniform(2, 6))
        foot = ground + float(rng.uniform(0, 25))
        _box(colour, sheet, (x, foot - 60, half, 60), (0.26 * day, 0.2 * day, 0.15 * day))
    cloud = leaves.at(sheet.x * 0.045, sheet.y * 0.045) + 0.6 * leaves.at(
        sheet.x * 0.16 + 9, sheet.y * 0.16
    )
    crown = np.clip(cloud * 0.8 + (ground - 35 - sheet.y) / 45, 0, 1)
    hue = filled((0.75 * green * day, green * day, 0.35 * green * day), sheet)
    tint(hue, 0.3 * leaves.at(sheet.x * 0.3 + 20, sheet.y * 0.3))
    lay(colour, hue, crown)
    return colour


def _box(
    colour: Colours, sheet: Sheet, where: tuple[float, float, float, float], tone: Rgb
) -> None:
    """A rectangle given by its middle and half its sides."""
    x, y, wide, tall = where
    lay(colour, tone, soft(np.maximum(np.abs(sheet.x - x) - wide, np.abs(sheet.y - y) - tall), 1))


def _tone(rng: np.random.Generator, low: float, high: float, strength: float) -> Rgb:
    grey = float(rng.uniform(low, high))
    red, green, blue = np.clip(grey + strength * rng.uniform(-1, 1, 3), 0, 1)
    return float(red), float(green), float(blue)
