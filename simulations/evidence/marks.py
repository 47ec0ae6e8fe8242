"""What is to be seen in pictures, as attributes that an attacker may infer.

Of invented people it is known; of others a table says it: a column ``file`` with the picture's file
name, and 1 or -1 (or 0) in a column an attribute. A column ``id`` is not looked at.
Leaks: such a table names files; errors name lines and columns only.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from common.errors import DataSetError, ScenarioError
from common.faces.faceset import FaceSet

FILE, IDS = "file", ("id", "person")
LEAST = 10  # people with an attribute, and without: fewer say nothing
MOST_PICTURES = 4  # of a person
_TRUTH = {"1": True, "+1": True, "0": False, "-1": False}


@dataclass(frozen=True, eq=False, repr=False)
class Marks:
    """``picture`` (N,) indices of a face set, ``truth`` (N, A) what they show, ``names`` (A)."""

    picture: NDArray[np.int64]
    truth: NDArray[np.bool_]
    names: tuple[str, ...]


def marks_of(faces: FaceSet, table: Path | None, rng: np.random.Generator) -> Marks:
    """A few pictures of everybody in ``faces``, and the attributes common enough to be judged.

    ``ScenarioError`` if nothing is known of them, or nothing that people differ in.
    """
    if table is not None:
        known = read_marks(table, faces)
    elif faces.attributes is not None:
        said = np.asarray((faces.attributes >= 0).all(axis=0))  # others are not judged
        names = tuple(n for n, known in zip(faces.attribute_names, said, strict=True) if known)
        known = Marks(np.arange(len(faces)), faces.attributes[:, said] == 1, names)
    else:
        raise ScenarioError("nothing is known of these faces: name a table with --labels")
    person = faces.person[known.picture]
    order = rng.permutation(len(person))
    some = np.sort(np.concatenate([order[person[order] == p][:MOST_PICTURES] for p in set(person)]))
    truth, person = known.truth[some], person[some]
    shown = person_truth(truth, person)
    enough = np.minimum(shown.sum(axis=0), (~shown).sum(axis=0)) >= LEAST
    if not enough.any():
        raise ScenarioError(f"no attribute has {LEAST} people with it and {LEAST} without it")
    names = tuple(name for name, kept in zip(known.names, enough, strict=True) if kept)
    return Marks(known.picture[some], truth[:, enough], names)


def person_truth(truth: NDArray[np.bool_], person: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(P, A): whether at least half of a person's pictures show it; people ascending by id."""
    people, number = np.unique(person, return_inverse=True)
    own = np.zeros((len(people), len(person)))
    own[number, np.arange(len(person))] = 1
    return np.asarray(2 * (own @ truth) >= own.sum(axis=1, keepdims=True))


def read_marks(path: Path, faces: FaceSet) -> Marks:
    """The pictures of ``faces`` that the table at ``path`` has a line of; ``DataSetError``."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = csv.DictReader(file)
            names = tuple(c for c in lines.fieldnames or () if c not in (FILE, *IDS))
            rows = {row.get(FILE): row for row in lines}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataSetError(f"{path}: cannot be read ({type(error).__name__})") from None
    if faces.picture is None or None in rows or not names:
        raise DataSetError(
            f"{path}: needs a column {FILE!r}, attributes, and faces with file names"
        )
    found = [(i, rows[Path(p).name]) for i, p in enumerate(faces.picture) if Path(p).name in rows]
    if not found:
        raise DataSetError(f"{path}: no line for any of these pictures")
    try:
        truth = [[_TRUTH[row[name].strip()] for name in names] for _, row in found]
    except (KeyError, AttributeError):
        raise DataSetError(f"{path}: attributes are 1 and -1 or 0") from None
    return Marks(np.array([i for i, _ in found]), np.array(truth, np.bool_), names)
