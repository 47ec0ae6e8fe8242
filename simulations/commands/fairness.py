"""`mascaron-lab fairness`: what a group of people is worth to an embedder."""

import json
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from common.console import result
from common.evidence.section import Section
from common.outputs import check_folder
from simulations.evidence.fairness import MOST_PICTURES, FairnessOptions, fairness_section
from simulations.evidence.grouped import load_grouped
from simulations.evidence.keeping import keep_section
from simulations.evidence.subject import SubjectOptions
from simulations.progress import Bars, stderr_console


def fairness_command(
    groups: str | None, fmr: float, out: Path | None = None, **options: Any
) -> None:
    """Measures; prints a table to stderr and the section as JSON to stdout."""
    given = SubjectOptions(**options)
    asked = FairnessOptions(fmr=fmr, seed=given.seed)
    if out is not None:
        check_folder(out, "--out")
    console = stderr_console()
    with Bars(console) as bars:
        grouped = load_grouped(given, groups, bars, MOST_PICTURES)
        section = fairness_section(grouped, asked, _typed(given, groups, fmr))
    print_section(section, console)
    if out is not None:
        keep_section(section, out)
    result(json.loads(section.to_json()))


def print_section(section: Section, console: Console) -> None:
    """Prints a row a group and a row a ratio."""
    figures, plain = section.figures, not console.is_terminal
    table = Table(
        title=f"at FMR {figures['fmr']:g} of other people: cosine {figures['threshold']:.3f}",
        title_justify="left",
        title_style="" if plain else "bold",
        header_style="" if plain else "bold",
        box=None if plain else box.SIMPLE_HEAD,
        padding=(0, 2, 0, 0),
    )
    for name in ("group", "of"):
        table.add_column(name, no_wrap=True, justify="left" if name == "group" else "right")
    for name in ("FMR", "FNMR"):
        table.add_column(name, no_wrap=True, justify="right")
        table.add_column("95 %", no_wrap=True)
    for name, row in figures["groups"].items():
        size = row.get("people", row.get("pictures"))
        table.add_row(name, f"{size:,}+", *_cells(row["fmr"]), *_cells(row["fnmr"]))
    for name in figures["suppressed"]:
        table.add_row(name, "few", "-", "", "-", "")
    for key, label in (("best", "worst / best"), ("geometric_mean", "worst / geometric mean")):
        ratios = (figures[f"{rate}_worst_to_{key}"] for rate in ("fmr", "fnmr"))
        table.add_row(label, "", *(cell for ratio in ratios for cell in _cells(ratio, 2)))
    console.print(table)


def _cells(value: dict[str, Any] | None, digits: int = 5) -> tuple[str, str]:
    if value is None:
        return "-", ""
    low, high = ("?" if end is None else f"{end:.{digits}f}" for end in value["ci95"])
    return f"{value['value']:.{digits}f}", f"[{low}, {high}]"


def _typed(given: SubjectOptions, groups: str | None, fmr: float) -> str:
    """The command anybody can type; whose files it was run on, its digests tell."""
    parts = ["mascaron-lab fairness"]
    for name, value in (("faces", given.faces), ("trunk", given.trunk), ("tail", given.tail)):
        parts += [] if value is None else [f"--{name} {name.upper()}"]
    parts += [] if groups is None else [f"--groups {groups}"]
    parts += [f"--fmr {fmr:g}", f"--people {given.people}"]
    parts += [f"--folds {given.folds}", f"--threshold-folds {given.threshold_folds}"]
    return " ".join([*parts, f"--seed {given.seed}"])
