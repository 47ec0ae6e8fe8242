"""The tails that a trial ended in, kept so that report people can judge without another run.

They are what the trial released and what sites made of it with their own people, so they stay in
the folder of the search. Only those of the best trial and of the default setting stay to the end.
"""

import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from common.errors import ModelError, RunError
from common.models.tail import Tail
from simulations.pieces import write_whole
from simulations.tuning.contest import Tails


@dataclass(frozen=True, slots=True)
class Kept:
    """Tails by the number of their trial, one file each, in ``folder``."""

    folder: Path

    def write(self, trial: int, tails: Tails) -> None:
        """Keeps ``tails``; a crash leaves all of them or none."""
        arrays = {
            f"{repetition}.{site}.{name}": array
            for repetition, mine in enumerate(tails)
            for site, tail in enumerate(mine)
            for name, array in (("weight", tail.weight), ("bias", tail.bias))
        }
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)  # type: ignore[arg-type]
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(self._path(trial), buffer.getvalue())

    def read(self, trial: int) -> Tails:
        """What ``write`` kept; ``RunError`` where it is gone or broken."""
        try:
            with np.load(io.BytesIO(self._path(trial).read_bytes()), allow_pickle=False) as stored:
                arrays = dict(stored)
            keys = sorted({tuple(map(int, key.split(".")[:2])) for key in arrays})
            tails: list[list[Tail]] = [[] for _ in range(1 + keys[-1][0])]
            for repetition, site in keys:
                at = f"{repetition}.{site}"
                tails[repetition].append(Tail(arrays[f"{at}.weight"], arrays[f"{at}.bias"]))
            return tails
        except (OSError, ValueError, KeyError, IndexError, BadZipFile, ModelError) as error:
            raise RunError(
                f"cannot read {self._path(trial)} ({type(error).__name__}); search in another "
                "folder with --out"
            ) from error

    def only(self, trials: Iterable[int]) -> None:
        """Forgets all others."""
        stay = {self._path(trial) for trial in trials}
        for path in self.folder.glob("tails-*.npz"):
            if path not in stay:
                path.unlink()

    def forget_numbers(self) -> None:
        """Renames the one file there is, so that no name says which trial it was."""
        for path in self.folder.glob("tails-*.npz"):
            path.replace(self.folder / "best.npz")

    def _path(self, trial: int) -> Path:
        return self.folder / f"tails-{trial}.npz"
