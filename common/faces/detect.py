"""Finding faces in a photograph: a network where its weights are configured, else Haar cascades.

All answer with the same ``Face``. YuNet and our own network (``common.detection``) see five
landmarks; the cascades see a box and, with luck, two eyes, and the other points are placed where an
average face has them, so crops aligned that way are coarser.
"""

import math
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from common.errors import ModelError, NoFaceError
from common.faces.align import TEMPLATE, similarity
from common.faces.crops import SIDE
from common.faces.pictures import Picture

LONGEST = 1280  # pixels; larger photographs are shrunk before searching
OWN = "own"  # our own detector, where weights of one could be named
_CERTAIN = 0.8  # YuNet's score from which it has no doubts
_SMALL = 320  # pixels; faces that fill a large photograph are only found in a small copy


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """One face found; all in pixels of the photograph.

    Leaks: landmarks are biometric data; they stay where the picture is.
    """

    box: tuple[float, float, float, float]  # left, top, width, height
    score: float  # the detector's own confidence; not comparable between detectors
    landmarks: NDArray[np.float32] | None  # (5, 2), in the order of the alignment template
    eyes_found: bool = True  # False where the landmarks are a guess from the box
    certain: bool = True  # False where the detector itself has its doubts

    @property
    def area(self) -> float:
        """Of the box, in pixels."""
        return self.box[2] * self.box[3]


class Detector(Protocol):
    """Whatever finds faces."""

    def find(self, picture: Picture) -> tuple[Face, ...]:
        """The faces in ``picture`` (H, W, 3), largest first; empty if there are none."""


def make_detector(weights: Path | None) -> Detector:
    """What the ``weights`` are of: a folder or safetensors file our own detector's, ONNX YuNet's.

    Without any, the cascades that OpenCV brings. A file called ``own`` that is not there means our
    own detector with the weights it is shipped with.
    """
    if weights is None:
        return HaarDetector()
    if weights.is_dir() or weights.suffix == ".safetensors" or _shipped(weights):
        from common.detection.detector import OwnDetector

        return OwnDetector() if _shipped(weights) else OwnDetector(weights)
    return YuNetDetector(weights)


def largest(faces: tuple[Face, ...]) -> Face:
    """The face a portrait is of: the one with the largest box. ``NoFaceError`` if none is."""
    if not faces:
        raise NoFaceError("no face was found")
    return max(faces, key=lambda face: face.area)


class YuNetDetector:
    """YuNet through OpenCV (Wu et al. 2023, doi:10.1007/s11633-023-1423-y)."""

    def __init__(self, weights: Path, threshold: float = 0.7) -> None:
        self._busy = threading.Lock()  # OpenCV's detector keeps the size it was told last
        try:
            model = np.frombuffer(_with_fixed_input(weights), np.uint8)
            self._net = cv2.FaceDetectorYN.create(
                "onnx", model, np.zeros(0, np.uint8), (_SMALL, _SMALL), threshold, 0.3, 5000
            )
        except cv2.error as error:
            raise ModelError(f"{weights}: not a YuNet network ({error.code})") from None

    def find(self, picture: Picture) -> tuple[Face, ...]:
        """The network is tried on a small copy where it finds nothing in the large one."""
        longest = max(picture.shape[:2])
        for side in (LONGEST, _SMALL):
            if side == _SMALL and longest <= _SMALL:
                break
            found = self._find_at(picture, min(1.0, side / longest))
            if found:
                return found
        return ()

    def _find_at(self, picture: Picture, scale: float) -> tuple[Face, ...]:
        small = _padded(_scaled(picture, scale)[..., ::-1])
        with self._busy:
            self._net.setInputSize((small.shape[1], small.shape[0]))
            _, rows = self._net.detect(small)
        if rows is None:
            return ()
        size = picture.shape[1], picture.shape[0]
        found = np.asarray(rows, np.float64)
        faces = [_from_row(row[:14] / scale, float(row[14]), size) for row in found]
        return _by_size([face for face in faces if face is not None])


