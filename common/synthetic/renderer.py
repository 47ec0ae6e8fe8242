"""Renders an invented person as an aligned crop: rays, colours, light, lens, in that order.

The face is painted twice as large as the crop and averaged down. Each pixel is traced back to the
point of the head it shows, so that a nose hides the cheek behind it; the crop is then aligned by
landmarks with an error, as a detector would do it.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from common.faces.align import TEMPLATE, similarity
from common.faces.crops import SIDE, Crop
from common.faces.pictures import Picture
from common.synthetic import hair, light, paint, tracing, wear
from common.synthetic.backdrop import background
from common.synthetic.canvas import Colours, Map, Sheet, Texture, lay, soft, tint
from common.synthetic.obstacles import paint_obstacle
from common.synthetic.people import Person
from common.synthetic.relief import half_width
from common.synthetic.solid import Solid, build
from common.synthetic.variation import Variation, on_the_day

FINE = 2  # samples per pixel of the crop, in each direction
GAMMA = 2.2

Box = tuple[float, float, float, float]  # left, top, width, height in pixels


@dataclass(frozen=True, slots=True)
class Sitter:
    """Somebody as they are on one day, ready to be painted.

    ``metered`` is the share of light that the camera takes the person to reflect; by default it
    measures, as cameras do.
    """

    person: Person
    variation: Variation
    solid: Solid
    metered: float | None = None

    @classmethod
    def of(cls, person: Person, variation: Variation) -> "Sitter":
        """``person`` in the looks of ``variation``."""
        today = on_the_day(person, variation)
        return cls(today, variation, build(today, variation))


@dataclass(frozen=True, slots=True)
class _View:
    """One picture of somebody, and what each ray met (on every second sample)."""

    sitter: Sitter
    screen: Sheet
    seen: tracing.Seen

    @property
    def person(self) -> Person:
        return self.sitter.person

    @property
    def variation(self) -> Variation:
        return self.sitter.variation


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """A crop, and where on it the face truly is."""

    crop: Crop
    landmarks: NDArray[np.float64]  # (5, 2) pixels of the crop, without the error of the alignment
    box: Box


def render(person: Person, variation: Variation) -> Crop:
    """The picture of ``person`` that ``variation`` describes, (112, 112, 3); no randomness left."""
    return shoot(person, variation).crop


def shoot(person: Person, variation: Variation) -> Shot:
    """As ``render``, with the place of the face."""
    rng = np.random.default_rng(variation.scene)
    sitter = Sitter.of(person, variation)
    found = true_landmarks(sitter)
    matrix = similarity(found + np.asarray(variation.pose.jitter), TEMPLATE)
    screen = unprojected(matrix, (SIDE, SIDE))
    picture = background(screen, rng) ** np.float32(GAMMA)
    paint_person(picture, sitter, screen)
    box = box_of(true_outline(sitter), matrix)
    return Shot(_photographed(picture, variation, rng), placed(found, matrix), box)


def landmarks(person: Person, variation: Variation) -> NDArray[np.float64]:
    """Eyes, nose tip and mouth corners (5, 2) on the screen, before alignment."""
    return true_landmarks(Sitter.of(person, variation))


def placed(points: NDArray[np.float64], matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points (N, 2) of the screen in pixels of the picture that ``matrix`` (2, 3) leads to."""
    return np.asarray(points @ matrix[:, :2].T + matrix[:, 2])


def box_of(points: NDArray[np.float64], matrix: NDArray[np.float64]) -> Box:
    """The upright box around points (N, 2) of the screen, in pixels of the picture."""
    inside = placed(points, matrix)
    (x, y), (right, low) = inside.min(axis=0).tolist(), inside.max(axis=0).tolist()
    return x, y, right - x, low - y


def paint_person(picture: Colours, sitter: Sitter, screen: Sheet) -> Map:
    """Paints the person over ``picture`` (3, H, W), linear; returns what is covered (H, W)."""
    variation = sitter.variation
    coarse = Sheet(screen.x[::FINE, ::FINE].copy(), screen.y[::FINE, ::FINE].copy())
    seen = tracing.look(sitter.solid, variation.pose, coarse)
    view = _View(sitter, screen, seen)
    colour, glint = _colours(view)
    edge = _enlarged(np.asarray(cv2.GaussianBlur(seen.hit, (0, 0), 0.9), np.float32))
    cover = soft(0.5 - edge, 0.45)
    received, gloss = light.shine_on(sitter.solid, seen, variation)
    for channel, bright in zip(colour, received, strict=True):
        channel *= _enlarged(bright)
    colour += _enlarged(gloss * (seen.over[..., 1] < 0))
    colour += glint
    if sitter.metered is None:
        exposure = _exposure(colour, cover, sitter.person)
    else:
        exposure = _exposure(sitter.metered * received, seen.hit, sitter.person)
    lay(picture, colour * exposure, cover)
    if variation.looks.eyewear != "none":
        _put_on_glasses(picture, view)
    paint_obstacle(picture, sitter.person, variation, screen)
    return cover


