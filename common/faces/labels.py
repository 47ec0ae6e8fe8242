"""``labels.csv``: what a folder says about its pictures.

One line a picture with the columns ``picture`` (``<person>/<picture>``), optionally ``age`` in
years, 0 to 120, and ``text``, a sentence; every other column is an attribute, 1 where the picture
shows it and 0 where not. An empty cell means that nobody said: nothing is learnt from it, nor
counted.

Leaks: the file holds people's names; errors name lines and columns only.
"""

import csv
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from common.errors import DataSetError

FILE = "labels.csv"
_PICTURE, _AGE, _TEXT = "picture", "age", "text"
MISSING = -1  # an attribute that nobody labelled
OLDEST = 120  # years that anybody has
_TRUTH = {"0": 0, "1": 1, "": MISSING}
_CELL = {1: "1", 0: "0", MISSING: ""}
_Row = dict[str | None, str | None]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class Labels:
    """What is said of N pictures, in their order.

    ``attributes`` (N, A) int8 in {1, 0, MISSING}, ``age`` (N,) years or NaN, ``description`` a
    sentence or nothing.
    """

    attributes: NDArray[np.int8] | None
    attribute_names: tuple[str, ...]
    age: NDArray[np.float32] | None
    description: tuple[str, ...] | None


def read_labels(folder: Path, pictures: Sequence[str]) -> Labels | None:
    """What ``labels.csv`` in ``folder`` says of ``pictures``; None if there is no such file.

    ``DataSetError`` if a picture has no line, or a line cannot be understood.
    """
    path = folder / FILE
    return read_labels_file(path, pictures) if os.path.lexists(path) else None


def read_labels_file(path: Path, pictures: Sequence[str]) -> Labels:
    """What the file at ``path`` says of ``pictures``; ``DataSetError`` as above, or without it."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = csv.DictReader(file, strict=True)
            rows: list[_Row] = list(lines)
            columns = list(lines.fieldnames or ())
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataSetError(f"{path}: cannot be read ({type(error).__name__})") from None
    try:
        return _labels(rows, columns, pictures)
    except DataSetError as error:
        raise DataSetError(f"{path}: {error}") from None


def write_labels(folder: Path, pictures: Sequence[str], labels: Labels) -> None:
    """Writes ``labels.csv`` so that ``read_labels`` gives the same again."""
    with (folder / FILE).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        age = [] if labels.age is None else [_AGE]
        text = [] if labels.description is None else [_TEXT]
        writer.writerow([_PICTURE, *labels.attribute_names, *age, *text])
        for i, picture in enumerate(pictures):
            row: list[object] = [picture]
            if labels.attributes is not None:
                row += [_CELL[shown] for shown in labels.attributes[i].tolist()]
            if labels.age is not None:
                row.append("" if math.isnan(labels.age[i]) else f"{labels.age[i]:g}")
            if labels.description is not None:
                row.append(labels.description[i])
            writer.writerow(row)


def _labels(rows: list[_Row], columns: list[str], pictures: Sequence[str]) -> Labels:
    if _PICTURE not in columns:
        raise DataSetError(f"no column {_PICTURE!r}")
    if len(set(columns)) < len(columns):
        raise DataSetError("two columns have the same name")
    for number, row in enumerate(rows, start=2):
        if None in row or None in row.values():
            raise DataSetError(f"line {number}: expected {len(columns)} entries")
    line = {row[_PICTURE]: number for number, row in enumerate(rows)}
    missing = sum(picture not in line for picture in pictures)
    if missing:
        raise DataSetError(f"no line for {missing} of {len(pictures)} pictures")
    wanted = [line[picture] for picture in pictures]
    names = tuple(c for c in columns if c not in (_PICTURE, _AGE, _TEXT))
    truths = [[_truth(rows[i], i, name) for name in names] for i in wanted]
    ages = [_years(rows[i], i) for i in wanted] if _AGE in columns else None
    texts = tuple(str(rows[i][_TEXT]) for i in wanted) if _TEXT in columns else None
    return Labels(
        attributes=np.array(truths, np.int8) if names else None,
        attribute_names=names,
        age=None if ages is None else np.array(ages, np.float32),
        description=texts,
    )


def _truth(row: _Row, index: int, name: str) -> int:
    value = _TRUTH.get(str(row[name]).strip())
    if value is None:
        raise DataSetError(f"line {index + 2}, column {name!r}: expected 0, 1 or nothing")
    return value


def _years(row: _Row, index: int) -> float:
    said = str(row[_AGE]).strip()
    if not said:
        return math.nan
    try:
        years = float(said)
    except ValueError:
        years = math.inf
    if not 0 <= years <= OLDEST:
        raise DataSetError(
            f"line {index + 2}, column {_AGE!r}: expected a number of years from 0 to {OLDEST}"
        )
    return years
