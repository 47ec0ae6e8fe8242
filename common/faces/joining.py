"""Several sets of faces as one: whoever is in two of them counts as two people."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from common.errors import DataSetError
from common.faces.crops import Crop, Crops, Indices
from common.faces.faceset import FaceSet
from common.wire import digest


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class JoinedCrops:
    """Crops of several collections; crop i is number ``place[i]`` of ``parts[part[i]]``."""

    parts: tuple[Crops, ...]
    part: Indices
    place: Indices

    @classmethod
    def of(cls, parts: Sequence[Crops]) -> Self:
        """All crops of ``parts``, one collection after the other."""
        sizes = [len(part) for part in parts]
        place = np.concatenate([np.arange(size) for size in sizes])
        return cls(tuple(parts), np.repeat(np.arange(len(parts)), sizes), place)

    def __len__(self) -> int:
        return len(self.part)

    def crop(self, index: int) -> Crop:
        part: Crops = self.parts[int(self.part[index])]
        return part.crop(int(self.place[index]))

    def take(self, indices: Indices) -> Self:
        return type(self)(self.parts, self.part[indices], self.place[indices])

    def digest(self) -> str:
        used = [
            part.take(self.place[self.part == number]).digest()
            for number, part in enumerate(self.parts)
        ]
        return digest("joined", *used, self.part.tobytes())


def joined_faces(sets: Sequence[FaceSet]) -> FaceSet:
    """The pictures of all ``sets`` in order, with people of their own and nothing else of them.

    ``DataSetError`` where there are none.
    """
    if not sets:
        raise DataSetError("no faces to join")
    if len(sets) == 1:
        return sets[0]
    starts = np.cumsum([0, *(len(one.names) for one in sets)])
    return FaceSet(
        source=JoinedCrops.of([one.source for one in sets]),
        person=np.concatenate(
            [one.person + start for one, start in zip(sets, starts[:-1], strict=True)]
        ),
        names=tuple(name for one in sets for name in one.names),
    )