def true_landmarks(sitter: Sitter) -> NDArray[np.float64]:
    """As ``landmarks``, of somebody as they are on that day."""
    today, expression = sitter.person, sitter.variation.expression
    e, n = today.eyes, today.nose
    wide = paint.mouth_width(today, expression)
    x = np.array([-wide, wide], np.float32)
    _, upper, lower, _ = paint.mouth_lines(today, expression, x)
    corner = 0.5 * (upper + lower)
    flat = [(-e.spacing, e.y), (e.spacing, e.y), (0, n.tip_y)]
    flat += [(-wide, float(corner[0])), (wide, float(corner[1]))]
    return on_screen(np.array(flat), sitter)


def true_outline(sitter: Sitter) -> NDArray[np.float64]:
    """Points (N, 2) on the screen: landmarks, hairline, chin, and both sides of the face."""
    o, top = sitter.person.outline, sitter.person.hair.line_y
    rows = np.array([-40.0, -10.0, 20.0])
    wide = 0.95 * half_width(sitter.person, rows).astype(np.float64)
    sides = np.concatenate([np.stack([-wide, rows], 1), np.stack([wide, rows], 1)])
    edge = on_screen(np.vstack([sides, [[0, top], [0, o.chin_y - 1]]]), sitter)
    return np.vstack([edge, true_landmarks(sitter)])


def on_screen(points: NDArray[np.float64], sitter: Sitter) -> NDArray[np.float64]:
    """Where the camera sees points (N, 2) of the bare face, (N, 2)."""
    whole = np.column_stack([points, sitter.solid.skin_at(points)])
    return tracing.projected(whole, sitter.variation.pose)


def unprojected(matrix: NDArray[np.float64], size: tuple[int, int]) -> Sheet:
    """Where on the screen the samples of a picture of ``size`` (width, height) lie.

    ``matrix`` (2, 3) leads from the screen to pixels of the picture.
    """
    back = np.linalg.inv(matrix[:, :2])
    row, column = np.mgrid[0 : size[1] * FINE, 0 : size[0] * FINE].astype(np.float64)
    column, row = (column + 0.5) / FINE - 0.5, (row + 0.5) / FINE - 0.5
    column, row = column - matrix[0, 2], row - matrix[1, 2]
    x = back[0, 0] * column + back[0, 1] * row
    y = back[1, 0] * column + back[1, 1] * row
    return Sheet(x.astype(np.float32), y.astype(np.float32))


def _colours(view: _View) -> tuple[Colours, Map]:
    """Colours of everything without light (linear), and the glint in the eyes."""
    person, variation, seen = view.person, view.variation, view.seen
    texture = Texture.drawn(person.texture)
    face, depth = (
        Sheet(_enlarged(seen.point[0]), _enlarged(seen.point[1])),
        _enlarged(seen.point[2]),
    )
    colour, glint = _painted_skin(view, face, texture)
    if variation.looks.eyewear != "none":
        wear.paint_arms(colour, person, face, depth, person.eyes.spacing + person.glasses.width - 3)
    if variation.obstacle == "mask":
        wear.paint_mask(colour, person, face, variation.scene)
    strands_over, cloth_over = _enlarged(seen.over[..., 0]), _enlarged(seen.over[..., 1])
    glow = _enlarged(light.sheen(seen, variation))
    if strands_over.max() > -2:
        hue, strands = hair.head_hair(person, face, depth, texture)
        cover = soft(-strands_over - 0.7 * strands + 0.3, 2.0)
        tint(hue, 0.55 * glow * (1 + 0.8 * np.clip(strands, -1, 1.5)), (0.9, 1, 1.1))
        lay(colour, hue, cover)
        glint = glint * (1 - cover)
    if cloth_over.max() > -1:
        cover = soft(-cloth_over, 1.0)
        lay(colour, wear.cloth(person, variation, face, depth), cover)
        glint = glint * (1 - cover)
    return np.asarray(cv2.pow(np.maximum(colour, 0), GAMMA), np.float32), glint


