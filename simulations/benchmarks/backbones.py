"""What every network of the registry weighs and costs, and what those for small machines learn.

    mascaron-lab bench backbones [--names tiny resnet18@0.25 ...] [--repeats 5] [--threads 1]
                                 [--train STEPS --keep FOLDER [--contenders ...] [--people 600]
                                  [--pictures 6] [--unseen 200] [--batch 32] [--seed 0]
                                  [--faces FILE --pairs FILE]]

A name may carry a width: ``resnet18@0.25`` has a quarter of the channels. Every network runs folded
through onnxruntime with random weights, on one picture and on eight, in turns with all others and
with a product of two large matrices: ``ms_1`` and ``ms_8`` are processor time of the whole batch,
medians over the turns; ``share_of_peak`` is operations a second (two for each product) at eight
pictures over those of the matrix product. ``parameters`` has the projection to 128, ``body`` not.

``--train`` then trains those below 0.5 GMAC on the same invented people, with the same pictures in
the same order, losses and seeds, and judges them on people of another seed, half of the pictures
through a camera, with intervals over people. ``--keep`` keeps what was trained, so that a run goes
on where it stopped. With ``--faces`` and ``--pairs`` the protocol of LFW as well. The last line on
stdout is one JSON object.
"""

import argparse
import json
import os
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np

from simulations.benchmarks.arguments import at_least
from simulations.benchmarks.embed import MATRIX, SIDE, Run, in_turns, operations_of

BATCHES = (1, 8)
LIMIT = 0.5  # GMAC from which a network is not trained here
CONTENDERS = [
    "tiny",
    "mobilefacenet",
    "edge_attention",
    "resnet18@0.25",
    "iresnet18@0.25",
    "vgg16@0.25",
    "inception_resnet_v1@0.5",
]


@dataclass(frozen=True, slots=True)
class Named:
    """An architecture at a width, as a command line says it."""

    architecture: str
    width: float = 1.0

    @classmethod
    def of(cls, text: str) -> "Named":
        """Reads ``resnet18`` or ``resnet18@0.25``."""
        architecture, _, width = text.partition("@")
        try:
            return cls(architecture, float(width or 1))
        except ValueError:
            told = f"expected NAME or NAME@WIDTH, got {text!r}"
            raise argparse.ArgumentTypeError(told) from None

    def __str__(self) -> str:
        return self.architecture if self.width == 1 else f"{self.architecture}@{self.width:g}"


def main(arguments: Sequence[str]) -> None:
    """Measures, and prints the JSON line."""
    from common.models.registry import NAMES

    parser = argparse.ArgumentParser(prog="backbones", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--names", type=Named.of, nargs="*", default=[Named(n) for n in NAMES])
    parser.add_argument("--repeats", type=at_least(1), default=5)
    parser.add_argument("--threads", type=at_least(1), default=1)
    parser.add_argument("--train", type=at_least(1), metavar="STEPS")
    parser.add_argument("--keep", type=Path, help="where trained networks and pictures are kept")
    parser.add_argument("--contenders", type=Named.of, nargs="+")
    parser.add_argument("--people", type=at_least(10), default=600, help="invented, to train on")
    parser.add_argument("--pictures", type=at_least(2), default=6, help="of a person")
    parser.add_argument("--unseen", type=at_least(10), default=200, help="invented, to judge on")
    parser.add_argument("--batch", type=at_least(2), default=32)
    parser.add_argument("--seed", type=at_least(0), default=0)
    parser.add_argument("--faces", type=Path, help="a pack or folder of faces, for --pairs")
    parser.add_argument("--pairs", type=Path, help="the pairs of LFW")
    options = parser.parse_args(arguments)
    if options.train and not options.keep:
        parser.error("--train needs --keep")
    if bool(options.faces) != bool(options.pairs):
        parser.error("--faces and --pairs go together")
    report: dict[str, Any] = {"bench": "backbones", "threads": options.threads}
    if options.names:
        report |= costs(options.names, options.repeats, options.threads)
    if options.train:
        report["training"] = _trained(options)
    report["load"] = [round(load, 1) for load in os.getloadavg()]
    click.echo(json.dumps(report))


def costs(names: Sequence[Named], repeats: int, threads: int) -> dict[str, Any]:
    """A row for each network: what it weighs, and what it costs beside a matrix product."""
    import torch

    torch.set_num_threads(threads)
    rng = np.random.default_rng(0)
    left, right = (
        torch.from_numpy(rng.standard_normal((MATRIX, MATRIX), dtype=np.float32)) for _ in range(2)
    )
    contenders: dict[str, Run] = {"matmul": lambda: left @ right}
    planes = {n: rng.standard_normal((n, 3, SIDE, SIDE), dtype=np.float32) for n in BATCHES}
    rows = []
    for name in names:
        row, run = _weighed(name, threads)
        rows.append(row)
        contenders |= {f"{name} {n}": partial(run, planes[n]) for n in BATCHES}
        click.echo(f"{name}: {row['gmac']} GMAC", err=True)
    times = in_turns(contenders, repeats)
    cpu = {name: [spent for _, spent in turns] for name, turns in times.items()}
    peak = [2 * MATRIX**3 / spent for spent in cpu["matmul"]]
    for row in rows:
        for n in BATCHES:
            spent = cpu[f"{row['name']} {n}"]
            row[f"ms_{n}"] = round(1e3 * statistics.median(spent), 2)
        speeds = [2e9 * row["gmac"] * n / s for s in spent]  # of the largest batch
        shares = [speed / most for speed, most in zip(speeds, peak, strict=True)]
        row["share_of_peak"] = round(statistics.median(shares), 3)
    return {"rows": rows, "matmul_gflops": round(statistics.median(peak) / 1e9, 1)}


def _weighed(name: Named, threads: int) -> tuple[dict[str, Any], Any]:
    """The first columns of a network's row, and the network: planes to features."""
    from common.models.fold import fold_batchnorm
    from common.models.onnx_export import export_graph
    from common.models.onnx_import import GraphModule
    from common.models.registry import build
    from common.models.runtime import Runtime

    model = build(name.architecture, width=name.width)
    sizes = [sum(w.numel() for w in part.parameters()) for part in (model, model.body)]
    feature = model.feature_dim
    graph = export_graph(fold_batchnorm(model.body), SIDE)
    del model
    row = {
        "name": str(name),
        "parameters": sizes[0],
        "body": sizes[1],
        "feature": feature,
        "gmac": round(operations_of(GraphModule(graph)) / 2e9, 3),
    }
    return row, Runtime(graph, single=False, threads=threads).run


def _trained(options: argparse.Namespace) -> list[dict[str, Any]]:
    from simulations.benchmarks.equal_training import EqualTraining, Judges

    asked = options.contenders or [Named.of(text) for text in CONTENDERS]
    too_large = [str(n) for n in asked if _weighed(n, 1)[0]["gmac"] >= LIMIT]
    if too_large:
        raise click.UsageError(f"{', '.join(too_large)}: at {LIMIT} GMAC or more; take less width")
    training = EqualTraining(
        keep=options.keep,
        steps=options.train,
        batch=options.batch,
        people=options.people,
        pictures=options.pictures,
        seed=options.seed,
    )
    judges = Judges.of(training, options.unseen, options.faces, options.pairs)
    rows = []
    for name in asked:
        trunk, tail = training.trained(name.architecture, name.width)
        rows.append({"name": str(name), **judges.judge(trunk, tail)})
        click.echo(json.dumps(rows[-1]), err=True)
    return rows
