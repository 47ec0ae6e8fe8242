"""Features computed once: a folder of them, private to its owner.

Leaks: a feature is a face. The folder is 0700, its files 0600; it belongs to the laboratory and is
as secret as the pictures it was made of.
"""

import contextlib
import hashlib
import itertools
import os
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from common.errors import RunError
from common.models.trunk import Trunk
from common.outputs import check_folder

_BATCH = 64  # crops


@dataclass(frozen=True, kw_only=True, slots=True)
class CacheKey:
    """Which pictures, seen how. The digests are of content, so a name never enters a path."""

    faces: str  # digest of the face set
    camera: str = ""  # digest of the camera, "" for none
    view: int = 0


class FeatureCache:
    """``features`` by (trunk, faces, camera, view); a damaged file is as good as none."""

    def __init__(self, folder: Path) -> None:
        check_folder(folder, "--cache")
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.chmod(0o700)
        except OSError as error:
            told = f"cannot keep features in {folder} ({error.strerror})"
            raise RunError(f"{told}; choose another folder with --cache") from error
        self.folder = folder

    def features(
        self,
        trunk: Trunk,
        crops: Iterable[NDArray[np.uint8]],
        key: CacheKey,
        progress: Callable[[int], None] | None = None,
    ) -> NDArray[np.float32]:
        """(N, D) features of ``crops``, each (S, S, 3), which are read only if they are missing.

        ``progress`` is told the number of crops done since it was last told.
        """
        path = self._path(trunk, key)
        stored = self._read(path, trunk.feature_dim)
        if stored is not None:
            return stored
        made = [np.empty((0, trunk.feature_dim), np.float32)]
        for batch in _batches(crops):
            made.append(trunk.features(batch))
            if progress:
                progress(len(batch))
        features = np.concatenate(made)
        self._write(path, features)
        return features

    def _path(self, trunk: Trunk, key: CacheKey) -> Path:
        told = repr((trunk.hash, *astuple(key))).encode()
        return self.folder / f"{hashlib.sha256(told).hexdigest()}.npz"

    @staticmethod
    def _read(path: Path, dim: int) -> NDArray[np.float32] | None:
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
                features: NDArray[np.float32] = stored["features"]
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None
        whole = features.dtype == np.float32 and features.ndim == 2 and features.shape[1] == dim
        return features if whole else None

    def _write(self, path: Path, features: NDArray[np.float32]) -> None:
        descriptor, name = tempfile.mkstemp(dir=self.folder, suffix=".part")  # made 0600
        try:
            with os.fdopen(descriptor, "wb") as file:
                np.savez(file, features=features)
            Path(name).replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(name).unlink()
            raise


def _batches(crops: Iterable[NDArray[np.uint8]]) -> Iterator[NDArray[np.uint8]]:
    source = iter(crops)
    while batch := list(itertools.islice(source, _BATCH)):
        yield np.stack(batch)
