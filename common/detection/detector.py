"""Our own detector behind the interface that all detectors share: a network, run by onnxruntime."""

import math
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from common.detection.cells import STRIDES
from common.detection.decoding import Found, decode, suppress
from common.detection.weights import SHIPPED, read_detector
from common.faces.detect import Face
from common.faces.pictures import Picture
from common.models.onnx_graph import Graph
from common.models.runtime import Runtime

LONGEST = 1024  # pixels; larger photographs are shrunk before searching
SMALLER = (320, 112)  # pixels; more looks for faces that fill a large photograph
_LARGE = 36.0  # pixels; what is smaller in a small copy was seen better in a larger one
_STEP = STRIDES[-1]


class OwnDetector:
    """Finds faces from about 12 pixels to all of the picture.

    Looks at the picture, and at small copies, in which the largest faces fit the network.
    """

    def __init__(
        self, source: Path = SHIPPED, threshold: float | None = None, threads: int = 1
    ) -> None:
        graph, manifest = read_detector(source)
        self.threshold = manifest.threshold if threshold is None else threshold
        self.certain = max(manifest.certain, self.threshold)
        self._runtime = Runtime(_AnySize.of(graph), single=True, threads=threads)

    def find(self, picture: Picture) -> tuple[Face, ...]:
        found = self.look(picture)
        size = picture.shape[1], picture.shape[0]
        faces = []
        for score, box, points in zip(found.score, found.boxes, found.landmarks, strict=True):
            left, top, wide, tall = (float(v) for v in box)
            if -wide < left < size[0] and -tall < top < size[1]:
                certain = bool(score >= self.certain)
                faces.append(Face((left, top, wide, tall), float(score), points, certain=certain))
        return tuple(sorted(faces, key=lambda face: (-face.area, face.box)))

    def look(self, picture: Picture) -> Found:
        """As ``find``, as arrays, the surest first."""
        longest = max(picture.shape[:2])
        found = [self._look_at(picture, min(1.0, LONGEST / longest))]
        for side in SMALLER:
            if side < longest:
                scale = side / longest
                look = self._look_at(picture, scale)
                large = np.sqrt(look.boxes[:, 2] * look.boxes[:, 3]) * scale >= _LARGE
                found.append(Found(look.score[large], look.boxes[large], look.landmarks[large]))
        return _merged(found)

    def _look_at(self, picture: Picture, scale: float) -> Found:
        planes = _planes(_scaled(picture, scale))
        answers = self._runtime.run(planes)[0]
        found = decode(answers, planes.shape[2:], self.threshold)
        return Found(found.score, found.boxes / scale, found.landmarks / scale)


@dataclass(frozen=True, eq=False)
class _AnySize(Graph):
    """A graph whose input may have any sides."""

    @classmethod
    def of(cls, graph: Graph) -> "_AnySize":
        return cls(**{name: getattr(graph, name) for name in Graph.__dataclass_fields__})

    def protobuf(self, batch: int | str = "batch") -> bytes:
        import onnx

        model = onnx.load_model_from_string(super().protobuf(batch))
        sides = model.graph.input[0].type.tensor_type.shape.dim
        sides[2].dim_param, sides[3].dim_param = "height", "width"
        return bytes(model.SerializeToString())


def _merged(looks: list[Found]) -> Found:
    """The surest of what several looks found of the same face."""
    score = np.concatenate([one.score for one in looks])
    order = np.argsort(-score, kind="stable")
    boxes = np.concatenate([one.boxes for one in looks])[order]
    landmarks = np.concatenate([one.landmarks for one in looks])[order]
    kept = suppress(boxes, 0.4)
    return Found(score[order][kept], boxes[kept], landmarks[kept])


def _scaled(picture: Picture, scale: float) -> Picture:
    if scale == 1:
        return picture
    size = max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def _planes(picture: Picture) -> NDArray[np.float32]:
    """(1, 3, H, W) in [-1, 1], grey to the right and below up to whole steps of the network."""
    height, width = (math.ceil(side / _STEP) * _STEP for side in picture.shape[:2])
    planes = np.zeros((1, 3, height, width), np.float32)
    values = picture.transpose(2, 0, 1).astype(np.float32) / np.float32(127.5) - 1
    planes[0, :, : picture.shape[0], : picture.shape[1]] = values
    return planes
