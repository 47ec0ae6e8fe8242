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
from common.privacy.heads import GENDER

if TYPE_CHECKING:
    from client.agent.sentences import Speech
    from common.faces.faceset import FaceSet
    from common.heads.labelled import Labelled


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class SiteLabels:
    """Of N pictures, in their order; None where nobody said anything of the kind.

    ``attributes`` (N, A) int8 in {1, 0, MISSING}, columns as in ``names``; ``age`` (N,) years or
    NaN; ``gender`` (N,) int8, 1 for women, 0 for men, or MISSING; ``words`` (N, T) unit rows in the
    space of the site's text encoder, or NaN.
    """

    names: tuple[str, ...] = ()
    attributes: NDArray[np.int8] | None = None
    age: NDArray[np.float32] | None = None
    gender: NDArray[np.int8] | None = None
    words: NDArray[np.float32] | None = None

    def at(self, rows: NDArray[np.int64] | slice) -> "SiteLabels":
        """Of the pictures at ``rows``."""
        return SiteLabels(
            names=self.names,
            attributes=_rows(self.attributes, rows),
            age=_rows(self.age, rows),
            gender=_rows(self.gender, rows),
            words=_rows(self.words, rows),
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


def labels_of(faces: "FaceSet", speech: "Speech | None" = None) -> SiteLabels | None:
    """What ``labels.csv`` beside the pictures says that heads may learn; None if nothing.

    Columns go by the names of the vocabulary, so that a plan means the same thing at every site;
    columns about what is forbidden are left out before a number is looked at. Sentences are made
    and descriptions looked at only with the site's ``speech``.
    """
    from common.heads.labelled import labelled  # torch, only where used

    found = labelled(faces, ("attributes", "age", GENDER))
    said, words = found.labels, None
    if speech is not None:
        words = _words(faces, found, speech)
    if said.attributes is None and said.age is None and said.gender is None and words is None:
        return None
    return SiteLabels(
        names=found.names,
        attributes=None if said.attributes is None else said.attributes.numpy(),
        age=None if said.age is None else said.age.numpy(),
        gender=None if said.gender is None else said.gender.numpy(),
        words=words,
    )


def _words(faces: "FaceSet", found: "Labelled", speech: "Speech") -> NDArray[np.float32] | None:
    from client.agent.sentences import Said

    shown, years = found.labels.attributes, found.labels.age
    return speech.rows(
        Said(
            count=len(faces),
            names=found.names,
            shown=None if shown is None else shown.numpy(),
            years=None if years is None else years.numpy(),
            texts=faces.description,
        )
    )


def _rows(values: NDArray[Any] | None, rows: NDArray[np.int64] | slice) -> NDArray[Any] | None:
    return None if values is None else values[rows]
