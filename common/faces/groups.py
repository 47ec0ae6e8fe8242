"""Whose group is which, in packs made for audits: columns that nothing else reads.

A face set has no such field, so nothing that trains, matches or serves can learn from a group, not
even by mistake; only `simulations/evidence` may import this module (`tests/test_architecture.py`).

Some audit packs have no identities: every picture is then a person of their own, so there are false
matches to count and no false non-matches; somebody who is in such a pack twice counts as a false
match. Their pictures may be small squares that nobody aligned. With a detector its landmarks align
them, and pictures in which it finds nobody are left out and counted by group; without one they are
stretched to 112x112 as they are, eyes and mouth where no network expects them, and every rate is
higher than at a door. Groups can be compared either way; levels cannot.
"""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from common.errors import DataSetError, NoFaceError, PictureError
from common.faces.align import align
from common.faces.crops import SIDE, Crop, StoredCrops
from common.faces.detect import Detector, largest
from common.faces.faceset import FaceSet
from common.faces.pack import load_pack, read_arrays
from common.faces.pictures import Picture, decode
from common.faces.splits import with_folds
from common.metrics.fairness import NOBODY

COLUMNS = ("group", "gender", "age")  # that an audit may ask for, the first there is by default
MOST_GROUPS = 32
_ENLARGED = 4  # times, before a detector looks at a small picture
_MARGIN = 0.25  # around it, of its side


class Progress(Protocol):
    """Told what is being done and how many steps it has; answers how to tell of steps."""

    def start(self, what: str, total: int) -> Callable[[int], None]: ...


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Audited:
    """Faces with the group of every person; the index of ``group`` (P,) is the person's id.

    ``identities`` is False where every picture counts as a person. ``found`` (G,) is the share of
    each group's pictures in which a face was found; None where nobody looked for one.
    """

    faces: FaceSet
    group: NDArray[np.int64]
    names: tuple[str, ...]
    identities: bool
    found: NDArray[np.float64] | None = None


def load_audited(
    path: Path,
    column: str | None = None,
    detector: Detector | None = None,
    progress: Progress | None = None,
) -> Audited:
    """The pack at ``path`` with folds, and the groups that ``column`` puts its people in.

    A person whose pictures are in two groups is in none. ``DataSetError`` if there is no such
    column.
    """
    name, values = _column(path, column)
    names, number = _names(name, values)
    if not _has_people(path):
        return _one_picture_each(path, names, number, detector, progress)
    faces = with_folds(load_pack(path))
    if len(number) != len(faces):
        raise DataSetError(f"{path}: {name}: expected {len(faces)} entries, as offsets says")
    lowest = np.full(len(faces.names), len(names), np.int64)
    highest = np.full(len(faces.names), NOBODY, np.int64)
    np.minimum.at(lowest, faces.person, number)
    np.maximum.at(highest, faces.person, number)
    group = np.where(lowest == highest, highest, NOBODY)
    return Audited(faces=faces, group=group, names=names, identities=True)


def _column(path: Path, column: str | None) -> tuple[str, NDArray[Any]]:
    if column is not None and column not in COLUMNS:
        raise DataSetError(f"--groups {column}: a pack's groups are in {', '.join(COLUMNS)}")
    found = read_arrays(path, (), COLUMNS if column is None else (column,))
    for name in COLUMNS:
        if name in found:
            return name, found[name]
    wanted = column or ", ".join(COLUMNS)
    raise DataSetError(f"{path}: no array {wanted}: nobody here is in a group")


def _names(column: str, values: NDArray[Any]) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """The groups, and the number of each picture's; negative numbers are nobody's."""
    if values.ndim != 1 or values.dtype.kind not in "Uiu":
        raise DataSetError(f"{column}: expected texts or integers (N,)")
    names, number = np.unique(values, return_inverse=True)
    if values.dtype.kind in "iu":
        unknown = int(np.count_nonzero(names < 0))
        number = np.where(number < unknown, NOBODY, number - unknown)
        names = names[unknown:]
        told = tuple(f"{column} {name}" for name in names.tolist())
    else:
        told = tuple(map(str, names.tolist()))
    if not 0 < len(told) <= MOST_GROUPS:
        raise DataSetError(f"{column}: expected up to {MOST_GROUPS} groups, got {len(told)}")
    return told, number.reshape(-1).astype(np.int64)


def _has_people(path: Path) -> bool:
    return bool(read_arrays(path, (), ("person",)))


def _one_picture_each(
    path: Path,
    names: tuple[str, ...],
    number: NDArray[np.int64],
    detector: Detector | None,
    progress: Progress | None,
) -> Audited:
    arrays = read_arrays(path, ("jpeg", "offsets"), ())
    pictures = _encoded(arrays, path)
    if len(pictures) != len(number):
        raise DataSetError(f"{path}: {len(pictures)} pictures have {len(number)} groups")
    done = progress.start("crops", len(pictures)) if progress is not None else None
    crops: list[Crop] = []
    kept: list[int] = []
    for ordinal, encoded in enumerate(pictures):
        try:
            crops.append(_cropped(decode(encoded), detector))
            kept.append(ordinal)
        except NoFaceError:
            pass
        except PictureError as error:
            raise PictureError(f"{path.name}: picture {ordinal}: {error}") from None
        if done is not None:
            done(1)
    if not crops:
        raise NoFaceError(f"{path}: no face was found in any picture")
    before, after = (
        np.bincount(part[part >= 0], minlength=len(names)) for part in (number, number[kept])
    )
    faces = FaceSet(
        source=StoredCrops(np.stack(crops)),
        person=np.arange(len(crops), dtype=np.int64),
        names=tuple(f"picture-{ordinal:07}" for ordinal in kept),
    )
    return Audited(
        faces=with_folds(faces),
        group=number[kept],
        names=names,
        identities=False,
        found=None if detector is None else after / np.maximum(before, 1),
    )


def _encoded(arrays: Mapping[str, NDArray[Any]], path: Path) -> list[bytes]:
    blob, offsets = arrays["jpeg"], arrays["offsets"]
    plain = blob.dtype == np.uint8 and blob.ndim == 1 and offsets.ndim == 1
    if not plain or offsets.dtype.kind not in "iu" or len(offsets) < 2:
        raise DataSetError(f"{path}: expected jpeg (bytes,) and offsets (N + 1,)")
    places = offsets.astype(np.int64).tolist()
    if places[0] < 0 or places[-1] > len(blob) or (np.diff(places) <= 0).any():
        raise DataSetError(f"{path}: offsets: must ascend within the jpeg array")
    return [blob[a:b].tobytes() for a, b in itertools.pairwise(places)]


def _cropped(picture: Picture, detector: Detector | None) -> Crop:
    """112x112: aligned by what ``detector`` finds in an enlarged copy, or merely stretched."""
    if detector is None:
        return np.asarray(cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC))
    enlarged = max(1, round(_ENLARGED * 64 / max(picture.shape[:2])))
    large = cv2.resize(picture, None, fx=enlarged, fy=enlarged, interpolation=cv2.INTER_CUBIC)
    edge = round(_MARGIN * max(large.shape[:2]))
    framed = cv2.copyMakeBorder(large, edge, edge, edge, edge, cv2.BORDER_REPLICATE)
    landmarks = largest(detector.find(np.asarray(framed, np.uint8))).landmarks
    if landmarks is None:
        raise NoFaceError("the detector gives no landmarks to align by")
    return align(np.asarray(framed, np.uint8), landmarks)
