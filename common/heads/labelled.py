"""What labels of a face set heads may learn from: by one name each, and nothing forbidden.

Guarantee: a column about something forbidden is left out before a number is computed from it, and
one of gender is read only for a gender head; of what was left out categories and counts are told,
never a column's name.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from common.errors import ForbiddenError
from common.faces.faceset import FaceSet
from common.faces.labels import MISSING
from common.heads.head import PictureLabels
from common.heads.sentences import embedded, said_of
from common.text.encoding import TextEncoder
from common.text.vocabulary import FEMALE, canonical

Truth = NDArray[np.int8]


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Labelled:
    """``labels`` of the pictures of a face set; ``names`` of the columns of its attributes.

    ``refused`` counts columns left out by category, ``unknown`` those that have no name here.
    """

    names: tuple[str, ...]
    labels: PictureLabels
    refused: dict[str, int]
    unknown: int


def labelled(faces: FaceSet, kinds: Sequence[str], encoder: TextEncoder | None = None) -> Labelled:
    """What ``faces`` say for heads of ``kinds``; words need the ``encoder`` of their space.

    The text of a picture is a sentence of the attributes it shows and its age.
    """
    columns, refused, unknown = _columns(faces)
    female = columns.pop(FEMALE, None)
    names = tuple(columns)
    shown = np.stack(list(columns.values()), axis=1) if names else None
    age = None if faces.age is None else np.asarray(faces.age, np.float32)
    words = None
    if encoder is not None and "words" in kinds:
        bare = np.empty((len(faces), 0), np.int8) if shown is None else shown
        aged = np.full(len(faces), np.nan) if age is None else age
        said = [said_of(names, row, float(years)) for row, years in zip(bare, aged, strict=True)]
        words = torch.from_numpy(embedded(said, encoder))
    labels = PictureLabels(
        attributes=None if shown is None or "attributes" not in kinds else torch.from_numpy(shown),
        age=None if age is None or "age" not in kinds else torch.from_numpy(age),
        gender=torch.from_numpy(female) if female is not None and "gender" in kinds else None,
        words=words,
    )
    return Labelled(names=names, labels=labels, refused=refused, unknown=unknown)


def _columns(faces: FaceSet) -> tuple[dict[str, Truth], dict[str, int], int]:
    """The columns that may be learnt from, by name; refused ones by category; how many unknown."""
    found: dict[str, Truth] = {}
    refused: Counter[str] = Counter()
    unknown = 0
    for number, label in enumerate(faces.attribute_names):
        try:
            told = canonical(label)
        except ForbiddenError as error:
            refused[error.category] += 1
            continue
        if told is None or told[0] in found or faces.attributes is None:
            unknown += 1
            continue
        name, so = told
        said = faces.attributes[:, number]
        found[name] = said if so else np.where(said == MISSING, said, 1 - said).astype(np.int8)
    return found, dict(refused), unknown
