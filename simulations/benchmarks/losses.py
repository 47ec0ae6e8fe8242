"""Which loss and which pictures make the better trunk, after equally many steps.

    mascaron-lab bench losses --out FOLDER [--steps 400] [--batch 64] [--width 1]
        [--only arcface/both] [--train PACK --unseen PACK] [--public PACK]
        [--lfw PACK --pairs FILE --folds 1-8]

Every loss of ``mascaron-admin pretrain`` with its own margin, all else equal, on pictures that are
only shifted and mirrored (``plain``), fully augmented (``augmented``), half through the randomised
camera (``camera``), or both. Judged at FAR 1e-2 on invented people of another seed, as they are and
through that camera, with a 95 % interval over people; with ``--public`` and ``--lfw`` on real ones,
which choose nothing. Without ``--train`` and ``--unseen`` a few people are invented, once.

A setting whose figures are in FOLDER is not trained again, and a training that was stopped goes on,
so the bench may be asked for one setting at a time; with other judges it is judged again, and
figures of another training are refused. TAR is null where a set is too small for it. The last line
on stdout is one JSON object.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from common.errors import RunError
from common.faces.augment import AUGMENTATIONS
from common.faces.cameras import RANDOMISED, load_cameras
from common.faces.faceset import FaceSet
from common.faces.load import load_faces
from common.faces.splits import parse_folds
from common.metrics.intervals import estimate, interval, person_weights
from common.metrics.pairs import PairList, lfw_protocol, read_pairs
from common.metrics.verification import Floats, Pairs, threshold_at_far
from common.models.trunk import load_trunk
from common.wire import digest
from server.pretraining.options import MARGINS, PretrainOptions
from server.pretraining.standing import Keeper
from server.pretraining.trunk import pretrain
from simulations.benchmarks.arguments import at_least
from simulations.benchmarks.equal_training import SEEDS, invented_people

FAR = 1e-2
TREATMENTS = {  # augmentations, and whether the camera
    "plain": (("shift", "flip"), False),
    "augmented": (tuple(AUGMENTATIONS), False),
    "camera": (("shift", "flip"), True),
    "both": (tuple(AUGMENTATIONS), True),
}
SETTINGS = tuple(f"{loss}/{treatment}" for loss in MARGINS for treatment in TREATMENTS)
FIGURES = "figures.json"
_PICTURES = 4  # of a public person, at most
_DRAWS = 1000
_KEPT = 20  # steps after which the standing is written

Embed = Callable[[NDArray[np.uint8]], Floats]


@dataclass(frozen=True, slots=True, eq=False)
class Judges:
    """Who decides: crops and people of each set, and the pairs of LFW where given."""

    sets: dict[str, tuple[NDArray[np.uint8], NDArray[np.int64]]]
    lfw: tuple[FaceSet, PairList] | None

    @property
    def digest(self) -> str:
        """Of all pictures and people that decide."""
        parts: list[str | bytes] = []
        for name, (crops, person) in self.sets.items():
            parts += [name, crops.tobytes(), person.tobytes()]
        if self.lfw is not None:
            faces, pairs = self.lfw
            parts += ["lfw", faces.digest]
            parts += [rows.tobytes() for rows in (pairs.left, pairs.right, pairs.same, pairs.fold)]
        return digest(*parts)


def main(arguments: Sequence[str]) -> None:
    """Trains what is missing, judges it, and prints the JSON line."""
    parser = argparse.ArgumentParser(prog="losses", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for trunks and figures")
    parser.add_argument("--only", action="append", choices=SETTINGS, help="may be repeated")
    parser.add_argument("--steps", type=at_least(1), default=400)
    parser.add_argument("--batch", type=at_least(8), default=64, help="pictures")
    parser.add_argument("--width", type=float, default=1.0, help="of the tiny network")
    parser.add_argument("--people", type=at_least(4), default=100, help="invented, half unseen")
    parser.add_argument("--seed", type=at_least(0), default=0)
    for name in ("--train", "--unseen", "--public", "--lfw", "--pairs"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--folds", default="1-8", help="of LFW")
    told = parser.parse_args(arguments)
    if (told.lfw is None) != (told.pairs is None):
        parser.error("--lfw and --pairs come together")
    train = _faces(told.train, told.people, SEEDS[0], told.out)
    judges = gather(told)
    found = {name: setting(name, train, judges, told) for name in told.only or SETTINGS}
    click.echo(json.dumps({"bench": "losses", "steps": told.steps, "far": FAR, "settings": found}))


def setting(name: str, train: FaceSet, judges: Judges, told: argparse.Namespace) -> dict[str, Any]:
    """The figures of one setting: those in the folder, or new ones."""
    folder: Path = told.out / name
    options = options_of(name, told)
    keeper = Keeper.of(folder, options, train.digest)
    asked = {"terms": dict(keeper.terms), "judges": judges.digest}
    kept: dict[str, Any] = {}
    if (folder / FIGURES).exists():
        kept = json.loads((folder / FIGURES).read_text("utf-8"))
        if kept.get("terms") != asked["terms"]:
            raise RunError(
                f"{folder / FIGURES} is of another training; give what was given then, or another "
                "--out"
            )
    if kept.get("judges") != asked["judges"]:
        if not kept:
            click.echo(f"{name}: {told.steps} steps", err=True)
            pretrain(train, folder, options, lambda _: None, keeper)
        trunk, tail = load_trunk(folder)
        kept = asked | {"figures": judged(lambda c: tail.embed(trunk.features(c)), judges)}
        (folder / FIGURES).write_text(json.dumps(kept), "utf-8")
    figures: dict[str, Any] = kept["figures"]
    return figures


def options_of(name: str, told: argparse.Namespace) -> PretrainOptions:
    """What differs between settings is the loss with its margin, and the pictures."""
    loss, treatment = name.split("/")
    augment, camera = TREATMENTS[treatment]
    return PretrainOptions(
        licence="a benchmark's, not to be used",
        steps=told.steps,
        batch=told.batch,
        width=told.width,
        check_every=min(_KEPT, told.steps),
        held_out=1e-9,  # the fewest: too few to judge by, so that what counts are the last weights
        seed=told.seed,
        loss=loss,  # type: ignore[arg-type]
        augment=augment,
        camera=load_cameras(RANDOMISED)[0] if camera else None,
    )


def gather(told: argparse.Namespace) -> Judges:
    """The sets that decide: invented people with and without the camera, and real ones."""
    unseen = _faces(told.unseen, told.people // 2, SEEDS[1], told.out)
    crops = unseen.crops(range(len(unseen)))
    camera = load_cameras(RANDOMISED)[0]
    shot = np.stack([camera.shoot(crop) for crop in crops])
    sets = {"invented": (crops, unseen.person), "through_camera": (shot, unseen.person)}
    if told.public is not None:
        public = load_faces(told.public)[0]
        chosen = [i for p in public.people for i in public.pictures_of(int(p))[:_PICTURES]]
        sets["public"] = (public.crops(chosen), public.person[chosen])
    if told.lfw is None or told.pairs is None:
        return Judges(sets, None)
    real = load_faces(told.lfw)[0]
    return Judges(sets, (real, _of_folds(read_pairs(told.pairs, real), told.folds)))


def judged(embed: Embed, judges: Judges) -> dict[str, Any]:
    """TAR and its interval on each set; on LFW the TAR of its pairs and its protocol."""
    figures: dict[str, Any] = {}
    for name, (crops, person) in judges.sets.items():
        pairs = Pairs.of(person)
        found = estimate(embed(crops), pairs, person_weights(pairs.people, _DRAWS, 0), (FAR,))
        low, high = interval(found.draws[0])
        known = bool(np.isfinite(found.tar[0]))  # else too few pairs
        figures[name] = {
            "tar": round(float(found.tar[0]), 4) if known else None,
            "ci95": [round(low, 4), round(high, 4)] if known else None,
        }
    if judges.lfw is not None:
        figures["lfw"] = _lfw(embed, *judges.lfw)
    return figures


def _lfw(embed: Embed, faces: FaceSet, pairs: PairList) -> dict[str, Any]:
    scores = pairs.score_by(lambda used: embed(faces.crops(used)))
    threshold = threshold_at_far(np.sort(scores[~pairs.same]), FAR)
    tar = None if threshold is None else float((scores[pairs.same] >= threshold).mean())
    accuracy = lfw_protocol(scores, pairs.same, pairs.fold).accuracy
    told = None if tar is None else round(tar, 4)
    return {"tar": told, "accuracy": round(accuracy, 4), "pairs": len(scores)}


def _of_folds(pairs: PairList, folds: str) -> PairList:
    kept = np.isin(pairs.fold, list(parse_folds(folds)))
    columns = ("left", "right", "same", "fold")
    return PairList(**{name: getattr(pairs, name)[kept] for name in columns})


def _faces(pack: Path | None, people: int, seed: int, keep: Path) -> FaceSet:
    return invented_people(people, 6, seed, keep) if pack is None else load_faces(pack)[0]
