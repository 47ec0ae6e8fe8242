"""`mascaron-lab byzantine`: how many malicious sites each rule of a charter stands."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from common.console import result
from common.errors import RunError
from common.outputs import check_folder
from simulations.evidence.byzantine import PHASES
from simulations.evidence.tolerance import ToleranceOptions, arenas, markdown, tolerance
from simulations.progress import Bars, stderr_console


def byzantine_command(out: Path | None, cache: Path | None, **options: Any) -> None:
    """Runs all rules against all attacks; prints a table to stderr and the figures to stdout."""
    given = ToleranceOptions(**options)
    for folder, name in ((out, "--out"), (cache, "--cache")):
        if folder is not None:
            check_folder(folder, name)
    console = stderr_console()
    with Bars(console) as bars, TemporaryDirectory() as scratch:
        figures = tolerance(given, arenas(given, cache or Path(scratch), bars), bars)
    print_tolerance(figures, console)
    if out is not None:
        try:
            out.mkdir(parents=True, exist_ok=True)
            (out / "byzantine.json").write_text(json.dumps(figures, indent=1) + "\n", "utf-8")
            (out / "byzantine.md").write_text(markdown(figures), "utf-8")
        except OSError as error:
            raise RunError(f"cannot write into {out}: {error.strerror}") from error
    result(figures)


def print_tolerance(figures: dict[str, Any], console: Console) -> None:
    """Prints the largest share borne, a row a rule and phase."""
    plain, points = not console.is_terminal, 100 * figures["tolerated_drop"]
    table = Table(
        title=f"largest share of malicious sites that costs less than {points:g} points of TAR",
        title_justify="left",
        title_style="" if plain else "bold",
        header_style="" if plain else "bold",
        box=None if plain else box.SIMPLE_HEAD,
        padding=(0, 2, 0, 0),
    )
    for name in ("rule", "phase"):
        table.add_column(name, no_wrap=True)
    table.add_column("TAR", justify="right", no_wrap=True)
    for attack in next(iter(figures["rules"].values()))["attacks"]:
        table.add_column(attack, justify="right", no_wrap=True)
    for name, rule in figures["rules"].items():
        for phase in PHASES:
            borne = (100 * attack["tolerated"][phase] for attack in rule["attacks"].values())
            cells = (f"{share:.0f} %" for share in borne)
            table.add_row(name, phase, f"{rule['honest'][phase]:.3f}", *cells)
    console.print(table)
