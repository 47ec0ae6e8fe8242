"""`mascaron-lab run`: material, arms, table, summary."""

import json
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from simulations.laboratory import Given, Laboratory
from simulations.pieces import SUMMARY
from simulations.progress import Bars, stderr_console
from simulations.runner import Measured
from simulations.scenario import Scenario, load_scenario, override
from simulations.table import print_summary

# Options that override what the scenario says, by the scenario's field.
OVERRIDES = {
    "cameras": "camera",
    "epsilon": "epsilon",
    "delta": "delta",
    "seeds": "seeds",
    "sites": "sites",
}


def run_command(name: str, **options: Any) -> None:
    """Runs scenario ``name``; prints the table to stderr and the summary's path to stdout."""
    told = {key: options.pop(option, None) for key, option in OVERRIDES.items()}
    told["epsilon"] = told["epsilon"] or None
    out = options.pop("out", None)
    given, scenario = Given(**options), override(load_scenario(name), **told)
    console = stderr_console()
    folder = out or Path("runs") / scenario.name
    summary = measure(scenario, given, folder, console).summary
    print_summary(summary, console)
    click.echo(json.dumps({"summary": str(folder / SUMMARY)}))


def measure(scenario: Scenario, given: Given, folder: Path, console: Console) -> Measured:
    """Measures ``scenario`` into ``folder``, with progress on ``console``."""
    with Bars(console) as bars:
        laboratory = Laboratory(given, given.cache or folder / "features", bars)
        return laboratory.measure(scenario, folder)
