"""The head in relief: how far each point of face, ears and neck stands out towards the front.

A head is a solid between two height maps, one seen from the front and one from behind, on a grid
of whole pixels around the face; z is 0 at the ears and grows towards the viewer.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.synthetic.canvas import Map, Sheet, bump
from common.synthetic.people import Person
from common.synthetic.variation import Expression

LEFT, TOP, WIDE, TALL = -84, -112, 168, 208  # pixels; where the grid lies around the face
NOWHERE = -60.0  # front of what is not there

_ROWS, _COLUMNS = np.mgrid[TOP : TOP + TALL, LEFT : LEFT + WIDE].astype(np.float32)
GRID = Sheet(_COLUMNS, _ROWS)

_Line = NDArray[np.floating[Any]]


def half_width(person: Person, y: _Line, more: float = 0.0) -> _Line:
    """Half the width of the head at heights ``y``; ``more`` pixels are added all around."""
    o = person.outline
    rows = np.linspace(o.skull_y - more - 2, o.chin_y + more + 2, 200)
    middle = np.interp(rows, [-44, -10, 20], [o.temple, o.cheek, o.jaw]) + more
    up = np.clip((rows + 44) / (o.skull_y - more + 44), 0, 1)
    down = np.clip((rows - 10) / (o.chin_y + more - 10), 0, 1)
    bulge = 1.5 + 1.1 * o.squareness + 0.06 * (o.chin - 15)
    profile = middle * np.sqrt(1 - up**2.2) * (1 - down**bulge) ** (1 / 1.7)
    profile = np.convolve(np.pad(profile, 7, "edge"), np.full(15, 1 / 15), "valid")
    return np.interp(y, rows, profile, 0, 0).astype(np.float32)


def skull(person: Person, sheet: Sheet, more: float = 0.0) -> Map:
    """The smooth head without its features; ``NOWHERE`` beside it. ``sheet`` has even rows."""
    o = person.outline
    y = sheet.y[:, :1]
    wide = np.maximum(half_width(person, y, more), 1e-3)
    top, chin = o.skull_y - more, o.chin_y + 0.3 * more
    rows = [top, top + 4, top + 12, top + 24, -50, -34, -21, -6, 10, 21, 32, chin - 5, chin - 1]
    lean = 1 - 0.05 * o.slope
    shares = [0, 0.42 * lean, 0.66 * lean, 0.85 * lean, 0.965 * lean + 0.01, 1.0, 0.94, 0.93]
    shares += [0.97, 0.99, 0.945, 0.965, 0.9]
    along = np.linspace(top - 2, chin + 2, 160)
    middle = np.interp(along, [*rows, chin + 2], [*shares, 0.72])
    middle = np.convolve(np.pad(middle, 4, "edge"), np.full(9, 1 / 9), "valid")
    depth = (np.interp(y, along, middle) * (o.depth + more)).astype(np.float32)
    aside = np.clip(sheet.across / wide, 0, 1)
    height = depth * np.sqrt(1 - aside**2.5)
    return np.asarray(np.where(aside < 1, height, NOWHERE), np.float32)


def nape(person: Person, sheet: Sheet, more: float = 0.0) -> Map:
    """The back of the head, as ``skull`` is its front; above 0 beside it."""
    y = sheet.y[:, :1]
    wide = np.maximum(half_width(person, y, more), 1e-3)
    aside = np.clip(sheet.across / wide, 0, 1)
    depth = np.interp(y, [-60, -15, 12, 30], [50, 46, 18, 4]).astype(np.float32) + more
    return np.asarray(np.where(aside < 1, -depth * np.sqrt(1 - aside**2), -NOWHERE), np.float32)


def nose(person: Person, sheet: Sheet) -> Map:
    """The ridge from between the eyes to the tip, and the tip."""
    n, top = person.nose, person.eyes.y - 2
    along = np.maximum((sheet.y - top) / (n.tip_y - top), -0.3)
    width = n.bridge + (0.55 * n.wings - n.bridge + 1.2) * np.clip(along, 0, 1)
    hump = 0.08 * n.hump * np.exp(-0.5 * ((along - 0.45) / 0.2) ** 2)
    rise = np.where(
        along < 1,
        np.clip(0.22 + 0.78 * np.maximum(along, 0) ** 1.15 + 0.6 * np.minimum(along, 0), 0, 1)
        + hump,
        bump(sheet.y - n.tip_y, 0 * along, (2.6 + 0.5 * n.turn, 1)),
    )
    ridge = 1.25 * n.height * rise * np.exp(-0.5 * (sheet.x / width) ** 2)
    ball = 0.4 * n.tip * bump(sheet.x, sheet.y - n.tip_y + 0.5, (n.tip, 0.9 * n.tip))
    wings = 4.2 * bump(sheet.across - n.wings + 2.2, sheet.y - n.tip_y - 2, (2.3, 2.6))
    return np.asarray(ridge + ball + wings, np.float32)


def features(person: Person, expression: Expression, sheet: Sheet) -> Map:
    """Everything that is neither skull nor nose: sockets, brows, cheeks, lips, chin, lines."""
    e, m, s = person.eyes, person.mouth, person.skin
    across, y, smile = sheet.across, sheet.y, max(0.0, expression.smile)
    z = -(2.5 + e.depth) * bump(across - e.spacing + 2, y - e.y + 1, (8.5, 4.8))
    z += 2.6 * bump(across - e.spacing, y - e.y, (5.2, 3.4))
    z += (0.6 + person.brows.ridge) * bump(
        across - e.spacing + 2, y - e.y + person.brows.above - 1, (11, 3.2)
    )
    z += (s.cheekbones + 1.8 * smile) * bump(across - 24, y - 1 + 2 * smile, (8, 7))
    z += 1.3 * s.fullness * bump(across - 25, y - 18, (8, 9))
    out = 2.2 * expression.pucker
    u, low = 0.55 * m.width * (1 - 0.3 * expression.pucker), m.y + 3 * expression.open
    z += (1.8 + out) * bump(sheet.x, y - m.y + 0.5 * m.upper, (u, 0.7 * m.upper + 0.3))
    z += (2.3 + out) * bump(sheet.x, y - low - 0.6 * m.lower, (u, 0.7 * m.lower + 0.3))
    z -= 1.2 * bump(across - m.width - 1, y - m.y + 3 * smile, (2.2, 2.2))
    z -= 1.9 * bump(sheet.x, y - low - m.lower - 3.5, (9, 2.4))
    chin_y = person.outline.chin_y
    z += 3.2 * bump(sheet.x, y - chin_y + 9, (0.55 * person.outline.chin, 6))
    z -= 0.7 * bump(sheet.x, y - 0.5 * (person.nose.tip_y + m.y) - 2.5, (1.2, 3))
    return np.asarray(z + _lines(person, expression, sheet), np.float32)


def _lines(person: Person, expression: Expression, sheet: Sheet) -> Map:
    """Folds beside the mouth, bags under the eyes, furrows on the forehead, crow's feet."""
    m, n, e, age = person.mouth, person.nose, person.eyes, person.skin.age
    smile = max(0.0, expression.smile)
    x0, y0, x1, y1 = n.wings + 1.5, n.tip_y + 1, m.width + 6, m.y + 3
    u, v = x1 - x0, y1 - y0
    along = np.clip(((sheet.across - x0) * u + (sheet.y - y0) * v) / (u * u + v * v), 0, 1)
    off = bump(sheet.across - x0 - along * u, sheet.y - y0 - along * v, (1.7, 1.7))
    z = -(0.2 + 1.2 * smile + 1.3 * age) * off
    z += 1.3 * max(0.0, age - 0.2) * bump(sheet.across - e.spacing, sheet.y - e.y - 6.5, (6, 1.6))
    jowl = bump(sheet.across - m.width - 7, sheet.y - m.y - 13, (4, 4))
    z += 1.6 * max(0.0, age - 0.4) * jowl
    raised = 0.6 + 0.9 * max(0.0, expression.brows)
    deep = 0.55 * max(0.0, age - 0.35) * raised
    z += deep * np.sin(sheet.y * 1.1 + 0.005 * sheet.x**2) * bump(sheet.x, sheet.y + 46, (17, 6))
    feet = bump(sheet.across - e.spacing - e.width - 4, sheet.y - e.y, (3, 4))
    z += (0.5 * smile + 0.3) * max(0.0, age - 0.3) * feet * np.sin(2.1 * sheet.y)
    frown = bump(sheet.across - 3.5, sheet.y - e.y + 9, (0.9, 4))
    return np.asarray(z - (0.6 * age + max(0.0, -expression.brows)) * frown, np.float32)


