"""What a site's operator says of its people's pictures: beside their features, never without them.

Labels are personal data like the features they lie beside: held in memory alone, printed nowhere,
in no file, log or message. What of them leaves is a clipped and noised gradient that a plan names.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from common.faces.labels import MISSING

if TYPE_CHECKING:
    from common.faces.faceset import FaceSet

FEMALE = "female"  # the column of labels.csv that a gender head learns from, and no other does


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class SiteLabels:
    """Of N pictures, in their order; None where nobody said anything of the kind.

    ``attributes`` (N, A) int8 in {1, 0, MISSING}, columns as in ``names``; ``age`` (N,) years or
    NaN; ``gender`` (N,) int8, 1 for women, 0 for men, or MISSING.
    """

    names: tuple[str, ...] = ()
    attributes: NDArray[np.int8] | None = None
    age: NDArray[np.float32] | None = None
    gender: NDArray[np.int8] | None = None

    def at(self, rows: NDArray[np.int64] | slice) -> "SiteLabels":
        """Of the pictures at ``rows``."""
        return SiteLabels(
            names=self.names,
            attributes=_rows(self.attributes, rows),
            age=_rows(self.age, rows),
            gender=_rows(self.gender, rows),
        )

    def named(self, wanted: Sequence[str]) -> NDArray[np.int8] | None:
        """(N, len(wanted)): the columns of ``wanted``, MISSING where there is no such column."""
        if self.attributes is None:
            return None
        found = np.full((len(self.attributes), len(wanted)), MISSING, np.int8)
        for column, name in enumerate(wanted):
            if name in self.names:
                found[:, column] = self.attributes[:, self.names.index(name)]
        return found

    def __reduce__(self) -> NoReturn:
        raise TypeError("labels of people are not pickled")


def labels_of(faces: "FaceSet") -> SiteLabels | None:
    """What ``labels.csv`` beside the pictures says of them; None if it says nothing.

    Descriptions are left where they are: no plan trains on them.
    """
    names, table = faces.attribute_names, faces.attributes
    if table is None and faces.age is None:
        return None
    gender = None
    if table is not None and FEMALE in names:
        at = names.index(FEMALE)
        gender, table = table[:, at], np.delete(table, at, axis=1)
        names = (*names[:at], *names[at + 1 :])
    return SiteLabels(
        names=names if table is not None else (), attributes=table, age=faces.age, gender=gender
    )


def _rows(values: NDArray[Any] | None, rows: NDArray[np.int64] | slice) -> NDArray[Any] | None:
    return None if values is None else values[rows]
