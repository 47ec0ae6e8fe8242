"""Whole photographs: several invented people of different sizes before one background.

People farther away are painted first, so that nearer ones may hide a part of them; whoever is
hidden too much is not labelled, as nobody could find them.
"""

import dataclasses
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.faces.pictures import Picture
from common.synthetic.bodies import upper_body, without_body
from common.synthetic.canvas import Colours, Map, Sheet
from common.synthetic.labels import Label, label
from common.synthetic.people import Person, draw_person
from common.synthetic.places import panorama
from common.synthetic.renderer import (
    FINE,
    GAMMA,
    Box,
    Sitter,
    box_of,
    developed,
    paint_person,
    placed,
    true_landmarks,
    true_outline,
    unprojected,
)
from common.synthetic.variation import Light, Variation, draw_variation

_FACE = 103.0  # from hairline to chin in the frame of the average face
_SIDEWAYS, _ABOVE, _BELOW = 130, 104, 1500  # how far a person reaches in that frame
_OVERLAP = 0.3  # share of the width of two faces that may overlap
_HIDDEN = 0.5  # a face is labelled if less of its box is hidden


@dataclass(frozen=True, kw_only=True, slots=True)
class SceneSize:
    """How large scenes are and how many people they show."""

    width: int = 640  # pixels
    height: int = 480
    fewest: int = 2
    most: int = 6
    smallest: float = 36.0  # height of a face in pixels
    largest: float = 150.0
    people: int = 10_000  # the first so many people of the seed may be seen

    def __post_init__(self) -> None:
        if not 1 <= self.fewest <= self.most:
            raise ValueError("a scene shows at least one person, and fewest is at most most")
        if self.people < self.most:
            raise ValueError("there must be as many people as a scene may show")
        if not 16 <= self.smallest <= self.largest <= 0.8 * min(self.width, self.height):
            raise ValueError("faces must be 16 pixels high or more and fit into the scene")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SceneFace:
    """One face in a scene; ``box`` and ``landmarks`` (5, 2) in pixels of the scene."""

    person: int
    box: Box
    landmarks: NDArray[np.float64]
    label: Label
    variation: Variation  # how the person looks, lit and turned as in the scene


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """A picture (H, W, 3) and the faces in it, from left to right."""

    picture: Picture
    faces: tuple[SceneFace, ...]


def draw_scene(number: int, seed: int, size: SceneSize | None = None) -> Scene:
    """Scene ``number`` under ``seed``; the same whatever other scenes are made.

    Its people are those that ``synthetic_faces`` makes with the same ``seed``.
    """
    size = size or SceneSize()
    rng = np.random.default_rng([seed, number, 2])
    picture = _place(rng, size)
    light, places = _light_there(rng), _places(rng, size)
    numbers = rng.choice(size.people, len(places), replace=False).tolist()
    faces: list[SceneFace] = []
    hidden = np.zeros((len(places), size.height, size.width), np.float32)
    for i, (place, person) in enumerate(zip(places, numbers, strict=True)):
        someone = draw_person(np.random.default_rng([seed, person, 0]))
        seen = _in_scene(draw_variation(someone, rng), light, rng)
        face, cover = paint_someone(picture, someone, seen, place)
        faces.append(dataclasses.replace(face, person=person))
        np.maximum(hidden[:i], cover, out=hidden[:i])
    blur, noise = float(rng.uniform(0.3, 0.6)), float(rng.uniform(0.5, 3))
    finished = developed(picture, dataclasses.replace(seen, blur=blur, noise=noise), rng)
    found = [f for f, over in zip(faces, hidden, strict=True) if _share(over, f.box) < _HIDDEN]
    return Scene(finished, tuple(sorted(found, key=lambda face: face.box[0])))


def _place(rng: np.random.Generator, size: SceneSize) -> Colours:
    row, column = np.mgrid[0 : size.height * FINE, 0 : size.width * FINE].astype(np.float32)
    unit = np.float32(200 / (size.height * FINE))
    screen = Sheet((column - size.width) * unit, (row - size.height) * unit)
    return np.asarray(panorama(screen, rng) ** np.float32(GAMMA), np.float32)


def _share(hidden: Map, box: Box) -> float:
    """The share of a box (left, top, width, height) that is hidden or outside the picture."""
    left, top, wide, tall = box
    rows = slice(max(0, round(top)), max(1, round(top + tall)))
    part = 1 - hidden[rows, max(0, round(left)) : max(1, round(left + wide))]
    return 1 - float(part.sum()) / (wide * tall)


