"""Collages: cut-out people of all sizes before anything at all, with the truth of each face.

What teaches a detector where the faces are, and what is none: places, clutter, and decoys that have
everything of a face (its colours, its outline, hair, eyes) but not the whole of it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from common.faces.pictures import Picture
from common.synthetic.clutter import draw_clutter, scrambled
from common.synthetic.cutouts import Cutout, head_alone

Matrix = NDArray[np.float64]
_HIDDEN = 0.45  # share of a face's box; beyond it nobody need find the face, and nobody must not


@dataclass(frozen=True, kw_only=True, slots=True)
class CollageSize:
    """How large collages are and what is in them."""

    side: int = 192  # pixels
    smallest: float = 9.0  # height of a face in pixels
    largest: float = 165.0
    most: int = 6  # people
    empty: float = 0.12  # share of collages without anybody
    decoys: float = 0.5  # share of collages with decoys
    bare: float = 0.35  # share of people without a body, and half of these without hair
    clutter: float = 0.55  # share of collages before clutter, the others are before a place


@dataclass(frozen=True, slots=True, eq=False)
class Collage:
    """A picture (S, S, 3), boxes (N, 4) left, top, width, height, and landmarks (N, 5, 2).

    ``doubtful`` (N,) marks faces that are hidden, cut off or tiny: neither right nor wrong to find.
    """

    picture: Picture
    boxes: NDArray[np.float32]
    landmarks: NDArray[np.float32]
    doubtful: NDArray[np.bool_]


class Collages:
    """Draws collages of ``people`` before ``places`` (pictures of any size) and clutter."""

    def __init__(
        self, people: Sequence[Cutout], places: Sequence[Picture], size: CollageSize
    ) -> None:
        if not people or not places:
            raise ValueError("collages need at least one person and one place")
        self.people, self.places, self.size = people, places, size

    def draw(self, rng: np.random.Generator) -> Collage:
        """One collage; the same state of ``rng`` gives the same one."""
        size = self.size
        canvas = self._ground(rng).astype(np.float32)
        wanted = 0 if rng.random() < size.empty else int(rng.integers(1, size.most + 1))
        low, high = math.log(size.smallest), math.log(size.largest)
        heights = np.sort(np.exp(rng.uniform(low, high, wanted)))
        if wanted and heights[-1] > 0.4 * size.side:  # one near, few others
            heights = heights[-int(rng.integers(1, 3)) :]
        laid: list[_Laid] = []
        for tall in heights:
            someone = self._someone(rng)
            matrix = _placing(someone, float(tall), size.side, rng)
            if any(_overlap(_moved_box(someone, matrix), other.box) > 0.3 for other in laid):
                continue
            self._lay(canvas, someone, matrix, laid, rng)
        if rng.random() < size.decoys:
            self._decoys(canvas, laid, rng)
        return _finished(canvas, laid, size)

    def _someone(self, rng: np.random.Generator) -> Cutout:
        someone = self.people[int(rng.integers(len(self.people)))]
        if rng.random() >= self.size.bare:
            return someone
        return head_alone(someone, float(rng.uniform(1.0, 1.5)), bool(rng.random() < 0.5))

    def _ground(self, rng: np.random.Generator) -> Picture:
        side = self.size.side
        if rng.random() < self.size.clutter:
            return draw_clutter(side, rng)
        place = self.places[int(rng.integers(len(self.places)))]
        share = float(rng.uniform(0.3, 1)) * min(place.shape[:2])
        top = int(rng.integers(0, place.shape[0] - int(share) + 1))
        left = int(rng.integers(0, place.shape[1] - int(share) + 1))
        part = place[top : top + int(share), left : left + int(share)]
        ground = np.asarray(cv2.resize(part, (side, side)), np.uint8)
        return ground[:, ::-1].copy() if rng.random() < 0.5 else ground

    def _lay(
        self,
        canvas: NDArray[np.float32],
        someone: Cutout,
        matrix: Matrix,
        laid: "list[_Laid]",
        rng: np.random.Generator,
    ) -> None:
        cover = _pasted(canvas, someone, matrix, rng)
        for other in laid:
            np.maximum(other.hidden, cover, out=other.hidden)
        points = someone.landmarks @ matrix[:, :2].T + matrix[:, 2]
        if matrix[0, 0] * matrix[1, 1] < matrix[0, 1] * matrix[1, 0]:  # mirrored: sides change
            points = points[[1, 0, 2, 4, 3]]
        box = _moved_box(someone, matrix)
        laid.append(_Laid(box, points, np.zeros(canvas.shape[:2], np.float32)))

    def _decoys(
        self, canvas: NDArray[np.float32], laid: "list[_Laid]", rng: np.random.Generator
    ) -> None:
        """People whose faces are spoiled, where nobody is."""
        for _ in range(int(rng.integers(1, 4))):
            someone = scrambled(self.people[int(rng.integers(len(self.people)))], rng)
            tall = math.exp(float(rng.uniform(math.log(14), math.log(0.6 * self.size.side))))
            matrix = _placing(someone, tall, self.size.side, rng)
            whole = _whole_box(someone, matrix)
            if all(_overlap(whole, other.box) == 0 for other in laid):
                _pasted(canvas, someone, matrix, rng)


@dataclass(slots=True, eq=False)
class _Laid:
    """One face on the canvas, and what has been laid over it since."""

    box: tuple[float, float, float, float]
    points: NDArray[np.float64]
    hidden: NDArray[np.float32]


def _placing(someone: Cutout, tall: float, side: int, rng: np.random.Generator) -> Matrix:
    """Where a cutout goes (2, 3): scaled, turned, squeezed, mirrored, its middle in the picture."""
    left, top, wide, high = someone.box
    scale = tall / high
    turn = float(rng.normal(0, 0.16) if rng.random() < 0.85 else rng.uniform(-0.7, 0.7))
    squeeze = math.exp(float(rng.normal(0, 0.07)))
    mirror = -1.0 if rng.random() < 0.5 else 1.0
    across = np.array([math.cos(turn), math.sin(turn)]) * scale * squeeze * mirror
    down = np.array([-math.sin(turn), math.cos(turn)]) * scale / squeeze
    linear = np.stack([across, down], axis=1)
    margin = min(0.35 * tall, 0.45 * side)
    middle = rng.uniform(margin, side - margin, 2)
    shift = middle - linear @ np.array([left + wide / 2, top + high / 2])
    return np.hstack([linear, shift[:, None]])


def _pasted(
    canvas: NDArray[np.float32], someone: Cutout, matrix: Matrix, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Lays a cutout over the canvas, in a light of its own; returns what it covers (S, S)."""
    scale = math.sqrt(abs(float(np.linalg.det(matrix[:, :2]))))
    copy = int(np.clip(math.floor(-math.log2(max(scale, 1e-3))), 0, len(someone.copies) - 1))
    finer = 2**copy
    moved = matrix.copy()
    moved[:, :2] *= finer
    moved[:, 2] += matrix[:, :2] @ np.full(2, (finer - 1) / 2)
    cover = np.zeros(canvas.shape[:2], np.float32)
    left, top, wide, tall = _whole_box(someone, matrix)
    (x, right), (y, low) = (
        np.clip([start, start + reach + 1], 0, canvas.shape[0]).astype(int).tolist()
        for start, reach in ((left, wide), (top, tall))
    )
    if right - x < 1 or low - y < 1:
        return cover
    moved[:, 2] -= x, y
    over = cv2.warpAffine(someone.copies[copy], moved, (right - x, low - y))
    opaque = over[..., 3:].astype(np.float32) * np.float32(1 / 255)
    bright = np.exp(rng.normal(0, 0.28) + rng.normal(0, 0.1, 3)).astype(np.float32)
    part = canvas[y:low, x:right]
    part *= 1 - opaque
    part += over[..., :3] * bright
    cover[y:low, x:right] = opaque[..., 0]
    return cover


