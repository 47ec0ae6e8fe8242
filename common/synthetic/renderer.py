"""Renders an invented person as an aligned crop: relief, colours, light, lens, in that order.

The face is drawn twice as large as the crop and averaged down. Each pixel of the screen is traced
back to the point of the face it shows, so that turning the head shifts the nose against the eyes;
the crop is then aligned by landmarks with an error, as a detector would do it.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from common.faces.align import TEMPLATE, similarity
from common.faces.crops import SIDE, Crop
from common.synthetic import paint, relief, wear
from common.synthetic.canvas import Colours, Map, Sheet, Texture, lay, soft
from common.synthetic.people import Person
from common.synthetic.variation import Variation

_FINE = 2  # samples per pixel of the crop, in each direction


def render(person: Person, variation: Variation) -> Crop:
    """The picture of ``person`` that ``variation`` describes, (112, 112, 3); no randomness left."""
    rng = np.random.default_rng(variation.scene)
    screen = _screen(person, variation)
    coarse = Sheet(screen.x[::_FINE, ::_FINE].copy(), screen.y[::_FINE, ::_FINE].copy())
    seen = relief.seen(person, variation.pose, coarse)
    height = _height(person, variation, seen)
    bright, gloss = relief.lit(_towards_viewer(height, seen, variation), variation.light, 1.0)
    face = Sheet(_enlarged(seen.x), _enlarged(seen.y))
    colour, cover = _figure(person, variation, face, rng)
    colour *= _enlarged(bright)
    colour += _enlarged(gloss) * cover
    picture = wear.background(screen, rng)
    lay(picture, colour, cover)
    if variation.glasses:
        rows, glare = face.rows(person.eyes.y - 18, person.eyes.y + 20), rng.uniform(0, 1) ** 3
        wear.paint_glasses(picture[:, rows], person, face.part(rows), float(glare))
    return _photographed(picture, variation, rng)


def landmarks(person: Person, variation: Variation) -> NDArray[np.float64]:
    """Eyes, nose tip and mouth corners (5, 2) on the screen, before alignment."""
    e, n, m = person.eyes, person.nose, person.mouth
    wide = paint.mouth_width(person, variation.expression)
    corner = m.y - m.curve - 3.0 * variation.expression.smile
    flat = [(-e.spacing, e.y), (e.spacing, e.y), (0, n.tip_y), (-wide, corner), (wide, corner)]
    x, y = np.array(flat, np.float32).T
    sheet = Sheet(x[None], y[None])
    z = relief.skull(person, sheet) + relief.nose(person, sheet)
    return relief.turned(np.stack([x, y, z[0]], axis=1).astype(np.float64), variation.pose)[:, :2]


def _screen(person: Person, variation: Variation) -> Sheet:
    """Where on the screen each sample of the crop lies, after alignment by faulty landmarks."""
    found = landmarks(person, variation) + np.asarray(variation.pose.jitter)
    matrix = similarity(found, TEMPLATE)
    back = np.linalg.inv(matrix[:, :2])
    row, column = np.mgrid[0 : SIDE * _FINE, 0 : SIDE * _FINE].astype(np.float64)
    column, row = (column + 0.5) / _FINE - 0.5, (row + 0.5) / _FINE - 0.5
    column, row = column - matrix[0, 2], row - matrix[1, 2]
    x = back[0, 0] * column + back[0, 1] * row
    y = back[1, 0] * column + back[1, 1] * row
    return Sheet(x.astype(np.float32), y.astype(np.float32))


def _height(person: Person, variation: Variation, seen: Sheet) -> Map:
    """Relief of the face that bends away towards the edge of the head."""
    wide, _ = relief.half_width(person, seen.y)
    rim = np.clip(seen.across / np.maximum(wide, 1), 0, 1.15)
    height = relief.skull(person, seen) + relief.nose(person, seen) - 7 * rim**5
    return height + relief.features(person, variation.expression, seen)


def _towards_viewer(height: Map, seen: Sheet, variation: Variation) -> Map:
    """Distance towards the viewer after the head has turned."""
    pose = variation.pose
    z = height * np.cos(pose.yaw) - seen.x * np.sin(pose.yaw)
    return np.asarray(z * np.cos(pose.pitch) + seen.y * np.sin(pose.pitch), np.float32)


def _figure(
    person: Person, variation: Variation, face: Sheet, rng: np.random.Generator
) -> tuple[Colours, Map]:
    """Colours of head, hair and body without light, and their coverage."""
    texture = Texture.drawn(person.texture)
    tone = paint.skin_tone(person)
    drop = 3.5 * variation.expression.open * np.clip((face.y - person.mouth.y) / 8, 0, 1)
    jaw = Sheet(face.x, face.y - drop)
    outside = relief.outside(person, jaw)
    behind, front = wear.hair_masks(person, variation, face, outside, texture)
    hair = wear.hair_colour(person, variation, face, texture)
    figure = 0.75 * hair
    body = wear.paint_body(figure, person, face, tone, rng)
    lay(figure, 0.75 * hair, behind)
    ears = wear.paint_ears(figure, person, face, tone)
    if person.hair.style in ("long", "curly"):
        lay(figure, 0.8 * hair, behind)
    head = soft(outside, 1.2)
    lay(figure, _painted_skin(person, variation, face, jaw), head)
    lay(figure, hair, front)
    return figure, np.maximum.reduce([body, behind, ears, head, front])


def _painted_skin(person: Person, variation: Variation, face: Sheet, jaw: Sheet) -> Colours:
    """Skin with everything on it; each part is painted only on the rows where it can show."""
    texture, expression = Texture.drawn(person.texture), variation.expression
    skin = paint.skin(person, face, texture)
    e, m, tip = person.eyes.y, person.mouth.y, person.nose.tip_y
    rows = face.rows(tip - 8, tip + 8)
    paint.paint_nostrils(skin[:, rows], person, face.part(rows))
    if person.hair.beard != "none":
        rows = jaw.rows(m - 28, m + 60)
        paint.paint_beard(skin[:, rows], person, jaw.part(rows), texture)
    rows = face.rows(m - 14, m + 16)
    paint.paint_mouth(skin[:, rows], person, expression, face.part(rows))
    rows = face.rows(e - 24, e + 2)
    paint.paint_brows(skin[:, rows], person, expression, face.part(rows), texture)
    rows = face.rows(e - 14, e + 12)
    paint.paint_eyes(skin[:, rows], person, expression, face.part(rows))
    return skin


def _photographed(picture: Colours, variation: Variation, rng: np.random.Generator) -> Crop:
    """Exposure, white balance, lens blur, and sensor noise."""
    light, whole = variation.light, np.ascontiguousarray(picture.transpose(1, 2, 0))
    small = np.asarray(cv2.resize(whole, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.float32)
    small = small * np.asarray(light.tint, np.float32) * np.float32(light.exposure)
    small = np.where(small > 0.8, 1 - 0.2 * np.exp(-(small - 0.8) / 0.2), small)  # soft shoulder
    small = np.asarray(cv2.GaussianBlur(small, (0, 0), variation.blur), np.float32)
    noisy = 255 * small + variation.noise * rng.standard_normal(small.shape, dtype=np.float32)
    return np.ascontiguousarray(np.clip(np.rint(noisy), 0, 255), np.uint8)


def _enlarged(values: Map) -> Map:
    """A coarse map as fine as the screen; samples keep their places."""
    size = SIDE * _FINE, SIDE * _FINE
    shift = np.array([[_FINE, 0, 0], [0, _FINE, 0]], np.float64)
    return np.asarray(
        cv2.warpAffine(
            values, shift, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        ),
        np.float32,
    )
