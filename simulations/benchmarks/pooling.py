"""Whether learnt weights make better templates of several pictures than a mean does.

    mascaron-lab bench pooling --trunk FILE [--keep FOLDER] [--public FILE] [--faces FILE]
                               [--people 300] [--unseen 200] [--pictures 3] [--states 1]
                               [--steps 400] [--size 32] [--deals 10] [--out FOLDER]

Invented people teach (or those of ``--public``); invented people of another seed and ``--faces``
judge. A picture is a frame as it is, or one of ``--states`` that a randomised camera spoilt. In
every deal a person shows two templates of ``--pictures`` frames that share none, and all templates
are compared with all. Four ways to pool: the mean, by quality, by learnt attention, by a learnt
GRU. ``tar`` is the mean over deals with a 95 % interval over people; ``over_mean`` and
``over_quality`` are gains in points, paired. ``clean`` are frames as they are, of ``mixed`` ones
half are spoilt. ``--out`` writes what was learnt, for this package and as ONNX. The last line on
stdout is one JSON object.
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

from common.faces.align import TEMPLATE
from common.faces.cameras import RANDOMISED, load_cameras
from common.faces.faceset import FaceSet
from common.faces.load import load_faces
from common.faces.quality import defects, quality_of
from common.matching.pooling import pooled, pooled_by
from common.matching.set_export import export_weights
from common.matching.set_file import set_bytes
from common.matching.set_learning import Frames, LearningOptions, learn_weights
from common.matching.set_weights import SetWeights, make_weights, weights_of
from common.metrics.intervals import estimate, interval, person_weights
from common.metrics.verification import Floats, Pairs
from common.models.tail import Tail
from common.models.trunk import Trunk, load_trunk
from simulations.benchmarks.arguments import at_least
from simulations.benchmarks.equal_training import SEEDS, invented_people

FMRS = (1e-2, 1e-3)
DRAWS = 500
MOST = 8  # pictures of one person
BASES = ("mean", "quality")  # what every way is held against
SPOILT = 0.5  # share of the mixed frames
_WIDE = (10**6, 10**6)  # pixels: a crop does not tell how large its picture was
_STEP = 64  # crops at a time

Estimated = tuple[NDArray[np.float64], NDArray[np.float64]]  # TAR (F,), draws of it (F, B)
Pool = Callable[[Floats, Floats, Floats], Floats]  # features, quality, embeddings -> template


@dataclass(frozen=True, kw_only=True, slots=True)
class Seeing:
    """What sees the pictures, in how many spoilt states, and where features are kept."""

    trunk: Trunk
    tail: Tail
    states: int
    keep: Path | None

    def frames(self, faces: FaceSet) -> Frames:
        """State 0 is a picture as it is, the others are through cameras; at most MOST a person."""
        chosen = np.concatenate([faces.pictures_of(int(p))[:MOST] for p in faces.people])
        shown = faces.subset(chosen)
        path = self._path(shown)
        if path is not None and path.exists():
            with np.load(path, allow_pickle=False) as kept:
                return Frames(
                    features=kept["features"], quality=kept["quality"], person=shown.person
                )
        seen = [self._seen(shown, start) for start in range(0, len(shown), _STEP)]
        features, quality = (np.concatenate(part) for part in zip(*seen, strict=True))
        if path is not None:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            np.savez(path, features=features, quality=quality)
        return Frames(features=features, quality=quality, person=shown.person)

    def _seen(self, faces: FaceSet, start: int) -> tuple[Floats, Floats]:
        rows = range(start, min(start + _STEP, len(faces)))
        crops, camera = faces.crops(rows), load_cameras(RANDOMISED)[0]
        features, quality = [], []
        for state in range(self.states + 1):
            shot = crops
            if state:
                shot = np.stack([camera.shoot(crop, state) for crop in crops])
            features.append(self.trunk.features(shot))
            quality.append(
                [_quality(faces, row, crop) for row, crop in zip(rows, shot, strict=True)]
            )
        return np.stack(features, axis=1), np.array(quality, np.float32).T

    def _path(self, faces: FaceSet) -> Path | None:
        if self.keep is None:
            return None
        return self.keep / f"frames-{self.trunk.hash[:8]}-{faces.digest[:12]}-{self.states}.npz"


def main(arguments: Sequence[str]) -> None:
    """Measures, and prints the JSON line."""
    parser = argparse.ArgumentParser(prog="pooling", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--trunk", type=Path, required=True, help="what sees them")
    parser.add_argument("--keep", type=Path, help="where pictures and features are kept")
    parser.add_argument("--public", type=Path, help="public people who teach, not invented ones")
    parser.add_argument("--faces", type=Path, help="other people who judge, too")
    parser.add_argument("--people", type=at_least(10), default=300, help="invented, who teach")
    parser.add_argument("--unseen", type=at_least(10), default=200, help="invented, who judge")
    parser.add_argument("--pictures", type=at_least(1), default=3, help="of a template")
    parser.add_argument("--states", type=at_least(1), default=1, help="of a picture, spoilt")
    parser.add_argument("--steps", type=at_least(1), default=400)
    parser.add_argument("--size", type=at_least(1), default=32)
    parser.add_argument("--out", type=Path, help="where what was learnt is written")
    parser.add_argument("--deals", type=at_least(1), default=10)
    options = parser.parse_args(arguments)
    trunk, tail = load_trunk(options.trunk)
    seeing = Seeing(trunk=trunk, tail=tail, states=options.states, keep=options.keep)
    teachers = (
        load_faces(options.public)[0]
        if options.public
        else invented_people(options.people, 6, SEEDS[0], options.keep)
    )
    ways = _ways(seeing.frames(teachers), tail, trunk.hash, options)
    judges = {"invented": invented_people(options.unseen, 6, SEEDS[1], options.keep)}
    if options.faces:
        faces = load_faces(options.faces)[0]
        several = faces.people[faces.counts() >= 2 * options.pictures]
        judges["faces"] = faces.of_people(several)
    rows = []
    for name, faces in judges.items():
        frames = seeing.frames(faces)
        for mixed in (False, True):
            state = "mixed" if mixed else "clean"
            for row in compared(frames, tail, ways, options.pictures, options.deals, mixed=mixed):
                rows.append({"people_of": name, "frames": state, **row})
                click.echo(json.dumps(rows[-1]), err=True)
    told = {key: getattr(options, key) for key in ("pictures", "steps", "size", "deals")}
    taught = "public" if options.public else "invented"
    click.echo(json.dumps({"bench": "pooling", "taught": taught, **told, "rows": rows}))


def _ways(frames: Frames, tail: Tail, trunk: str, options: argparse.Namespace) -> dict[str, Pool]:
    ways: dict[str, Pool] = {
        "mean": lambda features, quality, rows: pooled(rows, quality, 0.0),
        "quality": lambda features, quality, rows: pooled(rows, quality),
    }
    asked = LearningOptions(steps=options.steps)
    for kind in ("attention", "recurrent"):
        model = make_weights(kind, frames.features.shape[2], options.size)
        learn_weights(model, frames, tail, asked, np.random.default_rng(0))
        ways[kind] = _learnt(model)
        if options.out:
            options.out.mkdir(parents=True, exist_ok=True)
            (options.out / f"{kind}.safetensors").write_bytes(set_bytes(model, trunk))
            (options.out / f"{kind}.onnx").write_bytes(export_weights(model))
        click.echo(
            f"{kind} has learnt; power of quality {float(model.power.detach()):.2f}", err=True
        )
    return ways


def _learnt(model: SetWeights) -> Pool:
    return lambda features, quality, rows: pooled_by(rows, weights_of(model, features, quality))


def compared(
    frames: Frames, tail: Tail, ways: dict[str, Pool], pictures: int, deals: int, *, mixed: bool
) -> list[dict[str, Any]]:
    """A row for each way: TAR of templates against templates, with intervals over people."""
    groups = frames.groups(2 * pictures)
    pairs = Pairs.of(np.repeat(np.arange(len(groups)), 2))
    weights = person_weights(len(groups), DRAWS, 0)
    found = {name: ([], []) for name in ways}  # type: dict[str, tuple[list[Any], list[Any]]]
    for deal in range(deals):
        picture, state = _dealt(groups, frames, pictures, np.random.default_rng([1, deal]), mixed)
        for name, pool in ways.items():
            templates = []
            for at, how in zip(picture, state, strict=True):
                rows = frames.features[at, how]
                templates.append(pool(rows, frames.quality[at, how], tail.embed(rows)))
            judged = estimate(np.stack(templates), pairs, weights, FMRS)
            found[name][0].append(judged.tar)
            found[name][1].append(judged.draws)
    means = {
        name: (np.mean(tars, axis=0), np.mean(draws, axis=0))
        for name, (tars, draws) in found.items()
    }
    return [
        {
            "way": name,
            "people": len(groups),
            **_row(made, {k: means[k] for k in BASES if k in means}),
        }
        for name, made in means.items()
    ]


def _row(made: Estimated, bases: dict[str, Estimated]) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for index, fmr in enumerate(FMRS):
        row[f"tar@{fmr:g}"] = _round(made[0][index], 4)
        row[f"ci@{fmr:g}"] = [_round(end, 4) for end in interval(made[1][index])]
        for name, base in bases.items():
            row[f"over_{name}@{fmr:g}"] = _round(100 * (made[0][index] - base[0][index]), 2)
            gains = 100 * (made[1][index] - base[1][index])
            row[f"over_{name}_ci@{fmr:g}"] = [_round(end, 2) for end in interval(gains)]
    return row


def _dealt(
    groups: list[NDArray[np.int64]],
    frames: Frames,
    pictures: int,
    rng: np.random.Generator,
    mixed: bool,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pictures (2 P, K) of two templates a person, and the state each is seen in."""
    chosen = np.stack([rng.permutation(group)[: 2 * pictures] for group in groups])
    picture = chosen.reshape(-1, pictures)
    spoilt = rng.integers(1, frames.features.shape[1], picture.shape)
    happens = rng.random(picture.shape) < (SPOILT if mixed else 0)
    return picture, np.where(happens, spoilt, 0)


def _quality(faces: FaceSet, row: int, crop: NDArray[np.uint8]) -> float:
    points = TEMPLATE if faces.landmarks is None else faces.landmarks[row]
    return quality_of(defects(points, crop, _WIDE)).score


def _round(value: float, digits: int) -> float | None:
    return round(float(value), digits) if np.isfinite(value) else None
