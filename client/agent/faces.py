"""Folders and packs of faces as features: computed once for a trunk, then kept sealed."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from client.agent.sealed import SealedFeatures

if TYPE_CHECKING:
    from common.faces.faceset import FaceSet
    from common.models.trunk import Trunk

BATCH = 64  # crops


class KnownFaces:
    """The pictures that a site has in files, through one trunk.

    ``say`` is told how many were left out, which only the operator may read.
    Guarantee: once ``forget_others`` was called, features of pictures that were taken away are
    not in the cache any more.
    """

    def __init__(
        self, cache: SealedFeatures, trunk: "Trunk", aligned: bool, say: Callable[[str], None]
    ) -> None:
        self.trunk = trunk
        self._cache, self._aligned, self._say = cache, aligned, say
        self._kept: list[tuple[str, str]] = []  # digests of trunk and pictures

    def features(self, what: str, path: Path) -> "tuple[NDArray[np.float32], FaceSet]":
        """Of all pictures at ``path`` (N, D), with the pictures; ``what`` is a word for ``say``.

        Slow where they are not in the cache yet. ``DataSetError`` if there are none to be had.
        """
        faces = self._usable(what, path)
        self._kept.append((self.trunk.hash, faces.digest))
        stored = self._cache.load(self.trunk.hash, faces.digest)
        if stored is not None and stored.shape == (len(faces), self.trunk.feature_dim):
            return stored, faces
        made = [self.trunk.features(faces.crops(batch)) for batch in _batches(len(faces))]
        empty = np.empty((0, self.trunk.feature_dim), np.float32)
        features = np.concatenate([empty, *made])
        self._cache.store(self.trunk.hash, faces.digest, features)
        return features, faces

    def forget_others(self) -> None:
        """Removes from the cache what was not asked for since the start."""
        self._cache.forget_all_but(*self._kept)

    def _usable(self, what: str, path: Path) -> "FaceSet":
        from common.faces.load import load_usable

        faces, skipped = load_usable(path, aligned=self._aligned)
        if skipped.total:
            hint = "" if self._aligned else " (`aligned = true` in site.toml is for crops)"
            self._say(f"{what}: {skipped}{hint if skipped.faceless else ''}")
        return faces


def _batches(count: int) -> Iterator[range]:
    return (range(start, min(start + BATCH, count)) for start in range(0, count, BATCH))
