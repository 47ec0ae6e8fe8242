"""What an embedding costs: in float32 against the processor's own peak, in int8 against float32.

    mascaron-lab bench embed [--batch 8] [--repeats 15] [--threads 1]
                             [--trunk FILE --public FILE --faces FILE --pairs FILE]

An IResNet18 (ReLU, random weights: time does not depend on them) in float32 and int8 through
``common.models.runtime``, and a product of two large float32 matrices by torch, in turns, in one
process with as many threads each. ``ratio_int8`` is time of int8 over float32;
``share_of_matmul_peak`` is operations a second of the network (two for each product and sum of its
layers, nothing for anything else) over those of the matrix product: 1 is a network that computes at
the speed of a product. Both are of processor time, medians over the turns; ``wall_`` are the same
of wall time. ``door_ms`` is where the time of one picture goes, from bytes to the feature.

With ``--trunk`` and ``--faces`` that network is judged: TAR of every distance, int8 (ranges from
``--public`` people) beside float32, and with ``--pairs`` the protocol of LFW. The last line on
stdout is one JSON object.

    mascaron-lab bench embed --pareto NAME=TRUNK [--pareto NAME=TRUNK ...] --public FILE
                             --faces FILE [--pairs FILE] [--judged N] --out DIR

sets trunks beside the first of them instead (``pareto``): ``--out`` gets pareto.md, the table,
pareto.png, accuracy against latency, and pareto.json.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from simulations.benchmarks.arguments import at_least

SIDE = 112
MATRIX = 1536  # side of the matrices multiplied: far past all caches but the last
AGREE = 0.9  # least cosine between features in float32 and int8, of random weights

Run = Callable[[], object]
Network = Callable[[NDArray[np.float32]], NDArray[np.float32]]


def main(arguments: Sequence[str]) -> None:
    """Measures, and prints the JSON line."""
    parser = argparse.ArgumentParser(prog="embed", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--batch", type=at_least(1), default=8)
    parser.add_argument("--repeats", type=at_least(1), default=15)
    parser.add_argument("--threads", type=at_least(1), default=1)
    for name in ("--trunk", "--public", "--faces", "--pairs"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--pareto", action="append", default=[], metavar="NAME=TRUNK")
    parser.add_argument("--judged", type=at_least(0), default=0, help="pictures, at most; 0: all")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args(arguments)
    if options.pareto:
        if None in (options.public, options.faces, options.out):
            parser.error("--pareto needs --public, --faces and --out")
        click.echo(json.dumps({"bench": "embed", **_pareto(options)}))
        return
    report: dict[str, Any] = {"bench": "embed", "batch": options.batch, "threads": options.threads}
    report |= speed(options.batch, options.repeats, options.threads)
    report["door_ms"] = breakdown(options.repeats)
    if options.trunk and options.faces:
        from simulations.benchmarks.accuracy import accuracy

        report |= accuracy(options.trunk, options.faces, options.public, options.pairs)
    report["load"] = [round(load, 1) for load in os.getloadavg()]
    click.echo(json.dumps(report))


def _pareto(options: argparse.Namespace) -> dict[str, Any]:
    from simulations.benchmarks.pareto import ParetoRequest, pareto

    asked = ParetoRequest(
        trunks=tuple(options.pareto),
        faces=options.faces,
        public=options.public,
        out=options.out,
        pairs=options.pairs,
        repeats=options.repeats,
        judged=options.judged,
    )
    return pareto(asked)


def speed(batch: int, repeats: int, threads: int) -> dict[str, Any]:
    """Ratios of the contenders, which must agree on what they compute."""
    import torch

    torch.set_num_threads(threads)
    fp32, int8, operations = networks(threads)
    rng = np.random.default_rng(0)
    planes = rng.standard_normal((batch, 3, SIDE, SIDE), dtype=np.float32)
    left, right = (torch.from_numpy(_matrix(rng)) for _ in range(2))
    agree = _cosines(fp32(planes), int8(planes)).min()
    assert agree > AGREE, f"int8 and float32 differ: cosine {agree}"
    contenders: dict[str, Run] = {
        "fp32": lambda: fp32(planes),
        "int8": lambda: int8(planes),
        "matmul": lambda: left @ right,
    }
    work = {"fp32": batch * operations, "int8": batch * operations, "matmul": 2 * MATRIX**3}
    times = in_turns(contenders, repeats)
    report: dict[str, Any] = {"gflop": round(operations / 1e9, 3), "agree": round(float(agree), 4)}
    for prefix, clock in (("", 1), ("wall_", 0)):
        of = {name: [turn[clock] for turn in turns] for name, turns in times.items()}
        pairs = list(zip(of["fp32"], of["int8"], of["matmul"], strict=True))
        peak = work["fp32"] / work["matmul"]
        report[f"{prefix}ratio_int8"] = round(statistics.median(b / a for a, b, _ in pairs), 3)
        share = statistics.median(peak * c / a for a, _, c in pairs)
        report[f"{prefix}share_of_matmul_peak"] = round(share, 3)
    return report


def networks(threads: int) -> tuple[Network, Network, int]:
    """IResNet18 in float32 and in int8, planes to features, and its operations a picture."""
    import tempfile

    from common.models.quantise import QuantiseOptions, quantised
    from common.models.registry import build
    from common.models.safetensors_import import save_trunk
    from common.models.trunk import load_trunk

    crops = np.random.default_rng(1).integers(0, 256, (16, SIDE, SIDE, 3), dtype=np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        save_trunk(Path(folder), build("iresnet18"), "random weights")
        trunk, tail = load_trunk(Path(folder), threads=threads)
        content, manifest, _ = quantised(trunk, tail, crops, QuantiseOptions(likeness=0))
        (Path(folder) / manifest.file).write_bytes(content)
        small, _ = load_trunk(Path(folder) / manifest.file, manifest, threads=threads)
    return trunk.run, small.run, operations_of(trunk.module.front)


def operations_of(front: Any) -> int:
    """Two for every product of a convolution or matrix product, on one picture."""
    import torch

    from common.models.onnx_operators import apply

    total, values = 0, {front.graph.input: torch.zeros((1, 3, SIDE, SIDE))}
    for node in front.graph.nodes:
        inputs = [front._value(name, values, values[front.graph.input]) for name in node.inputs]
        values[node.outputs[0]] = made = apply(node, inputs)
        if node.op == "Conv":
            total += 2 * made[0].numel() * inputs[1][0].numel()
        elif node.op in ("Gemm", "MatMul"):
            total += 2 * made.numel() * inputs[0].shape[-1]
    return total


def breakdown(repeats: int) -> dict[str, float]:
    """Milliseconds of one picture at each step of the eye, medians of processor time."""
    times = in_turns(eye_steps(invented_picture()), repeats)
    return {k: round(1e3 * statistics.median(cpu for _, cpu in v), 3) for k, v in times.items()}


def invented_picture() -> bytes:
    """A photograph of one invented person, whose face has to be found."""
    from common.faces.pictures import encode
    from common.synthetic.scenes import SceneSize, draw_scene

    return encode(draw_scene(1, 5, SceneSize(fewest=1, most=1, smallest=140, largest=150)).picture)


def eye_steps(
    data: bytes, weights: Path | None = None, split: Path | None = None
) -> dict[str, Run]:
    """What the eye does with a picture, from its bytes to the embedding, each step by itself.

    ``weights`` are a detector's (None: the cascades), ``split`` a trunk's (None: the starter).
    """
    from client.door.eye import fused
    from common.faces.align import align
    from common.faces.detect import largest, make_detector
    from common.faces.liveness import LivenessCheck
    from common.faces.pictures import decode
    from common.faces.quality import assess
    from common.models.trunk import load_trunk
    from simulations.benchmarks.quality import STARTER

    detector, (trunk, tail) = make_detector(weights), load_trunk(split or STARTER)
    picture = decode(data)
    found = detector.find(picture)
    face = largest(found)
    crop = align(picture, face.landmarks)  # type: ignore[arg-type]
    feature = fused(trunk, crop[None])
    return {
        "decode": lambda: decode(data),
        "detect": lambda: detector.find(picture),
        "align": lambda: align(picture, face.landmarks),  # type: ignore[arg-type]
        "quality": lambda: assess(picture, face, crop, found[1:]),
        "life": lambda: LivenessCheck().check(picture, face),
        "trunk": lambda: fused(trunk, crop[None]),
        "tail": lambda: tail.embed(feature),
    }


def in_turns(contenders: Mapping[str, Run], repeats: int) -> dict[str, list[tuple[float, float]]]:
    """Wall and processor seconds of each, ``repeats`` times after a turn that does not count."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in contenders}
    for turn in range(-1, repeats):
        for name, run in contenders.items():
            wall, cpu = time.perf_counter(), time.process_time()
            run()
            if turn >= 0:
                spent = time.perf_counter() - wall, time.process_time() - cpu
                times[name].append(spent)
    return times


def _matrix(rng: np.random.Generator) -> NDArray[np.float32]:
    return rng.standard_normal((MATRIX, MATRIX), dtype=np.float32)


def _cosines(left: NDArray[np.float32], right: NDArray[np.float32]) -> NDArray[np.float32]:
    norms = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    return np.asarray((left * right).sum(axis=1) / norms, np.float32)
