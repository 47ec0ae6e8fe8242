"""`mascaron-lab report`: a page to look at and tables to compute with, from a folder of figures."""

import json
from pathlib import Path

import click

from simulations.report.export import write_csv
from simulations.report.page import write_report


def report_command(folder: Path, out: Path | None, tables: Path | None) -> None:
    """Writes the page, and the tables where a folder is given; prints their paths to stdout."""
    told: dict[str, object] = {"report": str(write_report(folder, out))}
    if tables is not None:
        told["csv"] = [str(path) for path in write_csv(folder, tables)]
    click.echo(json.dumps(told))
