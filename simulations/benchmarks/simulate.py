"""What a simulated site costs in time and memory, with ten of them and with a thousand.

    mascaron-lab bench simulate [--sites 10 100 1000] [--huge] [--repeats 3] [--flower 10]

Three rounds on features that are already there, through the real ServerApp, courier, agents, gate
and ledgers. Every run has a process of its own, sizes in turns. Time a site is processor time of
the federation alone, the median over repeats; memory is the peak of the process. Beside it, the
same apps with ``--flower`` sites under Flower's own simulation, which must end with the same sums:
whole seconds from a fresh interpreter to the result, both ways. The last line on stdout is one
JSON object; ``ratio_time_per_site`` is the largest number of sites divided by the smallest: 1 is
what does not grow.
"""

import argparse
import importlib.util
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import click
import numpy as np

from simulations.benchmarks.arguments import at_least
from simulations.benchmarks.memory import status_bytes

HUGE = 10_000  # sites
ENOUGH = 300  # sites in all, before the time of a small federation is believed
AGREE = 1e-5  # relative: float32 sums in another order


def main(arguments: Sequence[str]) -> None:
    """Measures, and prints the JSON line."""
    parser = argparse.ArgumentParser(prog="simulate", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--sites", type=at_least(1), nargs="+", default=[10, 100, 1000])
    parser.add_argument("--huge", action="store_true", help=f"also {HUGE} sites")
    parser.add_argument("--repeats", type=at_least(1), default=3)
    parser.add_argument(
        "--flower", type=at_least(0), default=10, help="sites under Ray; 0: do without"
    )
    options = parser.parse_args(arguments)
    sizes = sorted({*options.sites, *([HUGE] if options.huge else [])})
    os.environ["OMP_NUM_THREADS"] = "1"
    report: dict[str, Any] = {"bench": "simulate", "rounds": 3, "repeats": options.repeats}
    report |= sites_ratios(sizes, options.repeats)
    if options.flower:
        report |= flower_ratio(options.flower)
    report["load"] = [round(load, 1) for load in os.getloadavg()]
    click.echo(json.dumps(report))


def sites_ratios(sizes: Sequence[int], repeats: int) -> dict[str, Any]:
    """Milliseconds a site and MiB for every size, and how both grow."""
    found: dict[int, list[tuple[float, int]]] = {size: [] for size in sizes}
    for repeat in range(repeats):
        for size in sizes:
            seconds, peak = _elsewhere(measure, size)
            found[size].append((seconds, peak))
            _say(
                f"{repeat + 1}/{repeats}: {size} sites, "
                f"{1e3 * seconds:.2f} ms a site, {peak >> 20} MiB"
            )
    times = {size: statistics.median(s for s, _ in runs) for size, runs in found.items()}
    peaks = {size: max(p for _, p in runs) for size, runs in found.items()}
    report: dict[str, Any] = {
        "ms_per_site": {size: round(1e3 * t, 3) for size, t in times.items()},
        "peak_mib": {size: p >> 20 for size, p in peaks.items()},
    }
    for size in sizes[1:]:
        pairs = zip(found[size], found[sizes[0]], strict=True)
        ratio = statistics.median(a / b for (a, _), (b, _) in pairs)
        report[f"ratio_time_per_site_{size}_to_{sizes[0]}"] = round(ratio, 3)
    if len(sizes) > 1:
        last = min(1000, sizes[-1]) if 1000 in sizes else sizes[-1]
        report["ratio_time_per_site"] = report[f"ratio_time_per_site_{last}_to_{sizes[0]}"]
    return report


def measure(sites: int) -> tuple[float, int]:
    """Processor seconds a site, and the peak of this process in bytes."""
    from simulations.benchmarks.toy import run_toy, toy_federation

    _hush()
    with tempfile.TemporaryDirectory() as folder:
        run_toy(toy_federation(2), Path(folder) / "first")  # what loads on first use
        federation = toy_federation(sites)
        times = max(1, ENOUGH // sites)
        start = time.process_time()
        for number in range(times):
            run_toy(federation, Path(folder) / str(number))
        seconds = (time.process_time() - start) / (times * sites)
    return seconds, status_bytes("VmHWM")


def flower_ratio(sites: int) -> dict[str, Any]:
    """Whole seconds of one run here and under Ray, and how many times longer the second is."""
    if importlib.util.find_spec("ray") is None:
        _say("Flower's simulation is left out: ray is not installed (pip install 'mascaron[ray]')")
        return {"flower": "skipped: ray is not installed"}
    ours, ours_seconds = _timed(plainly, sites)
    _say(f"{sites} sites in one process: {ours_seconds:.1f} s from start to end")
    theirs, their_seconds = _timed(flower, sites)
    _say(f"{sites} sites under Flower's simulation: {their_seconds:.1f} s from start to end")
    for name, array in ours.items():
        scale = max(1.0, float(np.abs(array).max()))
        assert np.abs(array - theirs[name]).max() <= AGREE * scale, f"{name} differs"
    return {
        "flower_sites": sites,
        "seconds_in_process": round(ours_seconds, 2),
        "seconds_under_flower": round(their_seconds, 2),
        "ratio_flower": round(their_seconds / ours_seconds, 1),
    }


def plainly(sites: int) -> dict[str, Any]:
    """The sums after three rounds without noise, in one process."""
    from simulations.benchmarks.toy import run_toy, toy_federation

    _hush()
    with tempfile.TemporaryDirectory() as folder:
        return run_toy(toy_federation(sites), Path(folder), "none").pools["door"]


def flower(sites: int) -> dict[str, Any]:
    """The same sums under Ray."""
    from simulations.benchmarks.under_ray import run_under_ray

    with tempfile.TemporaryDirectory() as folder:
        return run_under_ray(sites, folder)


def _timed(contender: Callable[[int], dict[str, Any]], sites: int) -> tuple[dict[str, Any], float]:
    start = time.perf_counter()
    found = _elsewhere(contender, sites)
    return found, time.perf_counter() - start


def _elsewhere(function: Callable[[int], Any], sites: int) -> Any:
    """``function(sites)`` in a new process, so that nothing is warm and no peak is another's."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(function, sites).result()


def _hush() -> None:
    from common.console import quiet_logs

    quiet_logs(verbose=False)


def _say(progress: str) -> None:
    click.echo(progress, err=True)


if __name__ == "__main__":
    main(sys.argv[1:])
