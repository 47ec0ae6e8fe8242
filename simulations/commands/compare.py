"""`mascaron-lab compare`: what one run gained over another, as a table and as JSON."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from rich import box
from rich.console import Console
from rich.table import Table

from common.errors import ConfigError
from simulations.compare import Choice, compare, open_run
from simulations.pieces import epsilon_key
from simulations.progress import stderr_console
from simulations.results import FAR_KEYS


def compare_command(a: Path, b: Path | None, **arms: Any) -> None:
    """Compares run folders ``a`` and ``b``; the table goes to stderr, the JSON to stdout."""
    found = compare(open_run(a), open_run(b or a), Choice(**arms))
    if b is None and all(_itself(row) for row in found["rows"]):
        raise ConfigError("without B, name two rows of A: --row private --against local")
    print_differences(found, stderr_console())
    click.echo(json.dumps(found))


def _itself(row: dict[str, Any]) -> bool:
    """Whether a row is compared with itself."""
    return bool(row["against"] == {key: row[key] for key in row["against"]})


def print_differences(found: Mapping[str, Any], console: Console) -> None:
    """Every pair of arms with what B gained at the three rates, in points."""
    table = Table(title="points that B gained over A, by FAR", title_justify="left")
    table.box = box.SIMPLE_HEAD if console.is_terminal else None
    for column in ("arm of B", "arm of A"):
        table.add_column(column)
    for key in FAR_KEYS:
        table.add_column(f"@{key}", justify="right", no_wrap=True)
    for row in found["rows"]:
        cells = [_difference(row["difference"][key]) for key in FAR_KEYS]
        table.add_row(_arm(row), _arm(row["against"]), *cells)
    console.print(table)
    console.print(_basis(found), highlight=False, soft_wrap=True)


def _basis(found: Mapping[str, Any]) -> str:
    if found["paired"]:
        folds, seeds = len(found["folds"]), found["seeds"]
        return f"paired: the same report people in both; folds: {folds}, seeds: {seeds}"
    return f"NOT paired, because {found['why_not']}: intervals are those of two separate runs"


def _arm(row: Mapping[str, Any]) -> str:
    return f"{row['name']} {epsilon_key(row['epsilon'])}" if row["epsilon"] else str(row["name"])


def _difference(told: Mapping[str, Any] | None) -> str:
    if told is None:
        return "-"
    low, high = told["ci95"]
    return f"{told['value']:+.2f} [{low:+.2f}, {high:+.2f}]"
