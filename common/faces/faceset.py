"""A set of faces: crops, whose they are, and where each belongs, without ever showing a name."""

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.errors import DataSetError
from common.faces.crops import SIDE, Crop, Crops, Indices

_COLUMNS = (  # of the optional fields those with one entry per picture
    "picture",
    "fold",
    "site",
    "camera_type",
    "landmarks",
    "attributes",
    "age",
    "description",
)

REPORT_SITE = -1  # a person seen at every site with the same camera type, trained at none


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class FaceSet:
    """N crops of aligned faces with the person of each.

    ``person`` (N,) holds ids that index ``names`` and stay the same in every subset, so that two
    subsets can be compared for overlap. Optional, per picture: ``picture`` (a file name), ``fold``
    (N,) from 0, ``site`` (N,) with -1 for report people, ``camera_type`` (N,) as the operator
    declared it, ``landmarks`` (N, 5, 2) in pixels of the *original* picture, ``attributes`` (N, A)
    int8, 1 where the picture shows what ``attribute_names`` (A) says, 0 where not and -1 where
    nobody said (truths are taken for 1 and 0), ``age`` (N,) in years or NaN, and ``description``,
    a sentence each or nothing.

    Leaks: names and file names are personal data; ``repr`` and every error show counts only.
    """

    source: Crops
    person: NDArray[np.int64]
    names: tuple[str, ...]
    picture: tuple[str, ...] | None = None
    fold: NDArray[np.int8] | None = None
    site: NDArray[np.int64] | None = None
    camera_type: tuple[str, ...] | None = None
    landmarks: NDArray[np.float32] | None = None
    attributes: NDArray[np.int8] | None = None
    attribute_names: tuple[str, ...] = ()
    age: NDArray[np.float32] | None = None
    description: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        for key in ("person", *_COLUMNS):
            values: Sequence[object] | None = getattr(self, key)
            if values is not None and len(values) != len(self.source):
                raise DataSetError(f"{key} has {len(values)} entries, not {len(self.source)}")
        if len(self.person) and not 0 <= self.person.min() <= self.person.max() < len(self.names):
            raise DataSetError("person: an id is not in names")
        if self.attributes is not None:
            object.__setattr__(self, "attributes", shown(self.attributes))
        given = 0 if self.attributes is None else self.attributes.shape[1]
        if given != len(self.attribute_names):
            raise DataSetError(f"{given} attributes have {len(self.attribute_names)} names")

    def __len__(self) -> int:
        return len(self.source)

    def __repr__(self) -> str:
        return f"FaceSet({len(self)} pictures of {len(self.people)} people)"

    @cached_property
    def people(self) -> NDArray[np.int64]:
        """Ids of the people who have a picture here, ascending, (P,)."""
        return np.unique(self.person)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the pictures in order: the key under which their features are cached.

        Leaks: whoever has the same pictures can recognise it; it stays where the faces are.
        """
        return self.source.digest()

    def crop(self, index: int) -> Crop:
        """Crop number ``index``; ``PictureError`` naming its ordinal if it is broken."""
        return self.source.crop(index)

    def crops(self, indices: Iterable[int]) -> NDArray[np.uint8]:
        """Crops (B, 112, 112, 3) in the order of ``indices``."""
        wanted = [int(i) for i in indices]
        batch = np.empty((len(wanted), SIDE, SIDE, 3), np.uint8)
        for row, index in zip(batch, wanted, strict=True):
            row[:] = self.source.crop(index)
        return batch

    def pictures_of(self, person: int) -> Indices:
        """Indices of the pictures of one person."""
        return np.flatnonzero(self.person == person)

    def counts(self) -> NDArray[np.int64]:
        """Number of pictures of each of ``people``, (P,)."""
        return np.unique(self.person, return_counts=True)[1].astype(np.int64)

    def subset(self, indices: Sequence[int] | NDArray[Any]) -> "FaceSet":
        """The pictures ``indices`` (or a boolean mask), in that order, with their global ids."""
        chosen = _indices(indices, len(self))
        return dataclasses.replace(
            self,
            source=self.source.take(chosen),
            person=self.person[chosen],
            **{key: _pick(getattr(self, key), chosen) for key in _COLUMNS},
        )

    def of_people(self, people: Iterable[int]) -> "FaceSet":
        """All pictures of ``people``, in their order here."""
        return self.subset(np.flatnonzero(np.isin(self.person, np.fromiter(people, np.int64))))


def shown(attributes: NDArray[Any]) -> NDArray[np.int8]:
    """``attributes`` (N, A), truths or 1, 0 and -1, as int8; ``DataSetError`` for anything else."""
    if attributes.ndim != 2 or attributes.dtype.kind not in "bi":
        raise DataSetError("attributes: expected truths, or 1, 0 and -1, (N, A)")
    if attributes.size and not -1 <= attributes.min() <= attributes.max() <= 1:
        raise DataSetError("attributes: 1, 0 or -1 where nobody said")
    return attributes.astype(np.int8, copy=False)


def _indices(chosen: Sequence[int] | NDArray[Any], length: int) -> Indices:
    array = np.asarray(chosen)
    if array.dtype == np.bool_:
        if array.shape != (length,):
            raise IndexError(f"a mask must have {length} entries")
        return np.flatnonzero(array)
    return array.astype(np.int64).reshape(-1)


def _pick(values: Any, indices: Indices) -> Any:
    """The entries ``indices`` of an array, a tuple, or nothing."""
    if isinstance(values, tuple):
        return tuple(values[i] for i in indices.tolist())
    return None if values is None else values[indices]
