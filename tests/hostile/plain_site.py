"""What a site in the plain pattern has on its disk and, between two messages, in its memory."""

import ctypes
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from common.daemons.users import OsUser, become

DUMPABLE = 4  # PR_SET_DUMPABLE
NODE = """
import sys
from tests.hostile.plain_site import stand
stand(sys.argv[1], *map(int, sys.argv[2:]))
"""


@dataclass(frozen=True)
class Data:
    """Features (N, D), the number of the person on each, and names."""

    features: np.ndarray
    person: np.ndarray
    names: tuple[str, ...]

    @classmethod
    def load(cls, folder: Path) -> "Data":
        """Raises an error that says which person's file is broken, as loaders do."""
        with np.load(folder / "cache.npz", allow_pickle=False) as kept:
            features, person, names = kept["features"], kept["person"], tuple(kept["names"])
        for row, number in zip(features, person, strict=True):
            if not np.isfinite(row).all():
                raise ValueError(f"broken picture in {folder / str(names[number])}")
        return cls(features, person, names)

    def save(self, folder: Path) -> None:
        kept = {"features": self.features, "person": self.person, "names": np.array(self.names)}
        np.savez(folder / "cache.npz", **kept)


def stand(folder: str, user: int = -1, group: int = -1) -> None:
    """A node with its data in memory, as between two messages; ended by whoever started it."""
    if user >= 0:
        with tempfile.TemporaryDirectory() as other:  # loads what loading needs
            Data(np.zeros((1, 1)), np.zeros(1), ("",)).save(Path(other))
            Data.load(Path(other))
        become(OsUser("node", user, group))
        ctypes.CDLL(None).prctl(DUMPABLE, 1, 0, 0, 0)  # as a program is that nobody protects
    data = Data.load(Path(folder))
    print("ready", len(data.person), os.getpid(), flush=True)  # noqa: T201
    while sys.stdin.readline():
        time.sleep(0.1)
