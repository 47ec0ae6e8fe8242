"""The colours of a face before any light falls on it: skin, eyes, mouth and nostrils."""

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
from common.synthetic.variation import Expression, Vector

_TONES = np.array([[0.89, 0.76, 0.70], [0.81, 0.66, 0.57], [0.61, 0.46, 0.37], [0.35, 0.26, 0.21]])


def skin_tone(person: Person) -> Rgb:
    """The colour of the skin in white light."""
    at = 3 * person.skin.melanin
    red, green, blue = (float(np.interp(at, range(4), _TONES[:, i])) for i in range(3))
    flush = 0.05 * person.skin.redness
    return red, green * (1 - flush), blue * (1 - 1.4 * flush)


def skin(person: Person, sheet: Sheet, texture: Texture) -> Colours:
    """Skin everywhere on the sheet: blush, mottling, pores, freckles, moles, tired eyes."""
    s = person.skin
    colour = filled(skin_tone(person), sheet)
    mottle = texture.at(sheet.x * 0.16 + 31, sheet.y * 0.16 + 31)
    pores = texture.at(sheet.x * 1.1 + 5, sheet.y * 1.1 + 5)
    tint(colour, 0.022 * mottle + (0.012 + 0.014 * s.age) * pores, (0.7, 1, 1))
    blush = bump(sheet.across - 22, sheet.y - 6, (9, 8)) + bump(sheet.x, sheet.y, (6, 5))
    tint(colour, -(0.25 + s.redness) * (1 - 0.6 * s.melanin) * blush, (0.02, 0.13, 0.12))
    tired = bump(sheet.across - person.eyes.spacing + 1, sheet.y - person.eyes.y - 5, (7, 2.5))
    tint(colour, -(0.08 + 0.14 * s.age) * tired, (0.8, 1, 0.9))
    lid = bump(sheet.across - person.eyes.spacing, sheet.y - person.eyes.y + 4, (8, 3))
    tint(colour, -0.1 * lid, (0.6, 1, 0.9))
    if s.freckles > 0:
        specks = np.clip(texture.at(sheet.x * 0.7, sheet.y * 0.7 + 9) - 0.9, 0, 1)
        tint(colour, -0.35 * min(1.0, s.freckles) * specks * np.clip(blush, 0, 1), (0.6, 1, 1.1))
    if s.age > 0.5:
        spots = np.clip(texture.at(sheet.x * 0.24 + 3, sheet.y * 0.24 + 50) - 1.4, 0, 1)
        tint(colour, -0.4 * (s.age - 0.5) * spots, (0.7, 1, 1.1))
    for x, y, radius in s.marks:
        off = np.hypot(sheet.x - x, sheet.y - y) - radius
        lay(colour, shaded(skin_tone(person), 0.35), 0.75 * soft(off, 0.8))
    return colour


def paint_eyes(
    colour: Colours, person: Person, expression: Expression, sheet: Sheet, lamp: Vector
) -> Map:
    """White, iris, pupil, lashes and lids on both sides; returns the glint of the lamp (H, W)."""
    e = person.eyes
    out, y = sheet.across - e.spacing, sheet.y - e.y
    y = y + out * np.float32(np.tan(e.tilt))
    inside = np.clip(1 - (out / e.width) ** 2, 0, 1)
    smile = max(0.0, expression.smile)
    opening = e.height * expression.lids * (1 - 0.14 * smile)
    upper = -opening * (1 - 0.25 * e.hood) * inside**0.55
    lower = opening * (0.62 - 0.18 * smile) * inside**0.9
    within = soft(np.maximum(upper - y, y - lower), 0.9) * (np.abs(out) < e.width)
    lay(colour, (0.77, 0.74, 0.72), within)
    tint(colour, -0.3 * within * np.clip(np.abs(out) / e.width - 0.35, 0, 1), (0.5, 1, 1))
    tint(colour, -0.34 * within * np.clip(1 - (y - upper) / 2.4, 0, 1))
    across = out - expression.gaze[0] * np.sign(sheet.x)
    down = y - expression.gaze[1] + 0.3
    radius = np.hypot(across, down)
    lay(colour, shaded(e.colour, 0.4), within * soft(radius - e.iris, 0.9))
    lay(colour, e.colour, within * soft(radius - 0.82 * e.iris, 1.0))
    lay(colour, shaded(e.colour, 1.35), 0.5 * within * bump(across, down - 1.6, (1.6, 0.9)))
    lay(colour, (0.02, 0.02, 0.02), within * soft(radius - 0.44 * e.iris, 0.8))
    tint(colour, -0.35 * within * np.clip(1 - (y - upper) / 1.4, 0, 1))
    near = soft(np.abs(out) - e.width - 0.4, 1.0)
    lash = soft(np.abs(y - upper + 0.2) - 0.35 - 0.35 * np.clip(out / e.width, 0, 1), 1.0)
    lay(colour, (0.07, 0.05, 0.04), 0.85 * near * lash)
    lay(colour, (0.42, 0.24, 0.2), 0.35 * near * soft(np.abs(y - lower - 0.2) - 0.3, 1.1))
    lay(colour, (0.72, 0.42, 0.38), 0.6 * within * bump(out + e.width - 0.8, y - 0.3, (0.9, 0.9)))
    crease = upper - 1.7 - 1.3 * (1 - e.hood)
    tint(colour, -0.34 * (0.4 + 0.6 * e.hood) * near * soft(np.abs(y - crease) - 0.3, 1.5))
    side = lamp[0] * np.sign(sheet.x)
    at = across - 1.5 * side, down - 1.5 * lamp[1]
    glint = within * bump(*at, (0.75, 0.75)) * np.float32(lamp[2] > 0.2)
    return np.asarray(glint, np.float32)