def _painted_skin(view: _View, face: Sheet, texture: Texture) -> tuple[Colours, Map]:
    """Skin with everything on it; each part is painted only on the rows where it can show."""
    person, expression = view.person, view.variation.expression
    skin = paint.skin(person, face, texture)
    e, m, tip = person.eyes.y, person.mouth.y, person.nose.tip_y
    drop = 4 * expression.open * np.clip((face.y - m - 2) / 10, 0, 1)
    jaw = Sheet(face.x, face.y - drop)
    rows = face.rows(-24, 8)
    wear.paint_ears(skin[:, rows], person, face.part(rows))
    rows = face.rows(tip - 8, tip + 8)
    paint.paint_nostrils(skin[:, rows], person, face.part(rows))
    if person.hair.beard != "none":
        rows = jaw.rows(m - 30, m + 60)
        hair.paint_beard(skin[:, rows], person, jaw.part(rows), texture)
    rows = face.rows(m - 14, m + 18)
    paint.paint_mouth(skin[:, rows], person, expression, face.part(rows))
    rows = face.rows(e - 24, e + 2)
    hair.paint_brows(skin[:, rows], person, expression, face.part(rows), texture)
    rows = face.rows(e - 14, e + 12)
    glint = np.zeros_like(face.x)
    lamp = view.variation.light.direction
    glint[rows] = paint.paint_eyes(skin[:, rows], person, expression, face.part(rows), lamp)
    return skin, glint


def _put_on_glasses(picture: Colours, view: _View) -> None:
    person, variation = view.person, view.variation
    eyes = np.array([[0.0, person.eyes.y + 2]])
    height = float(view.sitter.solid.skin_at(eyes)[0]) + 1
    flat = tracing.plane(variation.pose, view.screen, height)
    rows = flat.rows(person.eyes.y - 18, person.eyes.y + 20)
    glare = float(np.random.default_rng(variation.scene + 2).uniform(0, 1) ** 3)
    wear.paint_glasses(picture[:, rows], person, flat.part(rows), variation, glare)


def _exposure(colour: Colours, cover: Map, person: Person) -> np.float32:
    """What a camera does of itself: brings the person near a middle brightness, not quite."""
    bright = float((colour.mean(axis=0) * cover).sum() / max(1.0, float(cover.sum())))
    wanted = 0.27 - 0.14 * person.skin.melanin
    return np.float32((wanted / max(bright, 1e-3)) ** 0.7)


def developed(picture: Colours, variation: Variation, rng: np.random.Generator) -> Picture:
    """Exposure, white balance, highlights, lens blur and sensor noise of a linear picture."""
    lamp, whole = variation.light, np.ascontiguousarray(picture.transpose(1, 2, 0))
    size = picture.shape[2] // FINE, picture.shape[1] // FINE
    small = np.asarray(cv2.resize(whole, size, interpolation=cv2.INTER_AREA), np.float32)
    small = small * np.asarray(lamp.tint, np.float32) * np.float32(lamp.exposure)
    small = np.where(small > 0.6, 1 - 0.4 * np.exp(-(small - 0.6) / 0.4), np.maximum(small, 0))
    small = np.asarray(cv2.pow(small.astype(np.float32), 1 / GAMMA), np.float32)
    small = np.asarray(cv2.GaussianBlur(small, (0, 0), variation.blur), np.float32)
    noisy = 255 * small + variation.noise * rng.standard_normal(small.shape, dtype=np.float32)
    return np.ascontiguousarray(np.clip(np.rint(noisy), 0, 255), np.uint8)


def _photographed(picture: Colours, variation: Variation, rng: np.random.Generator) -> Crop:
    crop = developed(picture, variation, rng)
    lost = round(SIDE * abs(variation.cut))
    if lost:
        crop[:, slice(0, lost) if variation.cut < 0 else slice(SIDE - lost, SIDE)] = 0
    return crop


def _enlarged(values: Map) -> Map:
    """A coarse map as fine as the screen; samples keep their places."""
    size = values.shape[1] * FINE, values.shape[0] * FINE
    shift = np.array([[FINE, 0, 0], [0, FINE, 0]], np.float64)
    flags = cv2.INTER_LINEAR
    return np.asarray(
        cv2.warpAffine(
            np.ascontiguousarray(values, np.float32),
            shift,
            size,
            flags=flags,
            borderMode=cv2.BORDER_REPLICATE,
        ),
        np.float32,
    )
