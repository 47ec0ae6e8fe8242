"""`mascaron-lab sweep`: many scenarios, one line each, and a table of what was gained."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from rich import box
from rich.console import Console
from rich.table import Table

from simulations.journal import JOURNAL, Line
from simulations.laboratory import Given, Laboratory
from simulations.points import label, load_sweep
from simulations.progress import Bars, stderr_console
from simulations.sweep import Sweep


def sweep_command(name: str, out: Path, **options: Any) -> None:
    """Settles every point of sweep ``name``; prints the path of sweep.jsonl to stdout."""
    given, asked = Given(**options), load_sweep(name)
    console = stderr_console()
    try:
        with Bars(console) as bars:
            laboratory = Laboratory(given, given.cache or out / "features", bars)
            lines = Sweep(asked=asked, laboratory=laboratory, folder=out).everything()
    except KeyboardInterrupt:
        console.print(f"Stopped. The same command with --out {out} goes on.", highlight=False)
        raise click.Abort from None
    print_lines(asked.name, lines, console)
    settled = [line["status"] for line in lines]
    counts = {state: settled.count(state) for state in ("done", "skipped")}
    click.echo(json.dumps({"sweep": str(out / JOURNAL), **counts}))


def print_lines(name: str, lines: Sequence[Line], console: Console) -> None:
    """What each point gained over `local` at each epsilon, and why some were skipped."""
    rows = sorted({row for line in lines for row in line.get("gain", {})})
    table = Table(title=f"{name}: points over local at FAR 1e-2", title_justify="left")
    table.box = box.SIMPLE_HEAD if console.is_terminal else None
    table.add_column("point")
    for column in ("epsilon", *rows):
        table.add_column(column, justify="right", no_wrap=True)
    for line in lines:
        gains = line.get("gain", {})
        epsilons = dict.fromkeys(epsilon for of_row in gains.values() for epsilon in of_row)
        for epsilon in epsilons:
            cells = [_gain(gains.get(row, {}).get(epsilon)) for row in rows]
            table.add_row(label(line["point"]), epsilon, *cells)
    console.print(table)
    found = [gain for line in lines for by in line.get("gain", {}).values() for gain in by.values()]
    if None in found:
        console.print("-: too few pairs of report people for FAR 1e-2", highlight=False)
    for line in lines:
        if line["status"] == "skipped":
            told = f"skipped {label(line['point'])}: {line['reason']}"
            console.print(told, highlight=False, soft_wrap=True)


def _gain(gain: dict[str, Any] | None) -> str:
    if gain is None:
        return "-"
    low, high = gain["ci95"]
    return f"{gain['value']:+.2f} [{low:+.2f}, {high:+.2f}]"
