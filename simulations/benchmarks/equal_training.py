"""Networks trained alike on invented people, and judged on others: only the network differs."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from common.faces.cameras import RANDOMISED, load_cameras
from common.faces.faceset import FaceSet
from common.faces.load import load_faces
from common.metrics.intervals import estimate, interval, person_weights
from common.metrics.pairs import PairList, lfw_protocol, read_pairs
from common.metrics.verification import Floats, Pairs
from common.models.manifest import NAME as MANIFEST
from common.models.tail import Tail
from common.models.trunk import Trunk, load_trunk
from common.synthetic.generate import synthetic_faces
from common.synthetic.kept import kept_faces
from server.pretraining.options import PretrainOptions, Progress
from server.pretraining.standing import Keeper
from server.pretraining.trunk import pretrain

FMRS = (1e-1, 1e-2, 1e-3)
DRAWS = 500
CHECKS = 8  # during training, after each of which it can go on
SEEDS = 7001, 7101  # of the people who are learnt and of those who judge
_STEP = 64  # crops decoded at a time
_TELL = 20  # steps


@dataclass(frozen=True, kw_only=True, slots=True)
class EqualTraining:
    """What all networks are given alike, and the folder where pictures and networks stay."""

    keep: Path
    steps: int
    batch: int
    people: int
    pictures: int
    seed: int = 0

    def trained(self, architecture: str, width: float) -> tuple[Trunk, Tail]:
        """The network after training; read where it was trained before with the same settings."""
        settings = {**asdict(self), "keep": "", "architecture": architecture, "width": width}
        digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
        folder = self.keep / f"{architecture}-{digest[:12]}"
        if not (folder / MANIFEST).exists():
            faces, options = self.faces(), self._options(architecture, width)
            keeper = Keeper.of(folder, options, faces.digest)
            pretrain(faces, folder, options, _teller(architecture), keeper)
        return load_trunk(folder)

    def faces(self) -> FaceSet:
        """The invented people who are learnt."""
        return self.invented(self.people, SEEDS[0])

    def invented(self, people: int, seed: int) -> FaceSet:
        """Invented people, rendered once."""
        return invented_people(people, self.pictures, seed, self.keep)

    def _options(self, architecture: str, width: float) -> PretrainOptions:
        return PretrainOptions(
            licence="invented people",
            architecture=architecture,
            width=width,
            steps=self.steps,
            batch=self.batch,
            camera=load_cameras(RANDOMISED)[0],
            held_out=0.05,
            check_every=max(1, self.steps // CHECKS),
            patience=self.steps,  # nobody stops early
            seed=self.seed,
            device="cpu",
        )


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Judges:
    """Crops (N, S, S, 3) of people whom no network has seen, and a list of pairs if there is."""

    crops: NDArray[np.uint8]
    person: NDArray[np.int64]
    faces: FaceSet | None = None
    pairs: PairList | None = None

    @classmethod
    def of(
        cls, training: EqualTraining, unseen: int, faces: Path | None, pairs: Path | None
    ) -> "Judges":
        """``unseen`` invented people, every other picture through a randomised camera."""
        shown = training.invented(unseen, SEEDS[1])
        crops = shown.crops(range(len(shown)))
        camera = load_cameras(RANDOMISED)[0]
        for row in range(1, len(crops), 2):
            crops[row] = camera.shoot(crops[row], row)
        if faces is None or pairs is None:
            return cls(crops=crops, person=shown.person)
        real, _ = load_faces(faces)
        return cls(crops=crops, person=shown.person, faces=real, pairs=read_pairs(pairs, real))

    def judge(self, trunk: Trunk, tail: Tail) -> dict[str, Any]:
        """TAR on the invented people with 95 % intervals, and the protocol of LFW."""
        pairs = Pairs.of(self.person)
        weights = person_weights(pairs.people, DRAWS, 0)
        found = estimate(tail.embed(trunk.features(self.crops)), pairs, weights, FMRS)
        told: dict[str, Any] = {}
        for index, fmr in enumerate(FMRS):
            known = bool(np.isfinite(found.tar[index]))  # else too few pairs for this rate
            ends = interval(found.draws[index])
            told[f"tar@{fmr:g}"] = round(float(found.tar[index]), 4) if known else None
            told[f"ci@{fmr:g}"] = [round(end, 4) for end in ends] if known else None
        if self.faces is not None and self.pairs is not None:
            told |= self._protocol(trunk, tail, self.faces, self.pairs)
        return told

    @staticmethod
    def _protocol(trunk: Trunk, tail: Tail, faces: FaceSet, pairs: PairList) -> dict[str, Any]:
        def embed(used: NDArray[np.int64]) -> Floats:
            parts = np.split(used, range(_STEP, len(used), _STEP))
            return np.concatenate([tail.embed(trunk.features(faces.crops(p))) for p in parts])

        found = lfw_protocol(pairs.score_by(embed), pairs.same, pairs.fold)
        return {
            "lfw_accuracy": round(found.accuracy, 4),
            "lfw_standard_error": round(found.standard_error, 4),
        }


def invented_people(people: int, pictures: int, seed: int, keep: Path | None) -> FaceSet:
    """Invented people, rendered once and kept in the folder ``keep``."""
    if keep is None:
        return synthetic_faces(people, pictures, seed)
    return kept_faces(keep, people, pictures, seed, _rendered)


def _rendered(pictures: int) -> None:
    if pictures % _TELL == 0:
        click.echo(f"{pictures} pictures rendered", err=True)


def _teller(architecture: str) -> Callable[[Progress], None]:
    def tell(progress: Progress) -> None:
        if progress.step % _TELL == 0:
            click.echo(f"{architecture} {progress.step} {progress.loss:.3f}", err=True)

    return tell
