"""Clutter: pictures of nothing in particular, and people whose faces are spoiled.

What a detector of faces must not take for one: patterns, lettering, round and skin-coloured things,
heads without features, and features in the wrong places.
"""

import dataclasses
import math

import cv2
import numpy as np
from numpy.typing import NDArray

from common.faces.pictures import Picture
from common.synthetic.cutouts import Cutout, copies_of
from common.synthetic.leaves import draw_leaves

_LEAVES, _PLAIN = 0.6, 0.1  # shares of pictures with dead leaves, and on a plain ground
_LETTERS = np.array(list("ABCDEFGHKLMNOPRSTUVWXYZabdeghknopqs0123456789%&@#"))


def draw_clutter(side: int, rng: np.random.Generator) -> Picture:
    """A square of ``side`` pixels with shapes, lines, letters and grain in it."""
    picture = _grain(side, rng)
    if rng.random() < _PLAIN:
        picture[:] = _colour(rng) if rng.random() < 0.5 else int(rng.choice([0, 250]))
    if rng.random() < _LEAVES:
        picture = draw_leaves(side, picture, rng)
    tools = (_ellipses, _lines, _letters, _stripes, _blocks, _writing, _blades, _rings)
    for _ in range(int(rng.integers(0, 4))):
        tools[int(rng.integers(len(tools)))](picture, rng)
    if rng.random() < 0.4:
        picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), float(rng.uniform(0.4, 2.5))))
    return picture