def _light_there(rng: np.random.Generator) -> Light:
    """One light for everybody."""
    return draw_variation(draw_person(rng), rng).light


def _in_scene(variation: Variation, light: Light, rng: np.random.Generator) -> Variation:
    """The light of the place, a camera that is far away, and heads held upright, about."""
    old = variation.pose
    pose = dataclasses.replace(
        old, distance=900.0, pitch=0.7 * old.pitch, roll=float(rng.normal(0, 0.1))
    )
    return dataclasses.replace(variation, light=light, pose=pose, cut=0.0)


def _places(rng: np.random.Generator, size: SceneSize) -> list[tuple[float, float, float]]:
    """Middle (x, y) and height of each face, the smallest first; faces are about at one level."""
    wanted = int(rng.integers(size.fewest, size.most + 1))
    level = float(rng.uniform(0.36, 0.5)) * size.height
    found: list[tuple[float, float, float]] = []
    for _ in range(60):
        tall = math.exp(float(rng.uniform(math.log(size.smallest), math.log(size.largest))))
        x = float(rng.uniform(0.5 * tall, size.width - 0.5 * tall))
        y = level + float(rng.normal(0, 0.06)) * size.height
        y = float(np.clip(y, 0.65 * tall, size.height - 0.55 * tall))
        room = [abs(x - other) / (0.38 * (tall + height)) for other, _, height in found]
        if min(room, default=9.0) > 1 - _OVERLAP:
            found.append((x, y, tall))
        if len(found) == wanted:
            break
    return sorted(found, key=lambda place: place[2])


def paint_someone(
    picture: Colours, someone: Person, seen: Variation, place: tuple[float, float, float]
) -> tuple[SceneFace, Map]:
    """Paints one person; returns the face, and what of the scene (H, W) the person covers."""
    x, y, tall = place
    scale = tall / _FACE
    sitter = Sitter.of(someone, seen)
    matrix = np.array([[scale, 0, x], [0, scale, y + 6 * scale]])
    body, shift = upper_body(sitter)
    lower = matrix.copy()
    lower[:, 2] += scale * shift
    cover = _paint_part(picture, body, lower, (_SIDEWAYS, -20, _BELOW))
    head = dataclasses.replace(sitter, solid=without_body(sitter.solid, sitter.person))
    np.maximum(cover, _paint_part(picture, head, matrix, (100, _ABOVE, 110)), out=cover)
    face = SceneFace(
        person=0,
        box=box_of(true_outline(sitter), matrix),
        landmarks=placed(true_landmarks(sitter), matrix),
        label=label(someone, seen),
        variation=seen,
    )
    return face, cover


def _paint_part(
    picture: Colours, sitter: Sitter, matrix: NDArray[np.float64], reach: tuple[int, int, int]
) -> Map:
    """Paints what lies within ``reach`` (sideways, above, below) of the middle of the face."""
    scale, (x, y) = matrix[0, 0], matrix[:, 2]
    height, width = picture.shape[1] // FINE, picture.shape[2] // FINE
    left, right = np.clip([x - reach[0] * scale, x + reach[0] * scale], 0, width).astype(int)
    top, low = np.clip([y - reach[1] * scale, y + reach[2] * scale], 0, height).astype(int)
    cover = np.zeros((height, width), np.float32)
    if right - left < 2 or low - top < 2:
        return cover
    part = picture[:, FINE * top : FINE * low, FINE * left : FINE * right]
    finer = 1 if scale > 0.7 else 2  # small faces are painted larger than they are shown
    large = np.ascontiguousarray(part.repeat(finer, 1).repeat(finer, 2))
    moved = _finer(matrix - [[0, 0, left], [0, 0, top]], finer)
    screen = unprojected(moved, (finer * int(right - left), finer * int(low - top)))
    over = paint_person(large, sitter, screen)
    part[:] = _averaged(large, finer)
    cover[top:low, left:right] = _averaged(over[None], finer * FINE)[0]
    return cover


def _finer(matrix: NDArray[np.float64], factor: int) -> NDArray[np.float64]:
    """The same place in a picture with ``factor`` pixels for each; centres stay centres."""
    finer = matrix * factor
    finer[:, 2] += 0.5 * (factor - 1)
    return finer


def _averaged(values: Colours, factor: int) -> Colours:
    """Means over squares of ``factor`` samples of (C, H, W)."""
    count, height, width = values.shape
    squares = values.reshape(count, height // factor, factor, width // factor, factor)
    return np.asarray(squares.mean(axis=(2, 4)), np.float32)
