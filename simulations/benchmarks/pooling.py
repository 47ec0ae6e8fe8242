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
half are spoilt. ``--out`` writes what was learnt, for a door and as ONNX. The last line on stdout
is one JSON object.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import numpy as np

from common.faces.load import load_faces
from common.matching.learnt import KINDS
from common.matching.set_export import export_weights
from common.matching.set_file import ENDING, parse_set, set_bytes
from common.matching.set_learning import Frames, LearningOptions, learn_weights
from common.matching.set_weights import make_weights
from common.models.cache import FeatureCache
from common.models.tail import Tail
from common.models.trunk import load_trunk
from server.pooling.frames import Seeing
from server.pooling.judging import Pool, by_learnt, by_mean, by_quality, compared
from simulations.benchmarks.arguments import at_least
from simulations.benchmarks.equal_training import SEEDS, invented_people
from simulations.progress import Told


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
    with TemporaryDirectory() as scratch:
        click.echo(json.dumps(_measured(options, options.keep or Path(scratch))))


def _measured(options: argparse.Namespace, keep: Path) -> dict[str, object]:
    trunk, tail = load_trunk(options.trunk)
    seeing = Seeing(trunk=trunk, cache=FeatureCache(keep), progress=Told(), states=options.states)
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
    rows, sizes = [], (options.pictures, options.deals)
    for name, faces in judges.items():
        frames = seeing.frames(faces)
        for mixed in (False, True):
            state = "mixed" if mixed else "clean"
            for row in compared(frames, tail, ways, sizes, mixed=mixed):
                rows.append({"people_of": name, "frames": state, **row})
                click.echo(json.dumps(rows[-1]), err=True)
    told = {key: getattr(options, key) for key in ("pictures", "steps", "size", "deals")}
    taught = "public" if options.public else "invented"
    return {"bench": "pooling", "taught": taught, **told, "rows": rows}


def _ways(frames: Frames, tail: Tail, trunk: str, options: argparse.Namespace) -> dict[str, Pool]:
    ways: dict[str, Pool] = {"mean": by_mean, "quality": by_quality}
    asked = LearningOptions(steps=options.steps)
    for kind in KINDS:
        model = make_weights(kind, frames.features.shape[2], options.size)
        learn_weights(model, frames, tail, asked, np.random.default_rng(0))
        content = set_bytes(model, trunk)
        ways[kind] = by_learnt(parse_set(content, kind))
        if options.out:
            options.out.mkdir(parents=True, exist_ok=True)
            (options.out / f"{kind}{ENDING}").write_bytes(content)
            (options.out / f"{kind}.onnx").write_bytes(export_weights(model))
        click.echo(
            f"{kind} has learnt; power of quality {float(model.power.detach()):.2f}", err=True
        )
    return ways
