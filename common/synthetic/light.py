"""Light on a head: two lamps, sky and ground, shadows, and the glow of skin."""

import numpy as np

from common.synthetic.canvas import Colours, Map
from common.synthetic.solid import Solid
from common.synthetic.tracing import Seen, rotation, shadow
from common.synthetic.variation import Variation, Vector

_WRAP = np.array([0.36, 0.22, 0.18], np.float32)[
    :, None, None
]  # light seeps through skin, red most
_SKY = np.array([0.98, 1.0, 1.04], np.float32)[:, None, None]
_GROUND = np.array([0.62, 0.56, 0.50], np.float32)[:, None, None]


def shine_on(solid: Solid, seen: Seen, variation: Variation) -> tuple[Colours, Map]:
    """Light received (3, H, W) and gloss (H, W) at each pixel, in linear intensity."""
    light, turn = variation.light, rotation(variation.pose)
    lamp, other = _in_head(light.direction, turn), _in_head(light.second, turn)
    up, viewer = _in_head((0, -1, 0), turn), _in_head((0, 0, 1), turn)
    hidden = light.hardness * shadow(solid, seen.point, lamp)
    open_ = np.clip(1 - 0.075 * np.clip(seen.hollow, -2, 8), 0.45, 1.12)
    above = 0.5 + 0.5 * _along(seen, up)
    total = light.ambient * open_ * (_GROUND + (_SKY - _GROUND) * above)
    direct = _wrapped(_along(seen, lamp)) * (1 - hidden)
    total = total + (1.15 - 0.6 * light.ambient) * direct * _column(light.colour)
    if max(light.second_colour) > 0.02:
        total = total + _wrapped(_along(seen, other)) * _column(light.second_colour)
    half = np.asarray(lamp) + np.asarray(viewer)
    half = half / max(1e-6, float(np.linalg.norm(half)))
    facing = np.clip(_along(seen, (half[0], half[1], half[2])), 0, 1)
    edge = np.clip(1 - _along(seen, viewer), 0, 1) ** 4
    gloss = light.shine * (0.4 * facing**12 + 0.6 * facing**44) * (1 - hidden) + 0.05 * edge
    return np.asarray(total, np.float32), np.asarray(gloss, np.float32)


def sheen(seen: Seen, variation: Variation) -> Map:
    """The bright band on hair that runs across the strands (Kajiya and Kay 1989)."""
    turn = rotation(variation.pose)
    half = np.add(variation.light.direction, (0, 0, 1))
    half = turn.T @ (half / np.linalg.norm(half))
    fall = np.array([0.0, 1.0, 0.0], np.float32)[:, None, None]
    strand = fall - seen.normal * seen.normal[1]
    strand = strand / np.maximum(np.sqrt((strand**2).sum(axis=0)), 0.2)
    across = np.clip(1 - np.tensordot(half.astype(np.float32), strand, 1) ** 2, 0, 1)
    return np.asarray(across**36 * np.clip(seen.normal[1] * -0.5 + 0.6, 0, 1), np.float32)


def _in_head(direction: Vector, turn: np.ndarray) -> Vector:
    x, y, z = turn.T @ np.asarray(direction, np.float64)
    return float(x), float(y), float(z)


def _along(seen: Seen, direction: Vector) -> Map:
    a, b, c = (np.float32(part) for part in direction)
    return np.asarray(a * seen.normal[0] + b * seen.normal[1] + c * seen.normal[2], np.float32)


def _wrapped(facing: Map) -> Colours:
    """Lambert's law, with a terminator that is soft and reddish (3, H, W)."""
    return np.asarray(np.clip((facing + _WRAP) / (1 + _WRAP), 0, None) ** 1.4, np.float32)


def _column(colour: tuple[float, float, float]) -> Colours:
    return np.asarray(colour, np.float32)[:, None, None]
