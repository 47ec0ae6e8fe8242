"""A few fixed views of every picture: the teacher looks at each once, however long it is taught.

View 0 is the picture as it is; what the others change is drawn from seed, picture and view, so that
teacher and pupil see the same whenever one of them looks.

Leaks: everything; the pictures must be public or invented. What the teacher said is kept in the
folder of features, which is as secret as its pictures.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.faces.augment import augmented
from common.faces.crops import Crop
from common.faces.faceset import FaceSet
from common.metrics.verification import unit_rows
from common.models.cache import CacheKey, FeatureCache
from common.models.tail import Tail
from common.models.trunk import Trunk
from common.wire import digest
from server.distilling.options import DistilOptions, Progress, Report

_STEP = 64  # crops at a time


@dataclass(frozen=True, eq=False, slots=True)
class Views:
    """Row i is view ``i % views`` of picture ``i // views``."""

    faces: FaceSet
    options: DistilOptions

    def __len__(self) -> int:
        return len(self.faces) * self.options.views

    def crop(self, row: int) -> Crop:
        """(S, S, 3) uint8; the same for the same row."""
        picture, view = divmod(int(row), self.options.views)
        crop = self.faces.crop(picture)
        if not view:
            return crop
        rng = np.random.default_rng([self.options.seed, picture, view])
        return augmented(crop, self.options.augment, rng)

    def crops(self, rows: Iterable[int]) -> NDArray[np.uint8]:
        """(B, S, S, 3) uint8."""
        return np.stack([self.crop(row) for row in rows])

    def batch(self, step: int) -> NDArray[np.int64]:
        """The rows of one step, counted from 0: all rows in a new order before any comes again."""
        size = min(self.options.batch, len(self))
        whole = len(self) // size  # what is left of a pass is not shown in it
        turn, place = divmod(step, whole)
        order = np.random.default_rng([self.options.seed, turn]).permutation(len(self))
        return order[place * size : (place + 1) * size]


def said_by(
    teacher: Trunk, tail: Tail, views: Views, report: Report, cache: FeatureCache | None = None
) -> NDArray[np.float32]:
    """What the teacher says of every row: unit embeddings (R, E)."""
    count, told = views.options.views, len(views.faces)
    made = np.empty((told, count, tail.embedding_dim), np.float32)
    for view in range(count):

        def crops(view: int = view) -> Iterator[Crop]:
            for picture in range(told):
                yield views.crop(count * picture + view)
                if picture % _STEP == _STEP - 1:
                    done = view * told + picture + 1
                    report(Progress(what="asking the teacher", done=done, total=count * told))

        if cache is not None:
            key = CacheKey(
                faces=views.faces.digest,
                camera=digest(repr((views.options.seed, views.options.augment))) if view else "",
                view=view,
            )
            features = cache.features(teacher, crops(), key)
        else:
            features = _features(teacher, crops())
        made[:, view] = unit_rows(tail.embed(features))
    return made.reshape(told * count, -1)


def _features(teacher: Trunk, crops: Iterator[Crop]) -> NDArray[np.float32]:
    made, batch = [], []
    for crop in crops:
        batch.append(crop)
        if len(batch) == _STEP:
            made.append(teacher.features(np.stack(batch)))
            batch = []
    if batch:
        made.append(teacher.features(np.stack(batch)))
    return np.concatenate(made)
