"""The colours of a face before any light falls on it: skin, eyes, brows, mouth and beard."""

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
from common.synthetic.variation import Expression

_TONES = np.array([[0.88, 0.73, 0.65], [0.80, 0.61, 0.49], [0.60, 0.41, 0.30], [0.31, 0.21, 0.16]])


def skin_tone(person: Person) -> Rgb:
    """The colour of the skin in white light."""
    at = 3 * person.skin.melanin
    red, green, blue = (float(np.interp(at, range(4), _TONES[:, i])) for i in range(3))
    flush = 0.05 * person.skin.redness
    return red, green * (1 - flush), blue * (1 - 1.4 * flush)


def skin(person: Person, sheet: Sheet, texture: Texture) -> Colours:
    """Skin everywhere on the sheet: blush, mottling, freckles, moles, tired eyes."""
    s = person.skin
    colour = filled(skin_tone(person), sheet)
    mottle = texture.at(sheet.x * 0.22 + 31, sheet.y * 0.22 + 31)
    tint(colour, 0.02 * mottle + 0.012 * texture.at(sheet.x * 0.9 + 5, sheet.y * 0.9 + 5))
    blush = bump(sheet.across - 24, sheet.y - 4, (9, 8)) + bump(sheet.x, sheet.y, (6, 5))
    tint(colour, -s.redness * (1 - 0.6 * s.melanin) * blush, (0.02, 0.13, 0.12))
    tired = bump(sheet.across - person.eyes.spacing + 1, sheet.y - person.eyes.y - 4, (7, 2.5))
    tint(colour, -(0.08 + 0.12 * s.age) * tired, (0.8, 1, 0.9))
    if s.freckles > 0:
        specks = np.clip(texture.at(sheet.x * 0.7, sheet.y * 0.7 + 9) - 0.9, 0, 1)
        tint(colour, -0.35 * min(1.0, s.freckles) * specks * np.clip(blush, 0, 1), (0.6, 1, 1.1))
    for x, y, radius in s.marks:
        off = np.hypot(sheet.x - x, sheet.y - y) - radius
        lay(colour, (0.2, 0.12, 0.09), 0.75 * soft(off, 0.8))
    return colour


def paint_eyes(colour: Colours, person: Person, expression: Expression, sheet: Sheet) -> None:
    """White, iris, pupil, lashes and the crease of the lid, on both sides."""
    e = person.eyes
    out = sheet.across - e.spacing
    y = sheet.y - e.y + out * np.float32(np.tan(e.tilt))
    inside = np.clip(1 - (out / e.width) ** 2, 0, 1)
    opening = e.height * expression.lids * (1 - 0.12 * max(0.0, expression.smile))
    upper = -opening * (1 - 0.25 * e.hood) * inside**0.7
    lower = opening * (0.62 - 0.15 * max(0.0, expression.smile)) * inside
    within = soft(np.maximum(upper - y, y - lower), 0.9) * (np.abs(out) < e.width)
    lay(colour, (0.82, 0.79, 0.77), within)
    tint(colour, -0.28 * within * np.clip(1 - (y - upper) / 2.2, 0, 1))
    across = out - expression.gaze[0] * np.sign(sheet.x)
    radius = np.hypot(across, y - expression.gaze[1] + 0.3)
    lay(colour, shaded(e.colour, 0.45), within * soft(radius - e.iris, 0.9))
    lay(colour, e.colour, within * soft(radius - 0.8 * e.iris, 1.0))
    lay(colour, (0.03, 0.03, 0.03), within * soft(radius - 0.42 * e.iris, 0.8))
    near = soft(np.abs(out) - e.width - 0.4, 1.0)
    lay(colour, (0.09, 0.06, 0.05), 0.8 * near * soft(np.abs(y - upper) - 0.45, 0.9))
    lay(colour, (0.35, 0.2, 0.16), 0.3 * near * soft(np.abs(y - lower - 0.2) - 0.25, 1.0))
    crease = upper - 1.6 - 1.2 * (1 - e.hood)
    tint(colour, -0.3 * (0.4 + 0.6 * e.hood) * near * soft(np.abs(y - crease) - 0.3, 1.4))


def paint_brows(
    colour: Colours, person: Person, expression: Expression, sheet: Sheet, texture: Texture
) -> None:
    """Two tapering strips in the colour of the hair, a shade darker."""
    b, e = person.brows, person.eyes
    out = (sheet.across - e.spacing - 0.5) / b.length
    raised = 2.4 * expression.brows * (1 if expression.brows > 0 else 0.5)
    centre = e.y - b.above - raised - b.arch * (1 - (out - 0.3) ** 2) - b.tilt * b.length * out
    thick = b.thickness * (1 - 0.5 * np.clip(out, 0, 1))
    hairs = 0.8 + 0.25 * texture.at(sheet.x * 1.1 + 20, sheet.y * 0.6)
    cover = soft(np.abs(sheet.y - centre) - 0.6 * thick, 1.3) * soft((np.abs(out) - 1) * 10, 3.0)
    lay(colour, shaded(person.hair.colour, 0.7), np.clip(b.density * hairs * cover, 0, 1))


