"""Everything of a person that light meets, put together: head, ears, neck, hair, cloth."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from common.synthetic import relief
from common.synthetic.canvas import Map, Sheet, Texture, bump
from common.synthetic.people import Person
from common.synthetic.relief import GRID, LEFT, NOWHERE, TOP
from common.synthetic.variation import Variation

_REACH = {"bald": -10, "crew": -8, "short": -5, "side": -4, "fringe": 0, "curly": 10}
_FALL = {"bob": 34, "long": 96}  # how far loose hair hangs down
_THICK = {"bald": 0.0, "crew": 0.2, "tied": 0.45, "curly": 1.9}
_Pair = tuple[Map, Map]  # front and back


@dataclass(frozen=True, slots=True)
class Solid:
    """``shape`` (TALL, WIDE, 2): front and back. ``skin`` (TALL, WIDE): the bare face's front.

    ``over`` (TALL, WIDE, 2): how far hair and cloth stand out over everything else, negative
    where something else is seen.
    """

    shape: NDArray[np.float32]
    over: NDArray[np.float32]
    skin: Map
    left: int = LEFT  # where the first column lies

    def skin_at(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Heights (N,) of the bare face at ``points`` (N, 2), to the nearest pixel."""
        column, row = np.rint(points - [LEFT, TOP]).astype(int).T
        return np.asarray(self.skin[row, column], np.float64)


def build(person: Person, variation: Variation) -> Solid:
    """The solid of ``person`` as they are on that day."""
    texture = Texture.drawn(person.texture)
    bare = relief.face(person, variation.expression)
    nape = relief.nape(person, GRID)
    skin = _joined((_masked(person, bare, variation), nape), relief.ears(person))
    skin = _joined(skin, relief.neck(person))
    hat = variation.looks.hat
    cloth = _clothes(person, variation)
    if hat != "none":
        cloth = _joined(cloth, _hat(person, variation, texture))
    hair = _hair(person, variation, texture)
    if hat == "headscarf":
        hair = np.full_like(hair[0], NOWHERE), np.full_like(hair[1], -NOWHERE)
    if hat != "none":
        under = GRID.y < person.hair.line_y + 5 + variation.looks.hair_shift[1]
        hair = np.where(under, NOWHERE, hair[0]), np.where(under, -NOWHERE, hair[1])
    front, back = _joined(_joined(skin, cloth), hair)
    over_hair = hair[0] - np.maximum(skin[0], cloth[0])
    over_cloth = cloth[0] - np.maximum(skin[0], hair[0])
    over = np.clip(np.stack([over_hair, over_cloth], axis=2), -6, 6)
    return Solid(_smooth(np.stack([front, back], axis=2)), _smooth(over), bare)


def _smooth(maps: NDArray[Any]) -> NDArray[np.float32]:
    """Takes the steps off edges that run between the pixels of the grid."""
    return np.asarray(cv2.GaussianBlur(maps.astype(np.float32), (0, 0), 0.8), np.float32)


def _joined(one: _Pair, other: _Pair) -> _Pair:
    return np.maximum(one[0], other[0]), np.minimum(one[1], other[1])


def _masked(person: Person, bare: Map, variation: Variation) -> Map:
    """The face, rounded off where a mask is stretched over it."""
    if variation.obstacle != "mask":
        return bare
    n, smooth = person.nose, relief.skull(person, GRID)
    tent = smooth + 1.5 + 1.15 * n.height * bump(GRID.x, GRID.y - n.tip_y - 3, (11, 13))
    on = mask_cover(person, GRID) * (smooth > NOWHERE)
    return np.asarray(np.where(on > 0.5, np.maximum(tent, bare - 3), bare), np.float32)


def mask_cover(person: Person, sheet: Sheet) -> Map:
    """Where a mask covers the face (H, W), 0 to 1."""
    top = person.nose.tip_y - 8 + 0.009 * sheet.x**2
    low = person.outline.chin_y + 3
    wide = 0.9 * person.outline.jaw - 0.006 * (sheet.y - 18) ** 2
    away = np.maximum(np.maximum(top - sheet.y, sheet.y - low), sheet.across - wide)
    return np.asarray(np.clip(0.5 - away, 0, 1), np.float32)


