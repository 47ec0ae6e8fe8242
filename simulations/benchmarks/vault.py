"""What a vault costs beside the bare operations that it is made of.

    mascaron-lab bench vault [--people 20000] [--templates 3] [--dim 512] [--repeats 5]
                             [--group 100] [--folder DIR]

Contenders take turns in one process on one thread. Loading is measured in its processor time:
``bare`` unwraps a person's key and opens one template into a matrix, for every template, from lists
in memory with everything that authenticates them made before; ``person`` is the same, but unwraps
once a person; ``load`` is ``Vault.load`` from the files; ``boot`` opens the vault, which reads and
checks every row, and loads. They agree bit by bit first. ``ratio_load`` is how many templates
``load`` opens while ``bare`` opens one, and so on: more is better.

Changes are measured by the clock, since they wait for the disk under ``--folder``: ``enrol`` of one
person beside one commit of the same bytes by SQLite with the same settings, a ``group`` beside the
same bytes in one commit, ``erase`` of one person, at ``--people`` enrolled, beside wrapping all
other keys again. ``cost_`` is our time over theirs: less is better. Ratios are of the fastest
turns, ``_typical`` medians turn by turn. The last line on stdout is one JSON object.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from simulations.benchmarks.arguments import at_least
from simulations.benchmarks.vault_contenders import Bench

Seconds = dict[str, list[float]]
READING = ("bare", "person", "load", "boot")


@dataclass(frozen=True, kw_only=True, slots=True)
class Size:
    """How much is enrolled, and how many people one group has."""

    people: int
    templates: int
    dim: int
    group: int


def main(arguments: Sequence[str]) -> None:
    """Measures, and prints the JSON line."""
    parser = argparse.ArgumentParser(prog="vault", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--people", type=at_least(10), default=20_000)
    parser.add_argument("--templates", type=at_least(1), default=3)
    parser.add_argument("--dim", type=at_least(16), default=512)
    parser.add_argument("--repeats", type=at_least(1), default=5)
    parser.add_argument("--group", type=at_least(2), default=100)
    parser.add_argument("--folder", type=Path, help="On the disk to measure; default: a temporary.")
    options = parser.parse_args(arguments)
    size = Size(
        people=options.people, templates=options.templates, dim=options.dim, group=options.group
    )
    click.echo(json.dumps(measure(size, options.repeats, options.folder)))


def measure(size: Size, repeats: int, folder: Path | None = None) -> dict[str, object]:
    """All ratios for a vault of this ``size``."""
    with tempfile.TemporaryDirectory(dir=folder) as made:
        bench = Bench(Path(made), size.people, size.templates, size.dim)
        bench.check_agreement()
        reading = in_turns({name: getattr(bench, name) for name in READING}, repeats)
        writing = in_turns(bench.changes(size.group), repeats, time.perf_counter)
        rows = size.people * size.templates
        report: dict[str, object] = {
            "bench": "vault",
            "people": size.people,
            "rows": rows,
            "dim": size.dim,
            "group": size.group,
        }
        for name in ("load", "boot"):
            report |= ratio(f"ratio_{name}", reading["bare"], reading[name])
            report |= ratio(f"ratio_{name}_by_person", reading["person"], reading[name])
        for name in ("enrol", "group", "erase"):
            report |= ratio(f"cost_{name}", writing[name], writing[f"{name}_bare"])
        report["rows_per_second"] = round(rows / min(reading["load"]))
        report["enrol_ms"] = round(1e3 * statistics.median(writing["enrol"]), 2)
        report["group_ms"] = round(1e3 * statistics.median(writing["group"]), 2)
        report["erase_ms"] = round(1e3 * statistics.median(writing["erase"]), 1)
        bench.close()
    return report | {"repeats": repeats, "load": [round(value, 1) for value in os.getloadavg()]}


def in_turns(
    contenders: dict[str, Callable[[], object]],
    repeats: int,
    clock: Callable[[], float] = time.thread_time,
) -> Seconds:
    """Seconds of each by ``clock``, ``repeats`` times after a turn that does not count."""
    seconds: Seconds = {name: [] for name in contenders}
    for repeat in range(-1, repeats):
        for name, contender in contenders.items():
            start = clock()
            contender()
            if repeat >= 0:
                seconds[name].append(clock() - start)
        click.echo(f"turn {repeat + 1}/{repeats}", err=True)
    return seconds


def ratio(name: str, over: list[float], under: list[float]) -> dict[str, float]:
    """Of the fastest turns, and the median turn by turn."""
    turns = [a / b for a, b in zip(over, under, strict=True)]
    return {
        name: round(min(over) / min(under), 3),
        f"{name}_typical": round(statistics.median(turns), 3),
    }


if __name__ == "__main__":
    main(sys.argv[1:])