class HaarDetector:
    """Viola and Jones 2001, as shipped with OpenCV before version 5: frontal faces, then eyes."""

    def __init__(self) -> None:
        if not hasattr(cv2, "CascadeClassifier"):
            raise ModelError(
                "this OpenCV has no cascades: install a version below 5, or set weights"
            )
        self._faces = _cascade("haarcascade_frontalface_alt2.xml")
        self._eyes = _cascade("haarcascade_eye_tree_eyeglasses.xml")

    def find(self, picture: Picture) -> tuple[Face, ...]:
        scale = min(1.0, LONGEST / max(picture.shape[:2]))
        small = _scaled(picture, scale)
        grey = cv2.equalizeHist(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY))
        found, _, weights = self._faces.detectMultiScale3(
            grey, scaleFactor=1.1, minNeighbors=4, minSize=(24, 24), outputRejectLevels=True
        )
        faces = []
        for box, weight in zip(np.reshape(found, (-1, 4)), np.ravel(weights), strict=True):
            left, top, width, height = (float(v) / scale for v in box)
            points, seen = self._landmarks(grey, [int(v) for v in box])
            found_at = (left, top, width, height)
            faces.append(Face(found_at, float(weight), points / np.float32(scale), seen))
        return _by_size(faces)

    def _landmarks(self, grey: NDArray[Any], box: list[int]) -> tuple[NDArray[np.float32], bool]:
        """Five points (5, 2): through both eyes where they are found, else by the box alone.

        And whether they were found.
        """
        left, top, side = box[0], box[1], box[2]
        guess = _AVERAGE * side + (left, top)
        upper = grey[top : top + round(0.6 * side), left : left + side]
        least = (max(8, side // 8),) * 2
        boxes = self._eyes.detectMultiScale(upper, 1.05, 3, minSize=least)
        centres = [(left + x + w / 2, top + y + h / 2) for x, y, w, h in np.reshape(boxes, (-1, 4))]
        eyes = [_nearest(centres, place, 0.14 * side) for place in guess[:2]]
        if eyes[0] is None or eyes[1] is None:
            return guess.astype(np.float32), False
        matrix = similarity(guess[:2], np.array(eyes))
        return (guess @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32), True


# Where five landmarks lie in a cascade's box, as shares of its side: medians over 187 faces in
# crowds, as YuNet sees them, made symmetric.
_AVERAGE: NDArray[np.float64] = np.array(
    [[0.31, 0.393], [0.69, 0.393], [0.5, 0.6], [0.338, 0.765], [0.662, 0.765]]
)


class WholePicture:
    """Takes each picture for the aligned crop of one face, of whatever size; looks for nothing.

    Where a camera, or whoever made a data set, has found and aligned the faces already. What is
    not square is no such crop.
    """

    def find(self, picture: Picture) -> tuple[Face, ...]:
        height, width = picture.shape[:2]
        if height != width:
            return ()
        points = (TEMPLATE + 0.5) * (width / SIDE) - 0.5  # of pixels' centres
        return (Face((0.0, 0.0, width, height), 1.0, points.astype(np.float32)),)


def _shipped(weights: Path) -> bool:
    return weights.name == OWN and not weights.exists()


def _cascade(name: str) -> Any:
    folder = Path(str(cv2.__file__)).parent / "data"
    cascade = cv2.CascadeClassifier(str(folder / name))
    if cascade.empty():
        raise ModelError(f"OpenCV's {name} is missing or damaged")
    return cascade


_OUTPUTS = {f"{kind}_{step}" for kind in ("cls", "obj", "bbox", "kps") for step in (8, 16, 32)}


def _with_fixed_input(weights: Path) -> bytes:
    """The file's bytes, with sizes put in where its input leaves them open.

    OpenCV 4 cannot import a network whose input has no fixed size, though it then runs it at any.
    """
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load_model_from_string(weights.read_bytes())
    except OSError as error:
        raise ModelError(f"{weights}: cannot be read ({error.strerror})") from None
    except DecodeError:
        raise ModelError(f"{weights}: not an ONNX file") from None
    inputs, outputs = model.graph.input, {output.name for output in model.graph.output}
    sizes = inputs[0].type.tensor_type.shape.dim if len(inputs) == 1 else ()
    if len(sizes) != 4 or not outputs.issuperset(_OUTPUTS):
        raise ModelError(f"{weights}: not a YuNet network")
    for size, default in zip(sizes, (1, 3, 640, 640), strict=True):
        size.dim_value = size.dim_value or default
    return bytes(model.SerializeToString())


def _scaled(picture: Picture, scale: float) -> Picture:
    if scale >= 1:
        return picture
    height, width = picture.shape[:2]
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def _padded(picture: Picture) -> Picture:
    """Black to the right and below up to whole steps of the network, and at least two of them.

    OpenCV pads by itself too, but on pictures a few pixels wide it then reads stray memory.
    """
    height, width = (max(64, -(-side // 32) * 32) for side in picture.shape[:2])
    padded = np.zeros((height, width, 3), np.uint8)
    padded[: picture.shape[0], : picture.shape[1]] = picture
    return padded


def _from_row(row: NDArray[Any], score: float, size: tuple[int, int]) -> Face | None:
    """A box and five points as YuNet gives them; nothing unless they lie about the picture."""
    left, top, width, height = (float(v) for v in row[:4])
    within = width > 0 and height > 0 and -width < left < size[0] and -height < top < size[1]
    if not within or not np.abs(row).max() < 4 * max(size):
        return None
    points = row[4:14].reshape(5, 2).astype(np.float32)
    return Face((left, top, width, height), score, points, certain=score >= _CERTAIN)


def _by_size(faces: list[Face]) -> tuple[Face, ...]:
    return tuple(sorted(faces, key=lambda face: (-face.area, face.box)))


def _nearest(
    points: list[tuple[float, float]], place: NDArray[Any], within: float
) -> tuple[float, float] | None:
    def away(point: tuple[float, float]) -> float:
        return math.hypot(point[0] - place[0], point[1] - place[1])

    near = [point for point in points if away(point) <= within]
    return min(near, key=away) if near else None