def face(person: Person, expression: Expression) -> Map:
    """The front of the head on the whole grid, with an open mouth's jaw lowered."""
    drop = 4 * expression.open * np.clip((GRID.y[:, 0] - person.mouth.y - 2) / 10, 0, 1)
    rows = np.repeat((GRID.y[:, 0] - drop)[:, None].astype(np.float32), WIDE, 1)
    height = skull(person, Sheet(GRID.x, rows))
    part = slice(int(-62 - TOP), int(person.outline.chin_y + 8 - TOP))
    sheet = GRID.part(part)
    rise = nose(person, sheet) + features(person, expression, sheet)
    height[part] = np.where(height[part] > NOWHERE, height[part] + rise, NOWHERE)
    return height


def ears(person: Person) -> tuple[Map, Map]:
    """Front and back of both ears on the whole grid."""
    o = person.outline
    wide = float(half_width(person, np.array([-8.0]))[0])
    x = (GRID.across - wide - 1.5) / (6.0 * o.ears)
    y = (GRID.y + 8 + 0.15 * (GRID.across - wide)) / (14.5 * o.ears)
    inside = np.clip(1 - x**2 - np.abs(y) ** 2.4, 0, 1)
    rim = 2.5 * bump(np.sqrt(x**2 + y**2) - 0.85, 0 * y, (0.12, 1))
    front = np.where(inside > 0, -7 + 5 * np.sqrt(inside) + rim, NOWHERE)
    return front.astype(np.float32), np.where(inside > 0, -12.0, -NOWHERE).astype(np.float32)


def neck(person: Person) -> tuple[Map, Map]:
    """Front and back of the neck on the whole grid."""
    wide = 0.74 * person.outline.jaw + 0.012 * np.clip(GRID.y - 45, 0, None) ** 2
    inside = np.clip(1 - (GRID.x / wide) ** 2, 0, 1) * (GRID.y > 14)
    bulge = np.sqrt(inside)
    front = np.where(inside > 0, -14 + 26 * bulge, NOWHERE)
    return front.astype(np.float32), np.where(inside > 0, -14 - 26 * bulge, -NOWHERE).astype(
        np.float32
    )
