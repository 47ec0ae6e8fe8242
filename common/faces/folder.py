"""Folders of pictures, ``<person>/<picture>``, turned into aligned crops when they are loaded.

Only files with a picture's ending inside a person's folder count. What ``labels.csv`` beside the
people says of the pictures is taken along; whatever else lies about is left alone.

Leaks: folder names are people's names and paths contain them, so a picture that is refused is
named by its ordinal in the sorted order of all pictures, counted from 0.
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from common.errors import DataSetError, NoFaceError, PictureError
from common.faces.align import align
from common.faces.crops import SIDE, Crop, StoredCrops
from common.faces.detect import Detector, largest, make_detector
from common.faces.faceset import FaceSet
from common.faces.labels import Labels, read_labels
from common.faces.pictures import read_picture

ENDINGS = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})


@dataclass(frozen=True, kw_only=True, slots=True)
class FolderOptions:
    """How to read a folder.

    ``aligned`` says that the pictures are square, aligned crops already. ``detector`` is used
    otherwise; none means the cascades that OpenCV brings. ``keep_going`` counts broken pictures
    and pictures without a face instead of stopping at the first.
    """

    aligned: bool = False
    detector: Detector | None = None
    keep_going: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Skipped:
    """How many pictures were left out, and why."""

    broken: int = 0
    faceless: int = 0

    @property
    def total(self) -> int:
        """All pictures left out."""
        return self.broken + self.faceless

    def __str__(self) -> str:
        return f"{self.total} pictures skipped: {self.broken} broken, {self.faceless} faceless"


def load_folder(
    path: Path,
    options: FolderOptions | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[FaceSet, Skipped]:
    """The faces in the folder at ``path``, and what was skipped.

    Of several faces in a picture the largest is taken. ``progress`` hears how many of how many
    pictures are done. Raises ``PictureError`` (``NoFaceError`` where no face is found) unless the
    options say to keep going, and ``DataSetError`` if nothing is left or ``labels.csv`` is wrong.
    """
    options = options or FolderOptions()
    files = _pictures(path)
    read = crop_reader(options)
    crops: list[Crop] = []
    kept: list[tuple[str, str]] = []
    broken = faceless = 0
    for ordinal, file in enumerate(files):
        try:
            crops.append(read(file))
            kept.append((file.parent.name, file.name))
        except PictureError as error:
            if not options.keep_going:
                raise type(error)(f"{path}: picture {ordinal}: {error}") from None
            faceless += isinstance(error, NoFaceError)
            broken += not isinstance(error, NoFaceError)
        if progress is not None:
            progress(ordinal + 1, len(files))
    if not crops:
        hint = "; are they aligned crops already?" if faceless else ""
        raise DataSetError(
            f"{path}: none of {len(files)} pictures can be used ({broken} broken, "
            f"{faceless} without a face{hint})"
        )
    labels = read_labels(path, [f"{person}/{file}" for person, file in kept])
    return _labelled(_faces(crops, kept), labels), Skipped(broken=broken, faceless=faceless)


def _pictures(path: Path) -> list[Path]:
    """All pictures, ordered by person and then by file name."""
    try:
        people = sorted(entry for entry in path.iterdir() if _shown(entry) and entry.is_dir())
        files = [
            file
            for person in people
            for file in sorted(person.iterdir())
            if _shown(file) and file.suffix.lower() in ENDINGS and file.is_file()
        ]
    except OSError as error:
        raise DataSetError(f"{path}: cannot be read ({error.strerror})") from None
    if not files:
        raise DataSetError(f"{path}: no pictures found; expected <person>/<picture> inside")
    return files


def _shown(entry: Path) -> bool:
    return not entry.name.startswith(".")


def crop_reader(options: FolderOptions) -> Callable[[Path], Crop]:
    """How a picture becomes a crop; ``PictureError`` or ``NoFaceError`` where it does not."""
    if options.aligned:
        return _read_aligned
    detector = options.detector or make_detector(None)

    def read(file: Path) -> Crop:
        picture = read_picture(file)
        landmarks = largest(detector.find(picture)).landmarks
        if landmarks is None:
            raise NoFaceError("the detector gives no landmarks to align by")
        return align(picture, landmarks)

    return read


def _read_aligned(file: Path) -> Crop:
    picture = read_picture(file)
    height, width = picture.shape[:2]
    if height != width:
        raise PictureError(f"{width}x{height} is not square, so it is not an aligned crop")
    if width == SIDE:
        return picture
    how = cv2.INTER_AREA if width > SIDE else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(picture, (SIDE, SIDE), interpolation=how), np.uint8)


def _faces(crops: list[Crop], kept: list[tuple[str, str]]) -> FaceSet:
    names = tuple(sorted({name for name, _ in kept}))
    number = {name: i for i, name in enumerate(names)}
    return FaceSet(
        source=StoredCrops(np.stack(crops)),
        person=np.array([number[name] for name, _ in kept], np.int64),
        names=names,
        picture=tuple(file for _, file in kept),
    )


def _labelled(faces: FaceSet, labels: Labels | None) -> FaceSet:
    if labels is None:
        return faces
    return dataclasses.replace(
        faces,
        attributes=labels.attributes,
        attribute_names=labels.attribute_names,
        age=labels.age,
        description=labels.description,
    )
