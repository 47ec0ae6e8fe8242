"""What frames a face: hair, ears, neck, clothes, glasses and the background behind them."""

import math

import numpy as np

from common.synthetic.canvas import (
    Colours,
    Map,
    Sheet,
    Texture,
    bump,
    filled,
    lay,
    shaded,
    soft,
    tint,
)
from common.synthetic.people import Person, Rgb
from common.synthetic.variation import Variation

_REACH = {"bald": -26.0, "short": -14.0, "side": -12.0, "fringe": -8.0, "long": 90.0, "curly": 4.0}


def hair_masks(
    person: Person, variation: Variation, sheet: Sheet, outside: Map, texture: Texture
) -> tuple[Map, Map]:
    """Coverage of the hair behind the face and of the hair in front of it.

    ``outside`` (H, W) is the distance from the outline of the head, negative within.
    """
    h = person.hair
    x, y = sheet.x - variation.hair_shift[0], sheet.y - variation.hair_shift[1]
    rag = texture.at(x * 0.35 + 11, y * 0.35 + 3) * (0.6 + 1.8 * h.wave)
    volume = h.volume * variation.hair_volume + (5 if h.style == "curly" else 0)
    if h.style == "bald":
        volume, rag = 0.3, 0.3 * rag
    low = _REACH[h.style] + 2 * rag
    behind = soft(outside - volume + rag * (2.2 if h.style == "curly" else 0.7), 2.5)
    if h.style == "long":
        fall = np.abs(x) - person.outline.cheek - 0.8 * volume + rag
        behind = np.maximum(behind, soft(fall, 2.5) * soft(-20 - y, 10))
    behind *= soft(y - low, 6)
    front = behind * soft(y - _hairline(person, x, y) + 0.6 * rag, 2.2)
    if h.style == "bald":
        front = 0.4 * front * soft(-30 - y, 8)
        behind = front
    return behind, front


def _hairline(person: Person, x: Map, y: Map) -> Map:
    """How far down the hair reaches on the forehead and in front of the ears (H, W)."""
    h, across = person.hair, np.abs(x)
    edge = 0.8 * person.outline.temple
    line = h.line_y - h.recede * bump(across - 0.55 * edge, 0 * y, (7, 1))
    if h.style == "fringe":
        line = line + 15 - 0.004 * x**2
    elif h.style == "side":
        line = (
            line + 5 + 0.16 * x * np.sign(h.parting) - 5 * bump(x - 14 * h.parting, 0 * y, (5, 1))
        )
    elif h.style == "long":
        line = line + 0.006 * (x - 10 * h.parting) ** 2
    sides = np.clip((across - edge) / 6, 0, 1)
    return np.asarray(line + sides**2 * 150, np.float32)


def hair_colour(person: Person, variation: Variation, sheet: Sheet, texture: Texture) -> Colours:
    """Strands that run from the parting outwards."""
    h = person.hair
    x, y = sheet.x - 16 * h.parting - variation.hair_shift[0], sheet.y + 62
    along = np.arctan2(x, y + 25) * 14
    away = np.hypot(x, y) * (0.05 + 0.12 * h.wave)
    strands = texture.at(along + 32, away) + 0.6 * texture.at(2.7 * along + 7, 1.5 * away + 17)
    colour = filled(h.colour, sheet)
    tint(colour, 0.24 * strands)
    colour += 0.03 * np.clip(strands, 0, None)
    return colour


def paint_ears(colour: Colours, person: Person, sheet: Sheet, tone: Rgb) -> Map:
    """Both ears; returns their coverage (H, W)."""
    x, y = (sheet.across - person.outline.cheek - 1.5) / 5.5, (sheet.y + 9) / 10.5
    ear = soft((np.hypot(x, y) - 1) * 6, 1.2)
    lay(colour, shaded(tone, 0.93), ear)
    tint(colour, -0.35 * bump(x * 5.5, y * 10.5, (1.8, 5)) * ear)
    return ear


def paint_body(
    colour: Colours, person: Person, sheet: Sheet, tone: Rgb, rng: np.random.Generator
) -> Map:
    """Neck and clothes; returns their coverage."""
    o = person.outline
    neck = soft(sheet.across - 0.78 * o.jaw - 0.02 * (sheet.y - 50) ** 2 * (sheet.y > 50), 1.5)
    neck = neck * soft(12 - sheet.y, 4)
    lay(colour, shaded(tone, 0.8), neck)
    collar = o.chin_y + 6 + float(rng.uniform(0, 5)) - 0.14 * sheet.across - 0.004 * sheet.x**2
    collar = np.where(sheet.across < 20, collar + 10 * (1 - sheet.across / 20), collar)
    cloth = soft(collar - sheet.y, 1.5)
    lay(colour, _dull(rng), cloth)
    return np.maximum(neck, cloth)


def paint_glasses(colour: Colours, person: Person, sheet: Sheet, glare: float) -> None:
    """Frames over lit skin; ``glare`` from 0 to 1 whitens the glass."""
    g, e = person.glasses, person.eyes
    x, y = sheet.across - e.spacing - 0.8, sheet.y - e.y - 1.8
    power = {"round": 2.2, "square": 5.0, "half": 4.0, "none": 2.0}[g.frame]
    around = (np.abs(x / g.width) ** power + np.abs(y / g.height) ** power) ** (1 / power)
    edge = (around - 1) * min(g.width, g.height)
    lens = soft(edge, 1.0)
    streak = soft(np.abs(x + 0.7 * y + 3) - 2.5, 2.5)
    lay(colour, (0.9, 0.93, 0.97), lens * (0.05 + 0.4 * glare * streak))
    rim = soft(np.abs(edge) - 0.5 * g.thickness, 0.9)
    if g.frame == "half":
        rim = rim * soft(y - 1, 3)
    bridge = soft(np.abs(y + 3 + 0.1 * x) - 0.5 * g.thickness, 0.9) * (x < -g.width + 0.6)
    arms = soft(np.abs(y + 4) - 0.6 * g.thickness, 0.9) * (x > g.width - 0.6)
    arms = arms * soft(sheet.across - person.outline.cheek - 3, 1.5)
    lay(colour, g.colour, np.maximum(np.maximum(rim, bridge), arms))


def background(screen: Sheet, rng: np.random.Generator) -> Colours:
    """A wall, a gradient and a few blurred things."""
    texture = Texture.drawn(int(rng.integers(2**31)), 16)
    angle = float(rng.uniform(0, 2 * np.pi))
    mix = 0.5 + (screen.x * math.cos(angle) + screen.y * math.sin(angle)) / 180
    stain = float(rng.uniform(0, 0.3))
    mix = mix + stain * texture.at(screen.x * 0.06 + 8, screen.y * 0.06 + 8)
    colour = filled(_dull(rng), screen)
    lay(colour, _dull(rng), np.clip(mix, 0, 1))
    for _ in range(int(rng.integers(0, 4))):
        cx, cy = rng.uniform(-70, 70, 2)
        width, height = rng.uniform(6, 40, 2)
        away = np.maximum(np.abs(screen.x - cx) - width, np.abs(screen.y - cy) - height)
        lay(colour, _dull(rng), soft(away, float(rng.uniform(1, 8))))
    return colour


def _dull(rng: np.random.Generator) -> Rgb:
    """A colour as rooms and streets have it: mostly grey."""
    grey, strength = float(rng.uniform(0.05, 0.95)), float(rng.uniform(0, 0.35))
    red, green, blue = np.clip(grey + strength * rng.uniform(-1, 1, 3), 0, 1)
    return float(red), float(green), float(blue)
