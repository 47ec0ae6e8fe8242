"""How fast a network is trained here: pictures a second, and share of the device's own peak.

    mascaron-lab bench train [--architecture iresnet18] [--batch N] [--people 1000] [--repeats 5]
                             [--threads 1] [--device auto] [--precision auto] [--loss arcface]

Whole steps of ``mascaron-admin pretrain`` (forward, backward, optimiser) on batches that are ready,
and a product of two large matrices of the same type, in turns, in one process: bf16 on a GPU that
has it, float32 on a processor. ``share_of_matmul_peak`` is operations a second of the steps (of
their convolutions and products, both ways, as torch counts them) over those of the product: 1 is a
step that computes at the speed of a product. ``ratio_layout`` is time of the same step with the
channels of every picture apart over that of the layout a training chooses. On a processor all times
are processor time, on a GPU wall time until the device is done; medians over the turns.
``feed_pictures_per_s`` is how many one thread decodes and augments meanwhile: below
``pictures_per_s`` a real training waits for it. The last line on stdout is one JSON object.
"""

import argparse
import json
import os
import statistics
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import click
import numpy as np

from simulations.benchmarks.arguments import at_least
from simulations.benchmarks.embed import in_turns

SIDE = 112
MATRIX = {"cpu": 1536, "cuda": 8192}  # side of the matrices multiplied
BATCH = {"cpu": 8, "cuda": 256}  # pictures, where nobody says


def main(arguments: Sequence[str]) -> None:
    """Measures, and prints the JSON line."""
    parser = argparse.ArgumentParser(prog="train", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--architecture", default="iresnet18")
    parser.add_argument("--batch", type=at_least(2))
    parser.add_argument("--people", type=at_least(2), default=1000, help="rows of the loss")
    parser.add_argument("--repeats", type=at_least(1), default=5)
    parser.add_argument("--threads", type=at_least(1), default=1)
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--precision", choices=("auto", "fp32", "bf16"), default="auto")
    parser.add_argument("--loss", default="arcface")
    click.echo(json.dumps(speed(parser.parse_args(arguments))))


def speed(told: argparse.Namespace) -> dict[str, Any]:
    """Pictures a second and the share of the peak, with what they were measured on."""
    import torch

    from common.models.registry import build
    from server.pretraining.device import choose
    from server.pretraining.options import PretrainOptions
    from server.pretraining.step import Training

    torch.set_num_threads(told.threads)
    place = choose(told.device, told.precision)
    batch = told.batch or BATCH[place.device.type]
    options = PretrainOptions(
        licence="a benchmark's, not to be used",
        architecture=told.architecture,
        batch=batch,
        loss=told.loss,
        device=told.device,
        precision=told.precision,
    )
    training, apart = (
        Training(build(told.architecture), told.people, options, 0) for _ in range(2)
    )
    apart.layout = torch.contiguous_format
    apart.model.to(memory_format=apart.layout)  # type: ignore[call-overload]
    rng = np.random.default_rng(0)
    crops = torch.from_numpy(rng.integers(0, 256, (batch, SIDE, SIDE, 3), np.uint8))
    person = torch.arange(batch) // 2 % told.people  # two pictures of each, for triplets too
    kind = torch.bfloat16 if place.bf16 else torch.float32
    side = MATRIX[place.device.type]
    left, right = (torch.randn((side, side), device=place.device).to(kind) for _ in range(2))

    def step(which: Training = training) -> None:
        which.step(crops, person, 1)
        place.wait()

    def product() -> None:
        _ = left @ right
        place.wait()

    operations = operations_of(step)
    runs: dict[str, Callable[[], object]] = {
        "step": step,
        "apart": partial(step, apart),
        "matmul": product,
    }
    times = in_turns(runs, told.repeats)
    clock = 0 if place.device.type == "cuda" else 1
    seconds = {name: statistics.median(t[clock] for t in turns) for name, turns in times.items()}
    achieved, peak = operations / seconds["step"], 2 * side**3 / seconds["matmul"]
    return {
        "bench": "train",
        "architecture": told.architecture,
        "device": place.name,
        "precision": "bf16" if place.bf16 else "fp32",
        "batch": batch,
        "threads": told.threads,
        "gflop_per_picture": round(operations / batch / 1e9, 3),
        "pictures_per_s": round(batch / seconds["step"], 2),
        "share_of_matmul_peak": round(achieved / peak, 3),
        "ratio_layout": round(seconds["apart"] / seconds["step"], 3),
        "matmul_tflops": round(peak / 1e12, 3),
        "feed_pictures_per_s": round(fed(), 1),
        "load": [round(load, 1) for load in os.getloadavg()],
    }


def operations_of(step: Callable[[], None]) -> int:
    """Two for every product and sum of the convolutions and matrix products of one step."""
    from torch.utils.flop_counter import FlopCounterMode

    counter = FlopCounterMode(display=False)
    with counter:
        step()
    return int(counter.get_total_flops())


def fed(pictures: int = 64) -> float:
    """Pictures that one thread decodes, shifts and mirrors in a second of processor time."""
    from common.faces.augment import augmented
    from common.faces.pictures import decode, encode

    rng = np.random.default_rng(0)
    data = encode(rng.integers(0, 256, (SIDE, SIDE, 3), np.uint8))

    def feed() -> None:
        for _ in range(pictures):
            augmented(decode(data), ("shift", "flip"), rng)

    spent = in_turns({"feed": feed}, 3)["feed"]
    return pictures / statistics.median(cpu for _, cpu in spent)
