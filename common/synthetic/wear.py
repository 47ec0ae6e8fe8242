"""What is worn: glasses, masks, hats and clothes, by their colours."""

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
from common.synthetic.solid import mask_cover
from common.synthetic.variation import Variation

_MASKS: tuple[Rgb, ...] = ((0.62, 0.78, 0.86), (0.9, 0.91, 0.92), (0.12, 0.12, 0.13))


def paint_ears(colour: Colours, person: Person, sheet: Sheet) -> None:
    """The hollow of both ears, a little redder than the rest."""
    aside = (sheet.across - person.outline.cheek) / person.outline.ears
    ear = soft(1.5 - aside, 2) * soft(np.abs(sheet.y + 8) - 15, 3)
    tint(colour, -0.12 * ear, (0.3, 1, 1))
    tint(colour, -0.45 * ear * bump(aside - 2.8, sheet.y + 5, (1.6, 4.5)))


def paint_mask(colour: Colours, person: Person, sheet: Sheet, scene: int) -> None:
    """A folded mask over nose and mouth, with its straps to the ears."""
    cover = mask_cover(person, sheet)
    tone = _MASKS[scene % len(_MASKS)]
    hue = filled(tone, sheet)
    tint(hue, 0.05 * np.sin(0.75 * (sheet.y - person.nose.tip_y)))
    tip = person.nose.tip_y
    for y, fall in ((tip - 4, 0.12), (person.outline.chin_y - 6, -0.7)):
        away = np.abs(sheet.y - y + fall * (sheet.across - 28)) - 0.4
        lay(colour, shaded(tone, 0.9), soft(away, 1) * soft(26 - sheet.across, 2))
    lay(colour, hue, cover)


def cloth(person: Person, variation: Variation, sheet: Sheet, depth: Map) -> Colours:
    """Colour of whatever cloth is at each point: hat above the mouth, scarf or clothes below."""
    texture = Texture.drawn(variation.scene, 32)
    looks, turn = variation.looks, variation.scene % 7
    body = filled(_other(looks.colour, variation.scene), sheet)
    weave = 0.05 * texture.at(sheet.x * 0.7, sheet.y * 0.7)
    tint(body, weave + (0.16 * np.sign(np.sin(sheet.y * 0.7)) if turn < 2 else 0))
    hat = filled(looks.colour, sheet)
    around = 40 * np.arctan2(sheet.x, depth + 12)
    if looks.hat == "beanie":
        tint(hat, 0.14 * np.sin(1.3 * around) + 0.05 * np.sin(1.9 * sheet.y))
    elif looks.hat == "cap":
        tint(hat, -0.25 * soft(np.abs(np.abs(sheet.x) - 13 + 0.1 * sheet.y) - 0.3, 1))
    else:
        tint(hat, 0.06 * texture.at(sheet.x * 0.12, sheet.y * 0.05))
    above = soft(sheet.y + 10, 4) if looks.hat != "headscarf" else np.ones_like(sheet.y)
    if variation.obstacle == "scarf":
        scarf = filled(_other(looks.colour, variation.scene // 7), sheet)
        tint(scarf, 0.16 * np.sin(0.9 * sheet.x + 0.3 * sheet.y) * np.sin(0.8 * sheet.y))
        lay(body, scarf, soft(sheet.y - person.outline.chin_y - 22, 3))
    lay(body, hat, above)
    return body


def paint_glasses(
    picture: Colours, person: Person, flat: Sheet, variation: Variation, glare: float
) -> None:
    """Lenses and bridge in the plane of the frame, over lit skin; in linear intensity."""
    g, e = person.glasses, person.eyes
    dark = variation.looks.eyewear == "sunglasses"
    wide, tall = (g.width + 0.5, g.height + 0.8) if dark else (g.width, g.height)
    x, y = flat.across - e.spacing - 0.6, flat.y - e.y - 1.8
    power = {"round": 2.2, "square": 5.0, "half": 4.0, "none": 3.0}[g.frame]
    around = (np.abs(x / wide) ** power + np.abs(y / tall) ** power) ** (1 / power)
    edge = (around - 1) * min(wide, tall)
    lens = soft(edge, 1.0)
    streak = soft(np.abs(flat.x + 0.7 * y + 3 - 9 * np.sign(flat.x)) - 2.5, 2.5)
    if dark:
        lay(picture, (0.012, 0.011, 0.012), lens * (0.93 - 0.25 * np.clip(y / tall, 0, 1)))
        lay(picture, (0.4, 0.45, 0.5), 0.25 * lens * np.clip(-y / tall, 0, 1))
    lay(picture, (0.8, 0.86, 0.93), lens * (0.015 + 0.5 * glare * streak))
    rim = soft(np.abs(edge) - 0.5 * g.thickness, 0.9)
    if g.frame == "half" and not dark:
        rim = rim * soft(y - 1, 3)
    bridge = soft(np.abs(y + 3 + 0.1 * x) - 0.5 * g.thickness, 0.9) * (x < -wide + 0.6)
    frame = np.maximum(rim, bridge)
    lay(picture, shaded(_linear(g.colour), 0.8), frame)
    lay(picture, (0.5, 0.5, 0.5), 0.25 * frame * soft(np.abs(edge + 0.2) - 0.1, 0.6))


def paint_arms(colour: Colours, person: Person, sheet: Sheet, depth: Map, edge: float) -> None:
    """The arms of glasses along the temples, from ``edge`` pixels off the middle to the ears."""
    g, y = person.glasses, sheet.y - person.eyes.y
    arms = soft(np.abs(y + 3.2 - 0.03 * (40 - depth)) - 0.7 * g.thickness, 0.9)
    lay(colour, g.colour, arms * soft(edge - sheet.across, 1.5) * soft(-6 - depth, 2))


def _linear(colour: Rgb) -> Rgb:
    red, green, blue = (c**2.2 for c in colour)
    return red, green, blue


def _other(colour: Rgb, seed: int) -> Rgb:
    """A colour that goes with ``colour``."""
    grey = 0.12 + 0.7 * (seed % 97) / 97
    return tuple(0.6 * grey + 0.4 * c for c in (colour[1], colour[2], colour[0]))  # type: ignore[return-value]
