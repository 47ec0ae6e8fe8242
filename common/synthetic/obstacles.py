"""What gets between a face and the camera: a hand, a microphone, a telephone."""

import math
from dataclasses import dataclass

import numpy as np

from common.synthetic.canvas import Colours, Map, Sheet, soft
from common.synthetic.paint import skin_tone
from common.synthetic.people import Person, Rgb
from common.synthetic.variation import Variation


@dataclass(frozen=True, slots=True)
class _Rod:
    """A round rod on the screen, from ``start`` to ``end``, thick at both ends as told."""

    start: tuple[float, float]
    end: tuple[float, float]
    radius: tuple[float, float]
    colour: Rgb  # linear


def paint_obstacle(picture: Colours, person: Person, variation: Variation, screen: Sheet) -> None:
    """Paints whatever the picture's obstacle is, in linear intensity; masks are painted before."""
    rng = np.random.default_rng(variation.scene + 1)
    rods = {"hand": _hand, "microphone": _microphone, "telephone": _telephone}
    draw = rods.get(variation.obstacle)
    if draw is None:
        return
    for rod in draw(person, rng):
        _paint(picture, screen, rod, variation)


def _hand(person: Person, rng: np.random.Generator) -> list[_Rod]:
    """A palm from below and four fingers on cheek, chin or mouth."""
    red, green, blue = (0.95 * c**2.2 for c in skin_tone(person))
    skin = red, green, blue
    side = float(rng.choice([-1, 1]))
    x, y = side * float(rng.uniform(4, 26)), float(rng.uniform(14, 30))
    lean = side * float(rng.uniform(0.05, 0.5))
    palm = _Rod((x + side * 8, y + 46), (x + side * 2, y + 17), (12, 12), skin)
    rods = [palm]
    for finger in range(4):
        start = x + 6.3 * (finger - 1.5) + side * 2, y + 14
        reach = (19, 23, 21, 15)[finger] + float(rng.uniform(-2, 2))
        angle = -lean + 0.05 * (finger - 1.5)
        end = start[0] + reach * math.sin(angle), start[1] - reach * math.cos(angle)
        rods.append(_Rod(start, end, (3.9, 3.1), skin))
    return rods


def _microphone(person: Person, rng: np.random.Generator) -> list[_Rod]:
    side = float(rng.choice([-1, 1]))
    x, y = side * float(rng.uniform(0, 10)), person.mouth.y + float(rng.uniform(4, 10))
    foot = x + side * float(rng.uniform(5, 25)), y + 50
    grey = float(rng.uniform(0.02, 0.12))
    handle = _Rod((x + 0.1 * (foot[0] - x), y + 6), foot, (4.5, 3.6), (0.02, 0.02, 0.022))
    return [handle, _Rod((x, y), (x, y), (8.5, 8.5), (grey, grey, grey))]


def _telephone(person: Person, rng: np.random.Generator) -> list[_Rod]:
    """Held against an ear, and the hand that holds it."""
    side = float(rng.choice([-1, 1]))
    x = side * (person.outline.cheek - float(rng.uniform(-2, 7)))
    body = _Rod((x + side, -24), (x - side * 7, 26), (6.5, 6.5), (0.015, 0.016, 0.02))
    red, green, blue = (0.95 * c**2.2 for c in skin_tone(person))
    fingers = [
        _Rod((x + side * 10, 2 + 7.2 * i), (x - side * 8, 4 + 7 * i), (4, 3.2), (red, green, blue))
        for i in range(4)
    ]
    return [body, *fingers]


def _paint(picture: Colours, screen: Sheet, rod: _Rod, variation: Variation) -> None:
    """One rod, with a soft shadow around it."""
    (x0, y0), (x1, y1) = rod.start, rod.end
    u, v = x1 - x0, y1 - y0
    along = ((screen.x - x0) * u + (screen.y - y0) * v) / max(u * u + v * v, 1e-6)
    along = np.clip(along, 0, 1)
    dx, dy = screen.x - x0 - along * u, screen.y - y0 - along * v
    radius = rod.radius[0] + (rod.radius[1] - rod.radius[0]) * along
    away = np.hypot(dx, dy)
    picture *= 1 - 0.4 * np.exp(-np.clip(away - radius, 0, None) / 3) * (away > radius)
    bright = _brightness(dx / radius, dy / radius, variation)
    cover: Map = soft(away - radius, 1.2)
    for under, over in zip(picture, rod.colour, strict=True):
        under += (over * bright - under) * cover


def _brightness(x: Map, y: Map, variation: Variation) -> Map:
    light = variation.light
    z = np.sqrt(np.clip(1 - x * x - y * y, 0, 1))
    a, b, c = light.direction
    direct = np.clip((a * x + b * y + c * z + 0.25) / 1.25, 0, None)
    return np.asarray(0.8 * light.ambient + (1.15 - 0.6 * light.ambient) * direct, np.float32)
