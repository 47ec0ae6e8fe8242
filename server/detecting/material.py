"""What a detector learns from: cut-out people, places, and scenes with truth to be judged by.

All are invented, drawn from seeds; they are kept beside a training that may be taken up again.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from common.detection.cells import STRIDES, Floats, cells
from common.detection.targets import make_targets
from common.faces.pictures import Picture
from common.synthetic.canvas import Sheet
from common.synthetic.clutter import draw_clutter
from common.synthetic.collages import Collage, Collages, CollageSize
from common.synthetic.cutouts import Cutout, copies_of, draw_cutout
from common.synthetic.places import panorama
from common.synthetic.scenes import Scene, SceneSize, draw_scene
from server.detecting.options import CHECKED, DetectorOptions, scene_camera

PEOPLE = "people.npz"
_COLOURLESS = 0.25  # share of collages in grey: else skin is told from all else by its colour
_PLACE = (240, 320)  # height and width of a place
CHECK_SIZE = SceneSize(width=288, height=192, fewest=1, most=5, smallest=16, largest=110)

Told = Callable[[str, int, int], None]  # what is being made, how many are, how many shall be


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Pictures (B, S, S, 3) uint8 and what each of N cells should say of them."""

    pictures: NDArray[np.uint8]
    face: NDArray[np.int8]
    box: Floats
    landmarks: Floats


def make_collages(options: DetectorOptions, folder: Path, told: Told) -> Collages:
    """Cut-outs and places of the seed of ``options``; the cut-outs are kept in ``folder``."""
    rng = np.random.default_rng([options.seed, 1])
    kept = folder / PEOPLE
    people = _read(kept, options.seed) if kept.is_file() else []
    if len(people) != options.people:
        people = []
        for number in range(options.people):
            people.append(draw_cutout(number, options.seed))
            told("people", number + 1, options.people)
        _keep(people, kept, options.seed)
    places = [_place(rng) for _ in range(options.places)]
    return Collages(
        people, places, CollageSize(side=options.side, largest=0.85 * options.side, most=4)
    )


def _keep(people: list[Cutout], path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name("people.part.npz")
    np.savez(
        part,
        seed=np.array(seed),
        pixels=np.stack([one.copies[0] for one in people]),
        landmarks=np.stack([one.landmarks for one in people]),
        box=np.array([one.box for one in people]),
    )
    part.replace(path)


def _read(path: Path, seed: int) -> list[Cutout]:
    with np.load(path, allow_pickle=False) as arrays:
        if int(arrays["seed"]) != seed:
            return []
        rows = zip(arrays["pixels"], arrays["landmarks"], arrays["box"].tolist(), strict=True)
        return [Cutout(copies_of(pixels), points, tuple(box)) for pixels, points, box in rows]


def make_scenes(number: int, told: Told) -> list[Scene]:
    """Scenes of people that no training sees, and as many pictures of nobody."""
    scenes = []
    for index in range(number):
        nobody = draw_clutter(CHECK_SIZE.height, np.random.default_rng([CHECKED, index, 5]))
        scenes += [draw_scene(index, CHECKED, CHECK_SIZE), Scene(nobody, ())]
        told("scenes", index + 1, number)
    return scenes


def draw_batch(collages: Collages, size: int, rng: np.random.Generator) -> Batch:
    """``size`` collages as cameras show them."""
    drawn = [_photographed(collages.draw(rng), rng) for _ in range(size)]
    side = drawn[0].picture.shape[0]
    targets = [make_targets((side, side), c.boxes, c.landmarks, c.doubtful) for c in drawn]
    return Batch(
        np.stack([c.picture for c in drawn]),
        np.stack([t.face for t in targets]),
        np.stack([t.box for t in targets]),
        np.stack([t.landmarks for t in targets]),
    )


def mirrored(batch: Batch, side: int, rng: np.random.Generator) -> Batch:
    """The same batch seen in a mirror, in another light: a second lesson for next to nothing."""
    bright = rng.normal(1, 0.12, (len(batch.pictures), 1, 1, 1)).astype(np.float32)
    pictures = np.clip(batch.pictures[:, :, ::-1] * bright, 0, 255).astype(np.uint8)
    order = _mirrored_cells(side)
    box = batch.box[:, order].copy()
    box[..., 0] = side - 1 - box[..., 0]  # places are of pixels' centres
    points = batch.landmarks[:, order].reshape(*box.shape[:2], 5, 2)[:, :, [1, 0, 2, 4, 3]].copy()
    points[..., 0] = side - 1 - points[..., 0]
    return Batch(pictures, batch.face[:, order].copy(), box, points.reshape(*box.shape[:2], 10))


def _mirrored_cells(side: int) -> NDArray[np.int64]:
    """For each cell the row of the one that takes its place."""
    parts, start = [], 0
    for stride in STRIDES:
        row = np.arange((side // stride) ** 2).reshape(side // stride, side // stride)
        parts.append(start + row[:, ::-1].ravel())
        start += row.size
    return np.concatenate(parts)


def grid(side: int) -> tuple[Floats, Floats]:
    """The cells of a collage."""
    return cells(side, side)


def _photographed(collage: Collage, rng: np.random.Generator) -> Collage:
    camera = scene_camera(int(rng.integers(1 << 31)))
    picture = camera.shoot(collage.picture)
    tint = rng.normal(1, 0.12, 3).astype(np.float32)
    picture = np.clip(picture * tint, 0, 255).astype(np.uint8)
    if rng.random() < _COLOURLESS:
        grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
        picture = np.repeat(grey[..., None], 3, axis=2)
    return Collage(picture, collage.boxes, collage.landmarks, collage.doubtful)


def _place(rng: np.random.Generator) -> Picture:
    row, column = np.mgrid[0 : _PLACE[0], 0 : _PLACE[1]].astype(np.float32)
    unit = np.float32(200 / _PLACE[0])
    screen = Sheet((column - _PLACE[1] / 2) * unit, (row - _PLACE[0] / 2) * unit)
    colour = panorama(screen, rng).transpose(1, 2, 0)
    sharp = 255 * colour + 8 * (colour - cv2.GaussianBlur(colour, (0, 0), 2)) * rng.uniform(0, 255)
    return np.clip(np.rint(sharp), 0, 255).astype(np.uint8)
