"""What a site's operator says of its people's pictures: beside their features, never without them.

Labels are personal data like the features they lie beside: held in memory alone, printed nowhere,
in no file, log or message. What of them leaves is a clipped and noised gradient that a plan names.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from client.vault.labels import AGE
from common.faces.labels import MISSING
from common.privacy.heads import GENDER
from common.text.vocabulary import FEMALE

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


def labels_of(
    faces: "FaceSet",
    speech: "Speech | None" = None,
    allows: Callable[[str], bool] = lambda name: True,
) -> SiteLabels | None:
    """What ``labels.csv`` beside the pictures says that heads may learn; None if nothing.

    Columns go by the names of the vocabulary, so that a plan means the same thing at every site;
    columns about what is forbidden are left out before a number is looked at, and so are those of
    a name that the site does not allow, as with labels in the vault (``allows``). Sentences are
    made, of what is left, and descriptions looked at only with the site's ``speech``.
    """
    from common.heads.labelled import labelled  # torch, only where used

    found = labelled(faces, ("attributes", "age", GENDER))
    said = _allowed(found, allows)
    if speech is not None:
        said = replace(said, words=_words(faces, said, speech))
    if all(one is None for one in (said.attributes, said.age, said.gender, said.words)):
        return None
    return said


def _allowed(found: "Labelled", allows: Callable[[str], bool]) -> SiteLabels:
    """Of what was ``found`` the columns whose names are allowed."""
    said = found.labels
    kept = [at for at, name in enumerate(found.names) if allows(name)]
    shown = said.attributes if kept else None
    return SiteLabels(
        names=tuple(found.names[at] for at in kept),
        attributes=None if shown is None else shown.numpy()[:, kept],
        age=said.age.numpy() if said.age is not None and allows(AGE) else None,
        gender=said.gender.numpy() if said.gender is not None and allows(FEMALE) else None,
    )


def _words(faces: "FaceSet", said: SiteLabels, speech: "Speech") -> NDArray[np.float32] | None:
    from client.agent.sentences import Said

    told = Said(
        count=len(faces),
        names=said.names,
        shown=said.attributes,
        years=said.age,
        texts=faces.description,
    )
    return speech.rows(told)


def _rows(values: NDArray[Any] | None, rows: NDArray[np.int64] | slice) -> NDArray[Any] | None:
    return None if values is None else values[rows]
