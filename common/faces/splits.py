"""Person-disjoint splits: which people train, which choose and which are reported.

Everything is decided per person, never per picture, and depends only on the person and a key:
adding a person moves nobody else to another fold. Sites that a pack declares share nobody either.
"""

import dataclasses
import hashlib

import numpy as np
from numpy.typing import NDArray

from common.errors import ConfigError, DataSetError
from common.faces.faceset import REPORT_SITE, FaceSet

FOLDS = 8


def parse_folds(text: str) -> frozenset[int]:
    """``"1-6,8"`` as {1, 2, 3, 4, 5, 6, 8}; ``ConfigError`` if it is not such a list."""
    chosen: set[int] = set()
    for part in text.split(","):
        low, dash, high = part.strip().partition("-")
        if not _is_fold(low) or (dash and not _is_fold(high)):
            raise ConfigError(f"folds {text!r}: expected a list such as 1-6,8")
        first, last = int(low), int(high) if dash else int(low)
        if last < first:
            raise ConfigError(f"folds {text!r}: {first}-{last} counts down")
        chosen.update(range(first, last + 1))
    return frozenset(chosen)


def with_folds(faces: FaceSet, folds: int = FOLDS, key: bytes = b"mascaron") -> FaceSet:
    """``faces`` with a fold in 1..``folds`` for each person, by a keyed hash of the name.

    Faces that bring folds keep them: published folds must stay comparable.
    """
    if faces.fold is not None:
        return faces
    if not 1 <= folds <= 127:
        raise ConfigError(f"folds: must be in 1..127, got {folds}")
    fold_of = np.zeros(len(faces.names), np.int8)
    for person in faces.people.tolist():
        fold_of[person] = 1 + _keyed(faces.names[person], key) % folds
    return dataclasses.replace(faces, fold=fold_of[faces.person])


def split(faces: FaceSet, folds: str) -> FaceSet:
    """The people of ``folds`` (such as ``"1-6,8"``); ``DataSetError`` if there are none."""
    if faces.fold is None:
        raise DataSetError("fold: these faces have no folds; give them some with with_folds")
    chosen = faces.subset(np.isin(faces.fold, list(parse_folds(folds))))
    if not len(chosen):
        present = ", ".join(map(str, np.unique(faces.fold).tolist()))
        raise DataSetError(f"fold: nobody is in folds {folds}; there are folds {present or 'none'}")
    return chosen


def check_one_site(person: NDArray[np.int64], site: NDArray[np.int64]) -> None:
    """Raises ``DataSetError`` if someone is at two of the declared sites, or at one and reported.

    person, site: (N,), one entry per picture. Every site would spend its own budget on the same
    person, who would pay twice and be promised the price of once. Names sites, never a person.
    """
    pairs = np.unique(np.stack([person, site], axis=1), axis=0)
    _, first, count = np.unique(pairs[:, 0], return_index=True, return_counts=True)
    twice = np.flatnonzero(count > 1)
    if not len(twice):
        return
    at = pairs[first[twice[0]] : first[twice[0]] + count[twice[0]], 1].tolist()
    if at[0] == REPORT_SITE:
        raise DataSetError(f"site: someone is at site {at[1]} and also a report person (-1)")
    raise DataSetError(
        f"site: {len(twice)} of {len(first)} people are at more than one site, such as "
        f"{' and '.join(map(str, at))}: privacy would be spent on them at each; keep their "
        "pictures at one site"
    )


def _keyed(name: str, key: bytes) -> int:
    digest = hashlib.blake2b(name.encode(), key=key, digest_size=8).digest()
    return int.from_bytes(digest, "little")


def _is_fold(text: str) -> bool:
    text = text.strip()
    return text.isascii() and text.isdigit() and int(text) <= 127
