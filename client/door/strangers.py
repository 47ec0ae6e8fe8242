"""The public people of a site as strangers to its own: looked at once somebody needs them.

The door opens before that: reading thousands of pictures takes a while the first time.
"""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from client.agent.faces import KnownFaces
from client.agent.sealed import SealedFeatures
from client.door.building import unknown
from common.models.trunk import Trunk

Read = Callable[[Trunk], tuple[NDArray[np.float32], NDArray[np.int64]]]


class PublicPictures:
    """Features of public people by each of ``trunks``; safe among threads. Each trunk's are read
    by ``read`` once, then kept."""

    def __init__(self, trunks: Sequence[Trunk], read: Read) -> None:
        self._trunks = {trunk.hash: trunk for trunk in trunks}
        self._read, self._lock = read, threading.Lock()
        self._known: dict[str, tuple[NDArray[np.float32], NDArray[np.int64]]] = {}

    @property
    def person(self) -> NDArray[np.int64]:
        """Whose each feature is, (M,)."""
        return self._of(next(iter(self._trunks)))[1]

    def of(self, trunk: str) -> NDArray[np.float32]:
        """What ``trunk`` makes of them (M, D); raises as ``dim``."""
        self.dim(trunk)
        return self._of(trunk)[0]

    def dim(self, trunk: str) -> int:
        """How many numbers ``trunk`` gives; ``ReleaseError`` for a trunk that is not here."""
        if trunk not in self._trunks:
            raise unknown(trunk)
        return self._trunks[trunk].feature_dim

    def _of(self, trunk: str) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        with self._lock:
            if trunk not in self._known:
                self._known[trunk] = self._read(self._trunks[trunk])
            return self._known[trunk]


def reader(folder: Path, public: Path, aligned: bool, say: Callable[[str], None]) -> Read:
    """Reads the pictures at ``public``, with the sealed cache in ``folder``.

    Where nothing is at ``public``, thresholds rest on the site's own people alone, and ``say`` is
    told so.
    """

    def read(trunk: Trunk) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        if not public.exists():
            say(f"there are no public people at {public}: the site's own have to do")
            return np.zeros((0, trunk.feature_dim), np.float32), np.zeros(0, np.int64)
        features, faces = KnownFaces(SealedFeatures(folder), trunk, aligned, say).features(
            "public", public
        )
        return features, faces.person

    return read
