"""What privacy costs in time and memory: one step on people, six ways.

    mascaron-lab bench dp-step [--persons 32] [--pictures 8] [--repeats 3]

First checks that the contenders agree. Time is processor time, contenders in turns in one process,
the median over repeats of the ratio to plain SGD. Memory is the peak above the start, one process
a contender: at the whole batch for ours and plain SGD, and at four people, where plain SGD looks
best, for all. The last line on stdout is one JSON object; a ratio is ours, or Opacus', divided by
plain SGD: below 1 is cheaper.
"""

import argparse
import dataclasses
import json
import multiprocessing
import statistics
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor

import click
import torch

from simulations.benchmarks.arguments import at_least
from simulations.benchmarks.contenders import CONTENDERS, Setting, make_bench
from simulations.benchmarks.memory import status_bytes

SMALL = 4  # people of the memory comparison of all
UNCLIPPED = 1e9
AGREE = 1e-4  # relative error; float32 sums in another order


def main(arguments: Sequence[str]) -> None:
    """Measures, and prints the JSON line."""
    parser = argparse.ArgumentParser(prog="dp-step", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--persons", type=at_least(1), default=32)
    parser.add_argument("--pictures", type=at_least(2), default=8)
    parser.add_argument("--repeats", type=at_least(1), default=3)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    setting = Setting(persons=options.persons, pictures=options.pictures)
    report = {"bench": "dp-step", **dataclasses.asdict(setting), "repeats": options.repeats}
    report["disagreement"] = check_agreement(dataclasses.replace(setting, persons=2))
    report |= memory_ratios(setting)
    report |= time_ratios(setting, options.repeats)
    click.echo(json.dumps(report))


def check_agreement(setting: Setting) -> float:
    """Steps once each way without noise; the largest relative difference, which is tiny.

    Unclipped, everybody's sum is the plain gradient. Clipped, ours is that of Opacus' per-picture
    gradients added up to people.
    """
    free = make_bench(dataclasses.replace(setting, clip=UNCLIPPED, sigma=0))
    sums = {}
    for name in ("plain", "accumulated", "person", "hooks", "ghost"):
        contender = CONTENDERS[name](free)
        contender.step()
        sums[name] = contender.gradient()
    worst = max(_relative(total, sums["plain"]) for total in sums.values())
    norm = float(sums["plain"].norm()) / setting.persons
    tight = make_bench(dataclasses.replace(setting, clip=norm / 4, sigma=0))
    ours, theirs = CONTENDERS["person"](tight), CONTENDERS["hooks"](tight)
    ours.step()
    theirs.step()
    assert _relative(ours.gradient(), sums["plain"]) > AGREE, "the clip did nothing"
    worst = max(worst, _relative(ours.gradient(), theirs.gradient()))
    assert worst <= AGREE, f"contenders disagree by {worst:.2g}"
    return float(f"{worst:.1e}")


def time_ratios(setting: Setting, repeats: int) -> dict[str, float]:
    """``ratio_time`` (ours), ``ratio_cached`` and the others, against plain SGD."""
    bench = make_bench(setting)
    contenders = {name: make(bench) for name, make in CONTENDERS.items()}
    contenders["cached"].step()  # first use sets libraries up, which a step of 50 ms would notice
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for repeat in range(repeats):
        for name, contender in contenders.items():
            _say(f"time {repeat + 1}/{repeats}: {name}")
            start = time.process_time()
            contender.step()
            seconds[name].append(time.process_time() - start)
            contender.module.zero_grad(set_to_none=True)

    def ratio(name: str, to: str = "plain") -> float:
        pairs = zip(seconds[name], seconds[to], strict=True)
        return round(statistics.median(a / b for a, b in pairs), 4)

    return {
        "ratio_time": ratio("person"),
        "ratio_cached": ratio("cached"),
        "ratio_time_accumulated": ratio("accumulated"),
        "ratio_time_over_accumulated": ratio("person", "accumulated"),
        "ratio_time_hooks": ratio("hooks"),
        "ratio_time_ghost": ratio("ghost"),
    }


def memory_ratios(setting: Setting) -> dict[str, float]:
    """``ratio_memory`` (ours) at the whole batch, and everybody's at four people."""
    small = dataclasses.replace(setting, persons=min(SMALL, setting.persons))
    whole = {name: _peak_elsewhere(name, setting) for name in ("plain", "person")}
    few = {name: _peak_elsewhere(name, small) for name in CONTENDERS}
    ratios = {"ratio_memory": round(whole["person"] / whole["plain"], 4)}
    for name in ("person", "accumulated", "hooks", "ghost", "cached"):
        ratios[f"ratio_memory_{name}_of_{small.persons}"] = round(few[name] / few["plain"], 4)
    return ratios


def peak_bytes(name: str, setting: Setting) -> int:
    """Peak memory of two steps above what model and pictures take; only right in a new process."""
    torch.set_num_threads(1)
    contender = CONTENDERS[name](make_bench(setting))
    start = status_bytes("VmRSS")
    for _ in range(2):
        contender.step()
    return status_bytes("VmHWM") - start


def _peak_elsewhere(name: str, setting: Setting) -> int:
    _say(f"memory of {setting.persons} people: {name}")
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(peak_bytes, name, setting).result()


def _relative(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found - expected).norm() / expected.norm())


def _say(progress: str) -> None:
    click.echo(progress, err=True)


if __name__ == "__main__":
    main(sys.argv[1:])
