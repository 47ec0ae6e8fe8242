"""`mascaron-lab audit heads`: what heads read of labelled people, beside those they began as."""

import json
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from common.console import result
from common.errors import ConfigError
from common.evidence.section import Section
from common.outputs import check_folder
from common.privacy.heads import WORDS
from simulations.evidence.heads import MEASURED, Compared, heads_section
from simulations.evidence.keeping import keep_section
from simulations.evidence.subject import SubjectOptions, load_subject
from simulations.progress import Bars, stderr_console

OF = {"age": "years off", WORDS: "sentences told apart"}


def heads_command(
    heads: Path | None, began_as: Path | None, out: Path | None = None, **options: Any
) -> None:
    """Asks; prints a table to stderr and the section as JSON to stdout."""
    given = SubjectOptions(**options)
    if heads is None or began_as is None:
        raise ConfigError("--heads and --began-as: heads are measured beside those they were")
    if out is not None:
        check_folder(out)
    compared, console = Compared.read(heads, began_as), stderr_console()
    with Bars(console) as bars:
        subject = load_subject(given, bars)
    section = heads_section(subject, compared, given.seed, _typed(given))
    print_section(section, console)
    if out is not None:
        keep_section(section, out)
    result(json.loads(section.to_json()))


def print_section(section: Section, console: Console) -> None:
    """A row a head: what it reads now, what it read before, and the difference."""
    plain = not console.is_terminal
    table = Table(
        title="heads on people who took no part",
        title_justify="left",
        title_style="" if plain else "bold",
        header_style="" if plain else "bold",
        box=None if plain else box.SIMPLE_HEAD,
        padding=(0, 2, 0, 0),
    )
    for name in ("head", "of", "now", "before", "lost", "95 %", "people"):
        table.add_column(name, no_wrap=True)
    for kind in (kind for kind in MEASURED if kind in section.figures):
        told, of = section.figures[kind], OF.get(kind, "balanced accuracy")
        if told is None:
            table.add_row(kind, of, *["not measured"] * 3, "", "0")
            continue
        values = (f"{told[key]['value']:.3f}" for key in ("released", "public", "lost"))
        low, high = told["lost"]["ci95"]
        table.add_row(kind, of, *values, f"[{low:.3f}, {high:.3f}]", str(told["people"]))
    console.print(table)


def _typed(given: SubjectOptions) -> str:
    """The command anybody can type; whose files it was run on, its digests tell."""
    parts = ["mascaron-lab audit heads --heads HEADS --began-as PUBLIC"]
    for name, value in (("faces", given.faces), ("trunk", given.trunk), ("tail", given.tail)):
        parts += [] if value is None else [f"--{name} {name.upper()}"]
    parts += [f"--people {given.people}", f"--folds {given.folds}"]
    return " ".join([*parts, f"--threshold-folds {given.threshold_folds}", f"--seed {given.seed}"])