def mouth_lines(person: Person, expression: Expression, x: Map) -> tuple[Map, Map, Map, Map]:
    """Heights (H, W) of the four edges: top of the lips, both edges of the gap, bottom."""
    m = person.mouth
    smile = expression.smile * (1 + 0.6 * expression.lean * np.tanh(x / 5))
    smile = smile.astype(np.float32)
    u = np.clip(np.abs(x) / mouth_width(person, expression), 0, 1)
    full = 1 - u**2
    glad = np.clip(smile, 0, None)
    line = m.y + 1.0 * glad - (m.curve + 4.0 * smile) * u**2
    gap = np.maximum(8.5 * expression.open, np.clip(5 * (smile - 0.5), 0, 4)) * full**0.7
    notch = m.bow * np.exp(-((u / 0.16) ** 2))
    top = line - 0.25 * gap - m.upper * (1 - 0.25 * glad) * full**0.75 + notch * (u < 0.9)
    bottom = line + 0.75 * gap + m.lower * (1 - 0.2 * glad) * full**0.6
    return top, line - 0.25 * gap, line + 0.75 * gap, bottom


def mouth_width(person: Person, expression: Expression) -> float:
    """Half the width of the mouth: a smile stretches it, speaking narrows it."""
    change = 0.16 * expression.smile - 0.14 * expression.open - 0.3 * expression.pucker
    return person.mouth.width * (1 + change)


def paint_mouth(colour: Colours, person: Person, expression: Expression, sheet: Sheet) -> None:
    """Lips, and teeth and dark where the mouth is open."""
    y, width = sheet.y, mouth_width(person, expression)
    top, upper, lower, bottom = mouth_lines(person, expression, sheet.x)
    ends = soft(sheet.across - width, 1.2)
    red, green, blue = skin_tone(person)
    rosy = 0.4 + 0.55 * person.mouth.redness
    lips = ends * soft(np.maximum(top - y, y - bottom), 1.5)
    lay(colour, (0.9 * red, 0.62 * green, 0.62 * blue), rosy * lips)
    tint(colour, -0.14 * lips * (y < upper))
    tint(colour, 0.12 * lips * bump(sheet.x, y - 0.5 * (lower + bottom), (7, 1.2)))
    gap = ends * soft(np.maximum(upper - y, y - lower), 0.9)
    lay(colour, (0.17, 0.06, 0.05), gap)
    lay(colour, (0.55, 0.27, 0.25), gap * bump(sheet.x, y - lower + 0.5, (0.5 * width, 1.6)))
    teeth = gap * soft(y - upper - 3.2, 1.2) * soft(sheet.across - 0.8 * width, 3.0)
    lay(colour, (0.88, 0.85, 0.79), 0.95 * teeth)
    tint(colour, -0.25 * teeth * np.clip(sheet.across / width, 0, 1) ** 2)
    seam = ends * soft(np.abs(y - 0.5 * (upper + lower)) - 0.3, 1.3)
    lay(colour, (0.25, 0.1, 0.09), 0.6 * seam * (upper > lower - 1.2))
    corner = bump(sheet.across - width, y - 0.5 * (upper + lower), (1.3, 1.1))
    tint(colour, -0.35 * corner)


def paint_nostrils(colour: Colours, person: Person, sheet: Sheet) -> None:
    """Two dark hollows under the tip, and the shade beside the wings."""
    n = person.nose
    hole = bump(sheet.across - 0.48 * n.wings, sheet.y - n.tip_y - 3.8, (1.7, 0.9 + 0.15 * n.turn))
    lay(colour, (0.16, 0.07, 0.06), 0.72 * hole)
    wing = bump(sheet.across - n.wings - 0.3, sheet.y - n.tip_y - 1.5, (0.8, 2.4))
    tint(colour, -0.22 * wing)