def _clothes(person: Person, variation: Variation) -> _Pair:
    """Shoulders, and a scarf up to the mouth."""
    collar = person.outline.chin_y + 17 - 0.002 * GRID.x**2
    collar = collar + 5 * np.clip(1 - GRID.across / 20, 0, 1)
    inside = np.clip(1 - (GRID.x / 86) ** 2, 0, 1)
    front = np.where(GRID.y > collar, -16 + 36 * np.sqrt(inside) * (0.8 + 0.004 * GRID.y), NOWHERE)
    back = np.where(GRID.y > collar, -46.0, -NOWHERE)
    if variation.obstacle == "scarf":
        top = person.mouth.y - 7 + 0.004 * GRID.x**2 + 0.02 * GRID.x
        inside = np.clip(1 - (GRID.x / (person.outline.jaw + 12)) ** 2, 0, 1)
        folds = 1.5 * np.sin(0.42 * (GRID.y - top) + 0.05 * GRID.x)
        round_ = 1.0 - np.exp(-0.4 * np.clip(GRID.y - top, 0, 40))
        wrap = -12 + (person.outline.depth + 18) * np.sqrt(inside) * (0.85 + 0.15 * round_) + folds
        on = (GRID.y > top) & (inside > 0)
        front = np.where(on, np.maximum(front, wrap), front)
        back = np.where(on, -46.0, back)
    return front.astype(np.float32), back.astype(np.float32)


def _hat(person: Person, variation: Variation, texture: Texture) -> _Pair:
    """Beanie, cap with a brim, or headscarf."""
    kind = variation.looks.hat
    more = {"beanie": 5.0, "cap": 4.0, "headscarf": 4.5}[kind] + 0.15 * person.hair.volume
    shift = variation.looks.hair_shift
    edge = person.hair.line_y + {"beanie": 12, "cap": 11, "headscarf": 4}[kind] + shift[1]
    folds = 0.8 * texture.at(GRID.x * 0.09, GRID.y * 0.05)
    shell = relief.skull(person, GRID, more), relief.nape(person, GRID, more)
    if kind == "headscarf":
        opening = np.hypot(GRID.x / (0.9 * person.outline.cheek), (GRID.y + 4) / (-edge - 4)) - 1
        opening = np.where(GRID.y > -4, GRID.across / (0.9 * person.outline.cheek) - 1, opening)
        chin = GRID.y - person.outline.chin_y - 1 + 0.012 * GRID.x**2
        off = np.maximum(-opening * 34, -0 * opening) * (chin < 0)
        return _joined(_covering(shell, off, folds), _veil(person, chin, more, folds))
    off = np.clip(GRID.y - edge - 0.006 * GRID.x**2 * (kind == "cap"), 0, None)
    front, back = _covering(
        shell, np.where(GRID.across > person.outline.cheek, off - 8, off), folds
    )
    if kind == "cap":
        inside = np.clip(1 - (GRID.x / 33) ** 2, 0, 1)
        brim = person.outline.depth - 6 + 30 * np.sqrt(inside)
        on = (np.abs(GRID.y - edge - 0.006 * GRID.x**2) < 2.2) & (inside > 0)
        front = np.where(on, np.maximum(front, brim), front)
        back = np.where(on, np.minimum(back, 0.0), back)
    return front.astype(np.float32), back.astype(np.float32)


def _veil(person: Person, chin: Map, more: float, folds: Map) -> _Pair:
    """The part of a headscarf that hangs from the temples over neck and shoulders."""
    wide = person.outline.cheek + more + 0.1 * np.clip(GRID.y - 20, 0, None)
    inside = np.clip(1 - (GRID.x / wide) ** 2, 0, 1)
    beside = relief.half_width(person, GRID.y[:, :1]) - 3
    aside = GRID.across > np.minimum(beside, 0.9 * person.outline.cheek)
    on = (inside > 0) & (GRID.y > -20) & (aside | (chin > 0))
    front = np.where(on, -6 + 42 * np.sqrt(inside) + 1.5 * folds, NOWHERE)
    return front.astype(np.float32), np.where(on, -40.0, -NOWHERE).astype(np.float32)


def _covering(shell: _Pair, off: Map, folds: Map) -> _Pair:
    """A shell that ends where ``off`` (pixels past its edge) grows above 0."""
    on = (off <= 0) & (shell[0] > NOWHERE)
    front = np.where(on, shell[0] + folds, NOWHERE)
    back = np.where((off <= 0) & (shell[1] < 0), shell[1], -NOWHERE)
    return front.astype(np.float32), back.astype(np.float32)


