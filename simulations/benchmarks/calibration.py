"""Whether a threshold keeps its word: realised FMR on other people, inside the bound stated.

    mascaron-lab bench calibration [--people 50 100 200] [--fmr 1e-2 1e-3] [--repeats 1000]
    mascaron-lab bench calibration --faces lfw_112.npz --trunk model.onnx --cache DIR

People are drawn from a pool, fix a threshold, and are judged on all others of it, again and again.
The pool is invented embeddings, or the faces of a pack. ``kept`` is the share of calibrations whose
threshold, chosen by its bound, realised no more than that bound; ``stated`` the same for thresholds
chosen by the rate seen; ``percentile`` what the 95th percentile of a person bootstrap would have
kept. The last line on stdout is one JSON object.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import numpy as np

from common.faces.pack import load_pack
from common.metrics.impostors import Faces, by_person
from common.models.cache import FeatureCache
from common.models.studio import Lens, Studio
from common.models.trunk import load_trunk
from simulations.benchmarks.arguments import at_least
from simulations.coverage import Trials, coverage, invented_pool
from simulations.progress import Bars, stderr_console

INVENTED = 3000  # people of the pool
SEED = 7700


def main(arguments: Sequence[str]) -> None:
    """Measures, and prints the JSON line."""
    parser = argparse.ArgumentParser(prog="calibration", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--people", type=at_least(2), nargs="+", default=[50, 100, 200])
    parser.add_argument("--fmr", type=float, nargs="+", default=[1e-2, 1e-3])
    parser.add_argument("--repeats", type=at_least(1), default=1000)
    parser.add_argument("--pictures", type=at_least(1), default=2, help="of a person, at most")
    parser.add_argument("--faces", type=Path, help="a pack to draw people from")
    parser.add_argument("--trunk", type=Path, help="what sees them; needed with --faces")
    parser.add_argument("--cache", type=Path, help="where features are kept, as secret as faces")
    options = parser.parse_args(arguments)
    if (options.faces is None) != (options.trunk is None):
        parser.error("--faces and --trunk go together")
    pool = invented_pool(INVENTED, options.pictures, SEED)
    if options.faces is not None:
        pool = seen_pool(options.faces, options.trunk, options.cache, options.pictures)
    rows: list[dict[str, Any]] = []
    for fmr in options.fmr:
        for people in options.people:
            trials = Trials(people=people, fmr=fmr, repeats=options.repeats)
            found = {"people": people, "fmr": fmr, **asdict(coverage(pool, trials))}
            rows.append(found)
            click.echo(" ".join(f"{name}={value}" for name, value in found.items()), err=True)
    report = {
        "bench": "calibration",
        "pool": {"people": pool.people, "pictures": len(pool)},
        "repeats": options.repeats,
        "rows": rows,
        **{f"ratio_{name}": _worst(rows, name) for name in ("kept", "stated", "percentile")},
    }
    click.echo(json.dumps(report))


def seen_pool(faces: Path, trunk: Path, cache: Path | None, pictures: int) -> Faces:
    """The embeddings of at most so many ``pictures`` of each person of the pack ``faces``."""
    seeing, tail = load_trunk(trunk)
    pack = load_pack(faces)
    chosen = np.sort(np.concatenate([each[:pictures] for each in by_person(pack.person)]))
    with TemporaryDirectory() as scratch, Bars(stderr_console()) as bars:
        studio = Studio(seeing, FeatureCache(cache or Path(scratch)), bars)
        features = studio.shoot(pack.subset(chosen), Lens(), "pictures")
    return Faces(tail.embed(features), pack.person[chosen])


def _worst(rows: list[dict[str, Any]], name: str) -> float | None:
    return min((row[name] for row in rows if row[name] is not None), default=None)
