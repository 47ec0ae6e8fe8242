"""Hair by its colour: strands on the head, brows, and beards."""

import numpy as np

from common.synthetic.canvas import Colours, Map, Sheet, Texture, filled, lay, shaded, soft, tint
from common.synthetic.people import Person, Rgb
from common.synthetic.variation import Expression

_GREY = (0.58, 0.57, 0.565)


def hair_tone(person: Person) -> Rgb:
    """The colour of somebody's hair with its grey."""
    h = person.hair
    red, green, blue = (c + (g - c) * 0.9 * h.grey for c, g in zip(h.colour, _GREY, strict=True))
    return red, green, blue


def head_hair(person: Person, sheet: Sheet, depth: Map, texture: Texture) -> tuple[Colours, Map]:
    """Colour and strands (unit deviation, H, W); ``depth`` is the height of each point."""
    h = person.hair
    x, z = sheet.x - 14 * h.parting, depth + 14
    curl = 1.3 * h.wave if h.style in ("long", "bob", "tied") else 0.4 * h.wave
    down = np.hypot(x, sheet.y - person.outline.skull_y + 6)
    if h.style in ("curly", "crew"):
        rings = 0.34 if h.style == "curly" else 0.6
        strands = texture.at(sheet.x * rings, sheet.y * rings + 0.3 * depth)
        strands = strands + 0.7 * texture.at(sheet.x * 0.9 + 9, sheet.y * 0.9 + 0.5 * depth)
    else:
        along = 15 * np.arctan2(x, z) + curl * np.sin(0.16 * down + 3 * h.parting)
        strands = texture.at(along + 32, down * 0.03) + 0.7 * texture.at(
            2.6 * along + 7, down * 0.05 + 17
        )
    colour = filled(hair_tone(person), sheet)
    tint(colour, 0.22 * np.clip(strands, -2.2, 2.2))
    if h.grey > 0.02:
        lay(colour, _GREY, np.clip(0.5 * (strands - 1.2 + h.grey), 0, 0.6))
    return colour, strands


def paint_brows(
    colour: Colours, person: Person, expression: Expression, sheet: Sheet, texture: Texture
) -> None:
    """Two tapering strips of hairs in the colour of the hair, a shade darker."""
    b, e = person.brows, person.eyes
    out = (sheet.across - e.spacing - 0.5) / b.length
    raised = 2.6 * expression.brows * (1 if expression.brows > 0 else 0.6)
    inner = 1.6 * min(0.0, expression.brows) * np.clip(-out, 0, 1)
    centre = e.y - b.above - raised - b.arch * (1 - (out - 0.3) ** 2) - b.tilt * b.length * out
    centre = centre - inner
    thick = 0.4 + b.thickness * (1 - 0.55 * np.clip(out, 0, 1)) * (1 - 0.3 * np.clip(-out, 0, 1))
    lean = sheet.y + 0.7 * sheet.across
    hairs = 0.85 + 0.3 * texture.at(lean * 1.3 + 20, (sheet.y - 0.4 * sheet.across) * 0.35)
    cover = soft(np.abs(sheet.y - centre) - 0.7 * thick, 1.8) * soft((np.abs(out) - 1) * 10, 4.0)
    lay(colour, shaded(hair_tone(person), 0.72), np.clip(b.density * hairs * cover, 0, 0.95))


def paint_beard(colour: Colours, person: Person, sheet: Sheet, texture: Texture) -> None:
    """Stubble, moustache, goatee or full beard: short hairs, thinner towards the edge."""
    h, kind = person.hair, person.hair.beard
    if kind == "none":
        return
    rag = texture.at(sheet.x * 0.35, sheet.y * 0.35 + 40)
    parts = _beard_parts(person, sheet, rag)
    grain = texture.at(sheet.x * 1.15, sheet.y * 0.55) + 0.8 * texture.at(
        sheet.x * 0.7 + 0.5 * sheet.y, sheet.y * 0.6 + 21
    )
    if kind == "stubble":
        lay(colour, shaded(hair_tone(person), 0.8), 0.33 * h.beard_density * parts["full"])
        tint(colour, -0.06 * parts["full"] * np.clip(grain, -1, 2))
        return
    cover = np.clip(parts[kind] * (1.15 + 0.25 * grain) - 0.12, 0, 1)
    hue = filled(shaded(hair_tone(person), 0.85), sheet)
    tint(hue, 0.2 * np.clip(grain, -2, 2))
    lay(colour, hue, (0.55 + 0.43 * h.beard_density) * cover)


def _beard_parts(person: Person, sheet: Sheet, rag: Map) -> dict[str, Map]:
    m, x, y = person.mouth, sheet.across, sheet.y
    middle = 0.5 * (person.nose.tip_y + 5 + m.y - 0.3 * m.upper) + 0.5 + 0.012 * x**2
    thick = 3.6 * np.sqrt(np.clip(1 - (x / (m.width + 4)) ** 2, 0.02, 1)) - 0.3
    moustache = soft(np.abs(y - middle) - thick + 0.5 * rag, 2.8) * soft(x - m.width - 3 + rag, 5)
    lips = soft(9 - np.hypot(x * 9 / (m.width + 4), (y - m.y - 0.4 * m.lower) * 9 / 7) + rag, 3)
    side = m.y - 5 - 0.011 * np.clip(x - 12, 0, None) ** 2.15
    jaw = soft(side - y + 1.5 * rag, 9) * lips
    chin = soft(x - 0.8 * m.width - 1 + rag, 5) * soft(m.y + m.lower + 2.5 - y + rag, 4)
    bridge = soft(np.abs(x - m.width - 3) - 2.2 + 0.5 * rag, 3) * soft(m.y - 3 - y, 3)
    below = soft(y - person.outline.chin_y - 6, 6)
    full = np.maximum.reduce([moustache, jaw, chin]) * below
    goatee = np.maximum.reduce([moustache, chin, 0.9 * bridge]) * below
    return {"moustache": moustache, "goatee": goatee, "full": full}