def _hair(person: Person, variation: Variation, texture: Texture) -> _Pair:
    """Hair of the head, without a hat over it."""
    h, shift = person.hair, variation.looks.hair_shift
    rag = texture.at(GRID.x * 0.13 + 11, GRID.y * 0.13 + 3)
    curly = h.style == "curly"
    thick = 0.7 + h.volume * _THICK.get(h.style, 1.0) + (4 if curly else 0)
    thick = min(thick, 3.5) if variation.looks.hat != "none" else thick
    lumps = (0.06 if curly else 0.012) * (0.5 + h.wave) * rag
    sheet = Sheet(GRID.x * (1 + lumps), GRID.y)
    shell, back = relief.skull(person, sheet, thick), relief.nape(person, sheet, thick)
    shell = np.where(shell > NOWHERE, shell + (1.6 if curly else 0.4) * rag, NOWHERE)
    off = GRID.y - _hairline(person, shift) + (0.9 + 0.8 * h.wave) * rag
    off = np.maximum(off, -46 - GRID.y) if h.style == "bald" else off
    under = relief.skull(person, GRID)
    beside = np.clip((GRID.across / person.outline.cheek - 0.84) / 0.1, 0, 1)
    taper = np.maximum(np.clip(-off / 7 + 0.2, 0, 1), beside)
    blend = under + (shell - under) * taper - np.clip(off, 0, 12)
    inside = under > NOWHERE
    front = np.where(inside, blend, np.where(off < 0, shell, NOWHERE))
    back = np.where(off < 0, back, -NOWHERE)
    pair = front.astype(np.float32), back.astype(np.float32)
    if h.style in _FALL:
        pair = _joined(pair, _curtains(person, thick, shift, rag))
    return _joined(pair, _bun(person)) if h.style == "tied" else pair


def _hairline(person: Person, shift: tuple[float, float]) -> Map:
    """How far down the hair reaches on the forehead and in front of the ears (TALL, WIDE)."""
    h, x, across = person.hair, GRID.x - shift[0], GRID.across
    edge = np.interp(GRID.y[:, :1], [-46, -24, -6], [0.8, 0.9, 0.97]) * person.outline.cheek
    line = h.line_y - h.recede * bump(across - 21, 0 * across, (7, 1)) + 0.4 * shift[1]
    if h.style == "fringe":
        line = line + 18 - 0.004 * x**2
    elif h.style == "side":
        line = line + 5 + 0.14 * x * np.sign(h.parting)
        line = line - 5 * bump(x - 14 * h.parting, 0 * x, (5, 1))
    elif h.style in ("long", "bob"):
        line = line + 0.005 * (x - 10 * h.parting) ** 2
    elif h.style == "bald":
        line = line - 60
    aside = np.clip((across - edge + 2.5) / 5, 0, 1)
    reach = _REACH.get(h.style, -6)
    return np.asarray(line + (reach - line) * aside**2 * (3 - 2 * aside), np.float32)


def _curtains(person: Person, thick: float, shift: tuple[float, float], rag: Map) -> _Pair:
    """Loose hair that falls beside the face."""
    o, low = person.outline, _FALL[person.hair.style] + 2 * rag
    sway = 1 + 0.03 * np.sin(0.12 * GRID.y + 5 * person.hair.parting) * person.hair.wave
    wide = (o.cheek + 1.2 * thick + 2 + 0.05 * np.clip(GRID.y, 0, 60)) * sway
    beside = relief.half_width(person, GRID.y[:, :1]) - 1
    inner = np.clip(beside, 0.76 * o.jaw, 0.93 * o.cheek) + 0.6 * shift[0]
    inside = np.clip(1 - ((GRID.across + 0.8 * rag) / wide) ** 2, 0, 1)
    on = (inside > 0) & (GRID.across > inner) & (GRID.y > -34) & (low > GRID.y)
    front = np.where(on, -8 + (34 + 3 * shift[1]) * np.sqrt(inside) + 1.2 * rag, NOWHERE)
    return front.astype(np.float32), np.where(on, -34.0, -NOWHERE).astype(np.float32)


def _bun(person: Person) -> _Pair:
    """A knot on the back of the head."""
    x, y = GRID.x / 15, (GRID.y - person.outline.skull_y - 4) / 13
    inside = np.clip(1 - x**2 - y**2, 0, 1)
    front = np.where(inside > 0, -26 + 13 * np.sqrt(inside), NOWHERE)
    return front.astype(np.float32), np.where(inside > 0, -40.0, -NOWHERE).astype(np.float32)