def scrambled(someone: Cutout, rng: np.random.Generator) -> Cutout:
    """``someone`` with a face that is none: wiped, shuffled, stretched, or half of it gone."""
    whole = someone.copies[0].copy()
    left, top, wide, tall = (round(v) for v in someone.box)
    inner = (slice(max(0, top), top + tall), slice(max(0, left), left + wide))
    kind = int(rng.integers(4))
    if kind == 0:  # no features
        whole[inner] = cv2.blur(whole[inner], (wide // 2, tall // 2))
    elif kind == 1:  # features in the wrong places
        whole[inner] = _shuffled(whole[inner], int(rng.integers(2, 5)), rng)
    elif kind == 2:  # body and neck alone, or hair and forehead alone
        cut = top + round(0.98 * tall) if rng.random() < 0.6 else top + round(0.2 * tall)
        whole[: max(1, cut) if cut > top + 0.5 * tall else 0] = 0
        if cut <= top + 0.5 * tall:
            whole[max(1, cut) :] = 0
    else:  # one piece of a face
        keep = np.zeros(whole.shape[:2], np.bool_)
        y, x = rng.integers(0, 3), rng.integers(0, 2)
        rows = slice(top + y * tall // 3, top + (y + 1) * tall // 3)
        keep[rows, left + x * wide // 2 : left + (x + 1) * wide // 2] = True
        whole[~keep] = 0
    return dataclasses.replace(someone, copies=copies_of(whole))


def _grain(side: int, rng: np.random.Generator) -> Picture:
    """Noise of all scales around a colour."""
    total = np.zeros((side, side, 3), np.float32)
    steep, cells = float(rng.uniform(0.5, 1.4)), 2
    while cells <= side:
        flat = rng.standard_normal((cells, cells, 3 if rng.random() < 0.3 else 1), np.float32)
        rough = np.asarray(cv2.resize(flat, (side, side), interpolation=cv2.INTER_CUBIC))
        total += rough.reshape(side, side, -1) * np.float32(cells**-steep)
        cells *= 2
    strength = float(rng.uniform(5, 70)) / max(float(total.std()), 1e-3)
    colour = rng.uniform(20, 235) + rng.uniform(-40, 40, 3)
    return np.clip(colour + strength * total, 0, 255).astype(np.uint8)


def _colour(rng: np.random.Generator) -> tuple[int, int, int]:
    """Any colour, skin among them."""
    if rng.random() < 0.4:
        fair = rng.uniform(0.25, 1)
        red, green, blue = fair * np.array([255.0, 200, 165]) + rng.normal(0, 12, 3)
    else:
        red, green, blue = rng.uniform(0, 255, 3)
    return int(np.clip(red, 0, 255)), int(np.clip(green, 0, 255)), int(np.clip(blue, 0, 255))


def _point(picture: Picture, rng: np.random.Generator) -> tuple[int, int]:
    return int(rng.integers(picture.shape[1])), int(rng.integers(picture.shape[0]))


def _ellipses(picture: Picture, rng: np.random.Generator) -> None:
    """Round things: plates, lamps, balls, and some with two dots and a stroke askew."""
    for _ in range(int(rng.integers(1, 8))):
        x, y = _point(picture, rng)
        wide = round(math.exp(float(rng.uniform(1.2, 4))))
        axes = wide, max(2, round(wide * float(rng.uniform(0.5, 1.6))))
        cv2.ellipse(picture, (x, y), axes, float(rng.uniform(0, 180)), 0, 360, _colour(rng), -1)
        for _ in range(int(rng.integers(0, 3))):
            spot = (
                x + round(float(rng.normal(0, 0.5)) * wide),
                y + round(float(rng.normal(0, 0.5)) * wide),
            )
            cv2.circle(picture, spot, max(1, wide // 6), _colour(rng), -1)


def _lines(picture: Picture, rng: np.random.Generator) -> None:
    for _ in range(int(rng.integers(2, 12))):
        ends = _point(picture, rng), _point(picture, rng)
        cv2.line(picture, *ends, _colour(rng), int(rng.integers(1, 7)), cv2.LINE_AA)


def _letters(picture: Picture, rng: np.random.Generator) -> None:
    for _ in range(int(rng.integers(1, 6))):
        text = "".join(rng.choice(_LETTERS, int(rng.integers(1, 9))).tolist())
        size, thick = float(rng.uniform(0.25, 2.2)), int(rng.integers(1, 5))
        cv2.putText(
            picture, text, _point(picture, rng), int(rng.integers(0, 8)), size, _colour(rng), thick
        )


def _writing(picture: Picture, rng: np.random.Generator) -> None:
    """Lines of small print, faint or not."""
    size, font = float(rng.uniform(0.25, 0.6)), int(rng.integers(0, 8))
    x, y = (-v // 3 for v in _point(picture, rng))
    ground = picture[picture.shape[0] // 2, picture.shape[1] // 2].astype(int)
    faint = np.clip(ground + rng.choice([-1, 1]) * rng.integers(25, 256), 0, 255).tolist()
    step = max(5, round(30 * size * float(rng.uniform(1, 2))))
    for line in range(y, picture.shape[0] + step, step):
        text = "".join(rng.choice(_LETTERS, 40).tolist())
        for gap in rng.integers(1, 40, 7):
            text = text[:gap] + " " + text[gap:]
        cv2.putText(picture, text, (x, line), font, size, faint, 1, cv2.LINE_AA)
        if rng.random() < 0.3:
            return


def _blades(picture: Picture, rng: np.random.Generator) -> None:
    """Grass, hair, needles, wire: many thin strokes that run about the same way."""
    way, spread = float(rng.uniform(0, math.pi)), float(rng.uniform(0.05, 1.2))
    reach = math.exp(float(rng.uniform(1.2, 3.2)))
    colour = np.array(_colour(rng))
    for _ in range(int(rng.integers(40, 250))):
        turn, (x, y) = way + float(rng.normal(0, spread)), _point(picture, rng)
        end = round(x + reach * math.cos(turn)), round(y + reach * math.sin(turn))
        shade = np.clip(colour * float(rng.uniform(0.4, 1.5)), 0, 255).tolist()
        cv2.line(picture, (x, y), end, shade, int(rng.integers(1, 3)), cv2.LINE_AA)


def _rings(picture: Picture, rng: np.random.Generator) -> None:
    """Ripples, targets, lamps, wheels and signs: outlines around one middle."""
    middle, turn = _point(picture, rng), float(rng.uniform(0, 180))
    wide, squeeze = math.exp(float(rng.uniform(1.8, 4))), float(rng.uniform(0.4, 1))
    for share in np.sort(rng.uniform(0.1, 1, int(rng.integers(2, 9))))[::-1].tolist():
        axes = max(1, round(wide * share)), max(1, round(wide * share * squeeze))
        thick = int(rng.choice([-1, 1, 2, 4]))
        cv2.ellipse(picture, middle, axes, turn, 0, 360, _colour(rng), thick, cv2.LINE_AA)


def _stripes(picture: Picture, rng: np.random.Generator) -> None:
    """Fences, blinds, bricks and chequered cloth on a part of the picture."""
    x, y = _point(picture, rng)
    part = picture[y // 2 : y // 2 + picture.shape[0] // 2, x // 2 : x // 2 + picture.shape[1] // 2]
    row, column = np.mgrid[0 : part.shape[0], 0 : part.shape[1]]
    turn, period = float(rng.uniform(0, math.pi)), float(rng.uniform(3, 30))
    wave = np.sin((row * math.cos(turn) + column * math.sin(turn)) * 2 * math.pi / period)
    if rng.random() < 0.4:
        wave = wave * np.sin((column * math.cos(turn) - row * math.sin(turn)) * 6.283 / period)
    part[wave > float(rng.uniform(-0.7, 0.7))] = _colour(rng)


def _blocks(picture: Picture, rng: np.random.Generator) -> None:
    for _ in range(int(rng.integers(1, 10))):
        x, y = _point(picture, rng)
        wide, tall = (round(math.exp(float(rng.uniform(1, 4.3)))) for _ in range(2))
        cv2.rectangle(picture, (x, y), (x + wide, y + tall), _colour(rng), -1)


def _shuffled(face: NDArray[np.uint8], parts: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """A grid of ``parts`` by ``parts`` pieces, dealt anew; never as they were."""
    mixed = face.copy()
    tall, wide = face.shape[0] // parts, face.shape[1] // parts
    order = np.roll(rng.permutation(parts * parts), 1)
    for to, source in enumerate(order.tolist()):
        (y, x), (v, u) = divmod(to, parts), divmod(source, parts)
        mixed[y * tall : (y + 1) * tall, x * wide : (x + 1) * wide] = face[
            v * tall : (v + 1) * tall, u * wide : (u + 1) * wide
        ]
    return mixed
