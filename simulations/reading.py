"""Heads that read faces for the laboratory: the starter's own, or what the command line names.

The starter's were taught by invented people whom the starter trunk never saw:

    mascaron-lab faces --people 400 --pictures 3 --seed 8100 --out pack.npz
    mascaron-admin heads train --trunk simulations/starter/trunk.toml --faces pack.npz \\
        --heads attributes,age,words --out starter.heads.safetensors
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from common.errors import ConfigError, TrunkError
from common.faces.faceset import FaceSet
from common.faces.folder import FolderOptions, crop_reader
from common.faces.load import load_usable
from common.heads.heads import Heads, Readings
from common.heads.heads_file import read_heads
from common.heads.words import WordsHead
from common.models.studio import Progress
from common.models.trunk import Trunk, load_trunk
from common.synthetic.generate import synthetic_faces
from common.text.encoding import BUILT_IN, TextEncoder, encoder_with, open_encoder
from simulations.sources import STARTER

HEADS = STARTER / "starter.heads.safetensors"
SEED = 8300  # of invented people to look at: the starter's heads never saw them

Crops = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Shown:
    """Crops (N, 112, 112, 3) to read, and of invented people what they are to look like."""

    crops: Crops
    truth: tuple[str, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class Reader:
    """A trunk with its heads."""

    trunk: Trunk
    heads: Heads

    def read(self, crops: Crops) -> Readings:
        """What is said of ``crops`` (N, 112, 112, 3)."""
        batches = [self.trunk.features(crops[row : row + 64]) for row in range(0, len(crops), 64)]
        return self.heads.read(np.concatenate(batches))

    def encoder(self, named: str) -> TextEncoder | None:
        """The encoder whose space the words head reads into; None without such a head."""
        head = self.heads.head(WordsHead.kind)
        if not isinstance(head, WordsHead):
            return None
        return encoder_with(head.encoder, () if named == BUILT_IN else (open_encoder(named),))


def open_reader(trunk: Path | None, heads: Path | None) -> Reader:
    """The reader that the options name, by default the starter's.

    ``ConfigError`` for a trunk without heads, ``TrunkError`` for heads of another trunk.
    """
    if trunk is not None and heads is None:
        raise ConfigError(
            "--trunk needs --heads: what `mascaron-admin heads train --trunk` made of it"
        )
    opened, _ = load_trunk(trunk or STARTER)
    read = read_heads(heads or HEADS)
    if read.trunk != opened.hash:
        raise TrunkError("these heads are of another trunk: name theirs with --trunk")
    return Reader(trunk=opened, heads=read)


def invented(people: int, seed: int, progress: Progress) -> Shown:
    """One picture of each of ``people`` invented people."""
    done = progress.start("inventing people", people)
    faces = synthetic_faces(people, 1, SEED + seed, lambda _: done(1))
    return Shown(crops=_crops(faces), truth=faces.description)


def of_folder(path: Path, aligned: bool) -> Shown:
    """All usable pictures of a folder or pack, in their order."""
    return Shown(crops=_crops(load_usable(path, aligned=aligned)[0]))


def of_picture(path: Path, options: FolderOptions) -> Shown:
    """The largest face of one picture."""
    return Shown(crops=crop_reader(options)(path)[None])


def _crops(faces: FaceSet) -> Crops:
    return np.stack([faces.crop(index) for index in range(len(faces))])
