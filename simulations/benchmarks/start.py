"""From starting a process to the first reply of a federation, against the imports it cannot avoid.

    mascaron-lab bench start [--sites 4] [--repeats 7]

Two programs, each in a fresh interpreter, in turns: one only imports the libraries that a
federation of moments needs, the other builds a federation, runs it and ends when the first site
has released something. The last line on stdout is one JSON object; ``ratio_start`` is the second
divided by the first in wall time, ``ratio_start_cpu`` in processor time, medians over repeats.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import click

from simulations.benchmarks.arguments import at_least

ROOT = Path(__file__).parents[2]
REPLIED = 7  # exit code: a site has released something
LIBRARIES = """
import sqlite3
import click, cryptography.hazmat.primitives.ciphers, google.protobuf.message, grpc, numpy
import flwr.app, flwr.clientapp, flwr.serverapp, flwr.serverapp.strategy
import safetensors.numpy, os
os._exit(0)
"""
FEDERATION = """
import sys
from pathlib import Path
from simulations.benchmarks.start import first_reply
first_reply(int(sys.argv[1]), Path(sys.argv[2]))
"""


def main(arguments: Sequence[str]) -> None:
    """Measures, and prints the JSON line."""
    parser = argparse.ArgumentParser(prog="start", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--sites", type=at_least(1), default=4)
    parser.add_argument("--repeats", type=at_least(1), default=7)
    options = parser.parse_args(arguments)
    measured: dict[str, list[tuple[float, float]]] = {"imports": [], "start": []}
    for repeat in range(-1, options.repeats):  # the first turn fills the system's caches
        pair = {"imports": imports(), "start": start(options.sites)}
        if repeat >= 0:
            for name, figures in pair.items():
                measured[name].append(figures)
                click.echo(f"{repeat + 1}/{options.repeats}: {name} {figures[0]:.2f} s", err=True)

    def ratio(which: int) -> float:
        pairs = zip(measured["start"], measured["imports"], strict=True)
        return round(statistics.median(a[which] / b[which] for a, b in pairs), 3)

    report = {"bench": "start", "sites": options.sites, "repeats": options.repeats}
    load = [round(value, 1) for value in os.getloadavg()]
    click.echo(
        json.dumps({**report, "ratio_start": ratio(0), "ratio_start_cpu": ratio(1), "load": load})
    )


def imports() -> tuple[float, float]:
    """Wall and processor seconds of a process that only imports."""
    return _seconds(["-c", LIBRARIES], expected=0)


def start(sites: int) -> tuple[float, float]:
    """Wall and processor seconds of a process up to the first reply of a site."""
    with tempfile.TemporaryDirectory() as folder:
        return _seconds(["-c", FEDERATION, str(sites), folder], expected=REPLIED)


def first_reply(sites: int, folder: Path) -> None:
    """Runs the toy federation until a site has released something, and ends the process there."""
    from flwr.app import Message

    from simulations.benchmarks.toy import run_toy, toy_federation
    from simulations.grid import InProcessGrid

    answer = InProcessGrid._answer

    def ending(grid: InProcessGrid, message: Message) -> Message:
        reply = answer(grid, message)
        if message.metadata.message_type == "train":
            os._exit(REPLIED if reply.has_content() else 1)
        return reply

    InProcessGrid._answer = ending  # type: ignore[method-assign,assignment]
    run_toy(toy_federation(sites), folder)


def _seconds(arguments: list[str], *, expected: int) -> tuple[float, float]:
    before, clock = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(  # noqa: S603 (our own interpreter, our own program)
        [sys.executable, *arguments], env=environment, capture_output=True, text=True
    )
    wall, after = time.perf_counter() - clock, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != expected:
        raise RuntimeError(f"the measured process failed: {done.stderr[-500:]}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall, cpu


if __name__ == "__main__":
    main(sys.argv[1:])
