"""A published list of pairs, judged by the protocol of Labeled Faces in the Wild.

Huang, Ramesh, Berg & Learned-Miller 2007 (UMass Amherst 07-49), View 2: for every fold the
threshold that decides most pairs of the *other* folds rightly is applied to it; told are the mean
accuracy over the folds and its standard error. With Huang & Learned-Miller 2014 (UM-CS-2014-003)
this is the *unrestricted, labelled outside data* setting: the embedder was trained elsewhere, and
of these pairs nothing but one threshold a fold is learnt. The area under the ROC curve and the EER
are of all pairs together and learn nothing at all: the figures to quote where an *unsupervised*
result is asked for.
"""

import csv
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from common.errors import DataSetError
from common.faces.faceset import FaceSet
from common.metrics.verification import Floats, Scores, det_curve, unit_rows

COLUMNS = ("fold", "person_a", "picture_a", "person_b", "picture_b", "same")

_NUMBER = re.compile(r"([0-9]+)[^0-9]*$")  # of a picture: the last one in its file name

Picture = tuple[str, str]  # person, and file name or number


@dataclass(frozen=True, kw_only=True, eq=False, repr=False, slots=True)
class PairList:
    """R pairs of pictures of a face set, by index, with the fold each is judged in."""

    left: NDArray[np.int64]
    right: NDArray[np.int64]
    same: NDArray[np.bool_]
    fold: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.same)

    def pictures(self) -> NDArray[np.int64]:
        """The indices of all pictures that are in a pair, ascending."""
        return np.unique(np.concatenate([self.left, self.right]))

    def score(self, embeddings: ArrayLike) -> Floats:
        """The cosine (R,) of every pair of the face set's ``embeddings`` (N, E)."""
        unit = unit_rows(embeddings)
        cosine: Floats = np.einsum("re,re->r", unit[self.left], unit[self.right])
        return cosine

    def score_by(self, embed: Callable[[NDArray[np.int64]], ArrayLike]) -> Floats:
        """The same where ``embed`` makes (K, E) of the pictures (K,) that are in a pair."""
        used = self.pictures()
        places = {name: np.searchsorted(used, getattr(self, name)) for name in ("left", "right")}
        return replace(self, **places).score(embed(used))


@dataclass(frozen=True, kw_only=True, slots=True)
class ProtocolFigures:
    """What the protocol tells. ``accuracy`` is the mean of ``by_fold``, ascending by fold.

    ``standard_error`` is the sample deviation over the folds by the root of their number.
    """

    accuracy: float
    standard_error: float
    by_fold: tuple[float, ...]
    thresholds: tuple[float, ...]
    area: float
    eer: float


def lfw_protocol(scores: ArrayLike, same: ArrayLike, fold: ArrayLike) -> ProtocolFigures:
    """Judges R pairs by their ``scores`` (R,), whether they are the ``same`` (R,), and ``fold``.

    Raises ``DataSetError`` for fewer than two folds, and where either kind of pair is missing.
    """
    values, truth = np.asarray(scores, np.float32), np.asarray(same, bool)
    folds, where = np.unique(np.asarray(fold), return_inverse=True)
    if len(folds) < 2:
        raise DataSetError("pairs: the protocol needs at least two folds")
    if truth.all() or not truth.any():
        raise DataSetError("pairs: the protocol needs pairs of one person and of two")
    thresholds, right = [], []
    for number in range(len(folds)):
        own = where == number
        threshold = best_threshold(values[~own], truth[~own])
        thresholds.append(threshold)
        right.append(float(np.mean((values[own] >= np.float32(threshold)) == truth[own])))
    together = det_curve(Scores(values[truth], values[~truth]))
    return ProtocolFigures(
        accuracy=float(np.mean(right)),
        standard_error=float(np.std(right, ddof=1) / np.sqrt(len(folds))),
        by_fold=tuple(right),
        thresholds=tuple(thresholds),
        area=together.area,
        eer=together.eer,
    )


def best_threshold(scores: Floats, same: NDArray[np.bool_]) -> float:
    """The threshold that decides most of the pairs rightly; of equally good ones the middle one.

    Tried are the scores themselves and a hair above the highest.
    """
    tried = np.unique(scores)
    tried = np.append(tried, np.nextafter(tried[-1], np.float32(np.inf)))
    genuine, impostor = np.sort(scores[same]), np.sort(scores[~same])
    accepted = len(genuine) - np.searchsorted(genuine, tried)
    right = accepted + np.searchsorted(impostor, tried)
    best = np.flatnonzero(right == right.max())
    return float(tried[best[(len(best) - 1) // 2]])


def read_pairs(path: Path, faces: FaceSet) -> PairList:
    """The pairs in the tab-separated file at ``path``, found among ``faces``.

    The first line names the columns of ``COLUMNS``, in any order. A picture is told by its file
    name or by the number its file name ends with; ``same`` is 1 or 0.

    Raises ``DataSetError`` naming the line, never the person, where a picture is not there or a
    line cannot be read. Leaks: the file names people; only indices are kept.
    """
    known = _known(faces, path)
    fold: list[int] = []
    same: list[bool] = []
    left: list[int] = []
    right: list[int] = []
    for line, row in _rows(path):
        try:
            fold.append(int(np.int64(row["fold"])))
            same.append({"0": False, "1": True}[row["same"]])
        except (KeyError, ValueError, OverflowError):
            told = f"{path}: line {line}: fold must be a whole number and same 0 or 1"
            raise DataSetError(told) from None
        for side, found in (("a", left), ("b", right)):
            index = known.get((row[f"person_{side}"], _told(row[f"picture_{side}"])))
            if index is None:
                told = f"{path}: line {line}: picture {side} is not, or not once, among the faces"
                raise DataSetError(told)
            found.append(index)
    if not fold:
        raise DataSetError(f"{path}: no pairs")
    return PairList(
        left=np.array(left, np.int64),
        right=np.array(right, np.int64),
        same=np.array(same, bool),
        fold=np.array(fold, np.int64),
    )


def _rows(path: Path) -> Iterator[tuple[int, Mapping[str, str]]]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            missing = [c for c in COLUMNS if c not in (reader.fieldnames or ())]
            if missing:
                raise DataSetError(f"{path}: no column {', '.join(missing)}")
            for row in reader:
                if None in row or None in row.values():
                    raise DataSetError(f"{path}: line {reader.line_num}: wrong number of columns")
                yield reader.line_num, row
    except OSError as error:
        raise DataSetError(f"{path}: cannot be read ({error.strerror or error})") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataSetError(f"{path}: not a list of pairs ({type(error).__name__})") from None


def _known(faces: FaceSet, path: Path) -> dict[Picture, int | None]:
    """Pictures by person and by file name or number; ``None`` where two share one."""
    if faces.picture is None:
        raise DataSetError(f"{path}: these faces have no file names to find pairs by")
    known: dict[Picture, int | None] = {}
    for index, (person, file) in enumerate(zip(faces.person.tolist(), faces.picture, strict=True)):
        name, number = faces.names[person], _NUMBER.search(Path(file).stem)
        for told in {file, _told(number[1])} if number else {file}:
            known[name, told] = None if (name, told) in known else index
    return known


def _told(picture: str) -> str:
    """``"0007"`` and ``"7"`` are the same number; any other text is a file name."""
    return picture.lstrip("0") or "0" if picture.isascii() and picture.isdigit() else picture