def _moved_box(someone: Cutout, matrix: Matrix) -> tuple[float, float, float, float]:
    """The upright box of the face where it was laid; of one that is turned, of its inscribed oval.

    The oval, because the corners of a turned box are not on the face.
    """
    left, top, wide, tall = someone.box
    middle = matrix[:, :2] @ np.array([left + wide / 2, top + tall / 2]) + matrix[:, 2]
    half = np.hypot(matrix[:, 0] * wide / 2, matrix[:, 1] * tall / 2)
    return (
        float(middle[0] - half[0]),
        float(middle[1] - half[1]),
        float(2 * half[0]),
        float(2 * half[1]),
    )


def _whole_box(someone: Cutout, matrix: Matrix) -> tuple[float, float, float, float]:
    """The upright box around all of a cutout."""
    high, wide = someone.copies[0].shape[:2]
    corners = np.array([[0, 0], [wide, 0], [0, high], [wide, high]], np.float64)
    there = corners @ matrix[:, :2].T + matrix[:, 2]
    (x, y), (right, low) = there.min(axis=0).tolist(), there.max(axis=0).tolist()
    return x, y, right - x, low - y


def _overlap(
    one: tuple[float, float, float, float], other: tuple[float, float, float, float]
) -> float:
    """What two boxes share, as a share of the smaller."""
    across = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    down = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    smaller = min(one[2] * one[3], other[2] * other[3])
    return max(0.0, across) * max(0.0, down) / max(smaller, 1e-9)


def _finished(canvas: NDArray[np.float32], laid: list[_Laid], size: CollageSize) -> Collage:
    doubtful = [_lost(one, canvas.shape[0]) > _HIDDEN or one.box[3] < size.smallest for one in laid]
    return Collage(
        np.clip(np.rint(canvas), 0, 255).astype(np.uint8),
        np.array([one.box for one in laid], np.float32).reshape(-1, 4),
        np.array([one.points for one in laid], np.float32).reshape(-1, 5, 2),
        np.array(doubtful, np.bool_),
    )


def _lost(one: _Laid, side: int) -> float:
    """The share of a face's box that is hidden or outside."""
    left, top, wide, tall = one.box
    rows = slice(max(0, round(top)), max(1, round(top + tall)))
    columns = slice(max(0, round(left)), max(1, round(left + wide)))
    return 1 - float((1 - one.hidden[rows, columns]).sum()) / max(wide * tall, 1.0)