def mouth_lines(person: Person, expression: Expression, x: Map) -> tuple[Map, Map, Map, Map]:
    """Heights (H, W) of the four edges: top of the lips, both edges of the gap, bottom."""
    m = person.mouth
    smile = expression.smile
    u = np.clip(np.abs(x) / mouth_width(person, expression), 0, 1)
    full = 1 - u**2
    line = m.y + 1.0 * max(0.0, smile) - (m.curve + 4.0 * smile) * u**2
    gap = np.float32(max(6.5 * expression.open, 5 * (smile - 0.6), 0.0)) * full**0.7
    notch = m.bow * np.exp(-((u / 0.16) ** 2))
    top = (
        line - 0.25 * gap - m.upper * (1 - 0.25 * max(0.0, smile)) * full**0.75 + notch * (u < 0.9)
    )
    bottom = line + 0.75 * gap + m.lower * (1 - 0.2 * max(0.0, smile)) * full**0.6
    return top, line - 0.25 * gap, line + 0.75 * gap, bottom


def mouth_width(person: Person, expression: Expression) -> float:
    """Half the width of the mouth: a smile stretches it, speaking narrows it."""
    return person.mouth.width * (1 + 0.16 * expression.smile - 0.12 * expression.open)


def paint_mouth(colour: Colours, person: Person, expression: Expression, sheet: Sheet) -> None:
    """Lips, and teeth and dark where the mouth is open."""
    y, width = sheet.y, mouth_width(person, expression)
    top, upper, lower, bottom = mouth_lines(person, expression, sheet.x)
    ends = soft(sheet.across - width, 1.2)
    red, green, blue = skin_tone(person)
    rosy = 0.35 + 0.6 * person.mouth.redness
    lips = ends * soft(np.maximum(top - y, y - bottom), 1.3)
    lay(colour, (0.92 * red, 0.66 * green, 0.64 * blue), rosy * lips)
    tint(colour, -0.12 * lips * (y < upper))
    gap = ends * soft(np.maximum(upper - y, y - lower), 0.9)
    lay(colour, (0.16, 0.06, 0.05), gap)
    teeth = gap * soft(y - upper - 2.8, 1.0) * soft(sheet.across - 0.75 * width, 2.0)
    lay(colour, (0.86, 0.83, 0.77), 0.95 * teeth)
    seam = ends * soft(np.abs(y - 0.5 * (upper + lower)) - 0.3, 1.1)
    lay(colour, (0.22, 0.09, 0.08), 0.65 * seam * (upper > lower - 1.2))


def paint_nostrils(colour: Colours, person: Person, sheet: Sheet) -> None:
    """Two dark hollows under the tip, and the shade beside the wings."""
    n = person.nose
    hole = bump(sheet.across - 0.48 * n.wings, sheet.y - n.tip_y - 3.6, (1.5, 0.9))
    lay(colour, (0.18, 0.09, 0.07), 0.7 * hole)
    wing = bump(sheet.across - n.wings - 0.3, sheet.y - n.tip_y - 1.5, (0.8, 2.4))
    tint(colour, -0.22 * wing)


def paint_beard(colour: Colours, person: Person, sheet: Sheet, texture: Texture) -> None:
    """Stubble, moustache, goatee or full beard, ragged by the texture."""
    h, m, kind = person.hair, person.mouth, person.hair.beard
    if kind == "none":
        return
    rag = 1.2 * texture.at(sheet.x * 0.6, sheet.y * 0.6 + 40)
    x, y = sheet.across, sheet.y
    above = np.maximum(person.nose.tip_y + 6 + 0.06 * x - y, y - m.y - 1) + rag
    moustache = soft(above, 3) * soft(x - m.width - 2 + rag, 3)
    side = m.y - 8 - 0.012 * np.clip(x - 12, 0, None) ** 2.1
    jaw = soft(side - y + rag, 5) * soft(8 - np.hypot(x / 1.7, y - m.y) + 0.5 * rag, 3)
    chin = soft(x - m.width - 1 + rag, 4) * soft(m.y + m.lower + 3 - y + rag, 3)
    parts: dict[str, Map] = {
        "moustache": moustache,
        "goatee": np.maximum(moustache, chin),
        "full": np.maximum(np.maximum(moustache, jaw), chin),
        "stubble": 0.45 * np.maximum(np.maximum(moustache, jaw), chin),
    }
    hairs = np.clip(0.8 + 0.3 * texture.at(sheet.x * 1.4, sheet.y * 0.5), 0, 1)
    lay(colour, shaded(h.colour, 0.85), np.clip(h.beard_density * hairs * parts[kind], 0, 1))
