"""People on whom heads are measured: labelled packs, pictures without identities, invented people.

Pictures of 64x64 pixels are enlarged and moved so that the eyes of an average face lie where the
trunk expects them (one movement for all, ``PLACED``), or by the landmarks that a detector finds.
Leaks: names stay in the packs; what is returned holds numbers of people.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from common.errors import DataSetError
from common.faces.crops import EncodedCrops, StoredCrops
from common.faces.faceset import FaceSet
from common.faces.pack import read_arrays
from common.heads.head import PictureLabels
from common.heads.labelled import labelled
from common.models.cache import FeatureCache
from common.models.studio import Lens, Progress, Studio
from common.models.trunk import Trunk
from server.heads import Pupils
from simulations.evidence.marks import read_marks

if TYPE_CHECKING:
    from common.faces.detect import Detector

LEAST = 10  # people with an attribute, and without: fewer are not measured
# Where eyes, nose and corners of the mouth of an average picture lie, in shares of its side.
PLACED = ((0.338, 0.295), (0.687, 0.294), (0.520, 0.519), (0.363, 0.680), (0.663, 0.679))
OPEN = 10  # years that a last, open range counts as


@dataclass(frozen=True, kw_only=True, eq=False)
class Lab:
    """What features are made with."""

    trunk: Trunk
    cache: FeatureCache
    progress: Progress

    def features(self, faces: FaceSet, what: str) -> NDArray[np.float32]:
        """(N, D) of the pictures as they are."""
        return Studio(self.trunk, self.cache, self.progress).shoot(faces, Lens(), what)


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Sample:
    """``pupils`` to measure on, and how many columns of labels were left out."""

    pupils: Pupils
    refused: dict[str, int]
    unknown: int


def with_table(faces: FaceSet, table: Path) -> FaceSet:
    """The pictures of ``faces`` that the ``table`` has a line of, with its columns as labels."""
    marks = read_marks(table, faces)
    bare = replace(faces, attributes=None, attribute_names=()).subset(marks.picture)
    return replace(bare, attributes=marks.truth.astype(np.int8), attribute_names=marks.names)


def sample_of(faces: FaceSet, lab: Lab, kinds: tuple[str, ...]) -> Sample:
    """``faces`` with features; attributes that fewer than ``LEAST`` people show or lack are out."""
    told = labelled(faces, kinds)
    labels, names = told.labels, told.names
    if labels.attributes is not None:
        kept = _common(labels.attributes.numpy(), faces.person)
        labels = replace(labels, attributes=labels.attributes[:, torch.from_numpy(kept)])
        names = tuple(names[column] for column in kept)
    pupils = Pupils(
        trunk=lab.trunk.hash,
        features=lab.features(faces, "features"),
        person=faces.person,
        labels=labels,
        names=names,
    )
    return Sample(pupils=pupils, refused=told.refused, unknown=told.unknown)


def ages_of(path: Path, lab: Lab, detector: "Detector | None" = None) -> Sample:
    """Pictures of people who come once each, with a range of years and a gender."""
    arrays = read_arrays(path, ("jpeg", "offsets", "age", "gender"), ())
    offsets = arrays["offsets"].astype(np.int64)
    source = EncodedCrops(arrays["jpeg"], offsets[:-1], offsets[1:], path.name)
    done = lab.progress.start("placing", len(offsets) - 1)
    crops = []
    for index in range(len(offsets) - 1):
        crops.append(_placed(_decoded(source, index), detector))
        done(1)
    faces = FaceSet(
        source=StoredCrops(np.stack(crops)),
        person=np.arange(len(crops)),
        names=tuple(str(number) for number in range(len(crops))),
    )
    labels = PictureLabels(
        age=torch.from_numpy(np.array([_range(str(text)) for text in arrays["age"]], np.float32)),
        gender=torch.from_numpy((arrays["gender"] == "Female").astype(np.int8)),
    )
    pupils = Pupils(
        trunk=lab.trunk.hash,
        features=lab.features(faces, "features of ages"),
        person=faces.person,
        labels=labels,
        names=(),
    )
    return Sample(pupils=pupils, refused={}, unknown=0)


def _common(said: NDArray[np.int8], person: NDArray[np.int64]) -> NDArray[np.int64]:
    """The columns that enough people show, and enough lack."""
    people = [[len(np.unique(person[column == value])) for value in (0, 1)] for column in said.T]
    return np.flatnonzero(np.array(people).reshape(-1, 2).min(axis=1) >= LEAST)


def _range(text: str) -> tuple[float, float]:
    """``20-29`` as the years from 20 to below 30, ``70+`` as the ten from 70."""
    low, dash, high = text.partition("-")
    try:
        return float(low.rstrip("+")), float(high) + 1 if dash else float(low.rstrip("+")) + OPEN
    except ValueError:
        raise DataSetError("age: expected ranges of years such as 20-29 or 70+") from None


def _decoded(source: EncodedCrops, index: int) -> NDArray[np.uint8]:
    import cv2

    data = source.blob[source.start[index] : source.stop[index]]
    picture = cv2.imdecode(data, cv2.IMREAD_COLOR)
    if picture is None:
        raise DataSetError(f"picture {index}: cannot be decoded")
    return np.ascontiguousarray(picture[:, :, ::-1])


def _placed(picture: NDArray[np.uint8], detector: "Detector | None") -> NDArray[np.uint8]:
    """The picture as a crop (112, 112, 3)."""
    import cv2

    from common.faces.align import align

    side = 320 if detector is not None else 224
    large: Any = cv2.resize(picture, (side, side), interpolation=cv2.INTER_CUBIC)
    found = () if detector is None else detector.find(np.asarray(large, np.uint8))
    seen = found[0].landmarks if found else None
    return align(large, np.array(PLACED) * side if seen is None else seen)
