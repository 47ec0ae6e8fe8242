"""The face in relief: how far each point stands out, how it turns, and where light falls on it."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from common.synthetic.canvas import Map, Sheet, bump
from common.synthetic.people import Person
from common.synthetic.variation import Expression, Light, Pose

_DEPTH = 40.0  # pixels from the ears to the middle of the face
_STEPS = (2, 4, 7, 11, 16)  # pixels along the ray to the lamp


def half_width(person: Person, y: Map) -> tuple[Map, Map]:
    """Half the width of the head at height ``y``, and how fast it changes with height."""
    o = person.outline
    rows = np.linspace(o.skull_y - 2, o.chin_y + 2, 160)
    middle = np.interp(rows, [-40, -8, 20], [o.temple, o.cheek, o.jaw])
    up = np.clip((rows + 40) / (o.skull_y + 40), 0, 1)
    down = np.clip((rows - 14) / (o.chin_y - 14), 0, 1)
    bulge = 1.35 + 0.9 * o.squareness + 0.05 * (o.chin - 15)
    profile = middle * np.sqrt(1 - up**2) * (1 - down**bulge) ** (1 / 1.5)
    profile = np.convolve(np.pad(profile, 4, "edge"), np.full(9, 1 / 9), "valid")
    slope = np.clip(np.gradient(profile, rows), -4, 4)
    return (
        np.interp(y, rows, profile, 0, 0).astype(np.float32),
        np.interp(y, rows, slope).astype(np.float32),
    )


def outside(person: Person, sheet: Sheet) -> Map:
    """About the distance from the outline of the head, negative within it."""
    o = person.outline
    wide, slope = half_width(person, sheet.y)
    side = (sheet.across - wide) / np.sqrt(1 + slope**2)
    tall = -o.skull_y - 40
    dome = np.hypot(sheet.x / o.temple, (sheet.y + 40) / tall) - 1
    return np.where(sheet.y < -40, dome * np.float32(min(tall, o.temple)), side)


def skull(person: Person, sheet: Sheet) -> Map:
    """The smooth head without its features: height (H, W) in pixels."""
    wide = person.outline.cheek
    return np.float32(_DEPTH) * bump(sheet.x, sheet.y + 6, (0.82 * wide, 55))


def nose(person: Person, sheet: Sheet) -> Map:
    """The ridge from between the eyes to the tip, and the tip."""
    n, top = person.nose, person.eyes.y - 1
    along = np.maximum((sheet.y - top) / (n.tip_y - top), -0.25)
    width = n.bridge + (0.5 * n.wings - n.bridge + 1.2) * np.clip(along, 0, 1)
    rise = np.where(
        along < 1, np.clip(0.2 + 0.8 * along, 0, 1), bump(sheet.y - n.tip_y, 0 * along, (2.6, 1))
    )
    ridge = rise * np.exp(-0.5 * (sheet.x / width) ** 2)
    return np.asarray(n.height * ridge, np.float32)


def features(person: Person, expression: Expression, sheet: Sheet) -> Map:
    """Everything that is neither skull nor nose: sockets, brows, cheeks, lips, chin, lines."""
    e, m, n, s = person.eyes, person.mouth, person.nose, person.skin
    across, y = sheet.across, sheet.y
    z = 3.2 * bump(across - n.wings + 2.2, y - n.tip_y - 2, (2.4, 2.4))
    z += 0.35 * n.tip * bump(sheet.x, y - n.tip_y, (n.tip, n.tip))
    z -= e.depth * bump(across - e.spacing + 1, y - e.y + 1, (9, 5))
    z += 1.6 * bump(across - e.spacing, y - e.y, (5.5, 3.2))
    z += person.brows.ridge * bump(across - e.spacing, y - e.y + person.brows.above - 2, (11, 3.2))
    cheek = s.cheekbones + 1.6 * max(0.0, expression.smile)
    z += cheek * bump(across - 26, y - 1 + 2 * expression.smile, (8, 8))
    z += 1.6 * bump(sheet.x, y - m.y + 0.5 * m.upper, (0.55 * m.width, 0.7 * m.upper + 0.3))
    z += 2.0 * bump(sheet.x, y - m.y - 0.6 * m.lower, (0.5 * m.width, 0.7 * m.lower + 0.3))
    z -= 1.4 * bump(sheet.x, y - m.y - m.lower - 3.5, (9, 2.2))
    z += 3.0 * bump(sheet.x, y - person.outline.chin_y + 9, (0.6 * person.outline.chin, 6))
    z -= 0.6 * bump(sheet.x, y - 0.5 * (n.tip_y + m.y) - 2.5, (1.2, 3))
    z += _lines(person, expression, sheet)
    return z


def _lines(person: Person, expression: Expression, sheet: Sheet) -> Map:
    """Folds beside the mouth, bags under the eyes, furrows on the forehead."""
    m, n, age = person.mouth, person.nose, person.skin.age
    x0, y0, x1, y1 = n.wings + 1.5, n.tip_y + 1, m.width + 5, m.y + 2
    u, v = x1 - x0, y1 - y0
    along = np.clip(((sheet.across - x0) * u + (sheet.y - y0) * v) / (u * u + v * v), 0, 1)
    off = bump(sheet.across - x0 - along * u, sheet.y - y0 - along * v, (1.4, 1.4))
    z = -(0.9 * max(0.0, expression.smile) + 0.9 * age) * off
    bags = bump(sheet.across - person.eyes.spacing, sheet.y - person.eyes.y - 6.5, (6, 1.5))
    z += 0.9 * age * bags
    furrows = np.sin(sheet.y * 1.15 + 0.02 * sheet.x**2 / 4)
    deep = 0.7 * max(0.0, age - 0.45) * (0.6 + 0.8 * max(0.0, expression.brows))
    deep = 0.0 if person.hair.style == "fringe" else deep
    z += deep * furrows * bump(sheet.x, sheet.y + 43, (17, 6))
    return np.asarray(z, np.float32)


def turned(points: NDArray[np.float64], pose: Pose) -> NDArray[np.float64]:
    """Points (N, 3) on the face as seen from the front, (N, 3), after yaw and pitch."""
    cy, sy = math.cos(pose.yaw), math.sin(pose.yaw)
    cp, sp = math.cos(pose.pitch), math.sin(pose.pitch)
    yaw = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    pitch = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    return np.asarray(points @ (pitch @ yaw).T)


def seen(person: Person, pose: Pose, screen: Sheet) -> Sheet:
    """The point of the face that shows at each point of the ``screen``, by fixed-point iteration.

    Converges because the relief is gentle at the angles drawn (slope times tangent below 1).
    """
    cy, sy = math.cos(pose.yaw), math.sin(pose.yaw)
    cp, sp = math.cos(pose.pitch), math.sin(pose.pitch)
    face = screen
    for _ in range(5):
        z = skull(person, face) + 0.8 * nose(person, face)
        x = (screen.x - z * sy) / cy
        y = (screen.y + (z * cy - x * sy) * sp) / cp
        face = Sheet(x.astype(np.float32), y.astype(np.float32))
    return face


def lit(height: Map, light: Light, pixel: float) -> tuple[Map, Map]:
    """Brightness and gloss (H, W) of a surface whose ``height`` is seen from the front.

    ``pixel`` is the width of one entry. Lambert's law, softened, with cast shadows and a little
    shade in hollows.
    """
    down, right = np.gradient(height, pixel)
    norm = 1 / np.sqrt(right**2 + down**2 + 1)
    a, b, c = light.direction
    facing = (c - a * right - b * down) * norm
    diffuse = np.clip((facing + 0.15) / 1.15, 0, None) * (1 - 0.65 * _shadow(height, light, pixel))
    hollow = np.asarray(cv2.GaussianBlur(height, (0, 0), 4 / pixel), np.float32) - height
    ambient = light.ambient * np.clip(1 - 0.06 * np.clip(hollow, -2, 8), 0.5, 1.1)
    half = math.sqrt(2 * (1 + c))
    gloss = np.clip((1 + c - a * right - b * down) * norm / half, 0, 1) ** 24
    return (
        np.asarray(ambient + (1.08 - light.ambient) * diffuse, np.float32),
        np.asarray(light.shine * gloss, np.float32),
    )


def _shadow(height: Map, light: Light, pixel: float) -> Map:
    """How much of the lamp is hidden by what stands between: 0 to 1."""
    a, b, c = light.direction
    flat = math.hypot(a, b)
    hidden = np.zeros_like(height)
    if flat < 0.05:
        return hidden
    for step in _STEPS:
        shift = np.array([[1, 0, step * a / flat / pixel], [0, 1, step * b / flat / pixel]])
        there = cv2.warpAffine(
            height,
            shift,
            height.shape[::-1],
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        np.maximum(hidden, there - height - step * c / flat, out=hidden)
    return np.asarray(
        cv2.GaussianBlur(np.clip(hidden / 2.5, 0, 1), (0, 0), 1.2 / pixel), np.float32
    )
