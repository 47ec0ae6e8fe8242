"""`mascaron-lab audit inversion`: faces from templates and from updates."""

import json
import time
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from common.console import result
from common.evidence.section import Section
from common.outputs import check_folder
from simulations.evidence.inversion import InversionOptions, invert
from simulations.evidence.inverted import section_of
from simulations.evidence.subject import SubjectOptions, load_subject
from simulations.progress import Bars, stderr_console

KINDS = ("linked", "decoded", "descended")


def inversion_command(attacked: int | None, out: Path | None = None, **options: Any) -> None:
    """Attacks; prints a table to stderr and the section as JSON to stdout."""
    import torch

    keys = ("fmr", "steps", "epsilon", "delta")
    told = {key: value for key in keys if (value := options.pop(key)) not in (None, ())}
    told |= {} if attacked is None else {"people": attacked}
    given = SubjectOptions(**options)
    asked = InversionOptions(seed=given.seed, **told)
    torch.set_num_threads(given.threads)
    if out is not None:
        check_folder(out)
    console, began = stderr_console(), time.monotonic()
    with Bars(console) as bars:
        inverted = invert(load_subject(given, bars), asked, bars)
    section = section_of(inverted, asked, _typed(given, asked), out, time.monotonic() - began)
    print_section(section, console)
    result(json.loads(section.to_json()))


def print_section(section: Section, console: Console) -> None:
    """A row an attack: how often its result is taken for the person."""
    figures, plain = section.figures, not console.is_terminal
    table = Table(
        title=f"% taken for the person at FMR {figures['fmr']:g}: type I (II) [wrong person]",
        title_justify="left",
        title_style="" if plain else "bold",
        header_style="" if plain else "bold",
        box=None if plain else box.SIMPLE_HEAD,
        padding=(0, 2, 0, 0),
    )
    for name in ("from", "protection", *KINDS):
        table.add_column(name, no_wrap=True)
    groups = [
        (part, protection, figures[part][protection])
        for part in ("template", "update")
        for protection in ("without", "with")
    ]
    for part, protection, rows in [*groups, ("control", "-", figures["controls"])]:
        for name, row in rows.items():
            cells = (_cell(row.get(kind)) for kind in KINDS)
            table.add_row(f"{part} {name}", protection, *cells)
    genuine = figures["genuine"]["value"]
    table.add_row("another picture of the person", "-", "", f"{100 * genuine:.0f}")
    console.print(table)
    for failure in section.failed:
        console.print(failure, highlight=False)


def _cell(judged: dict[str, Any] | None) -> str:
    if judged is None:
        return ""
    one, two, wrong = (judged[key]["value"] for key in ("type_1", "type_2", "wrong"))
    return f"{100 * one:.0f} ({100 * two:.0f}) [{100 * wrong:.0f}]"


def _typed(given: SubjectOptions, asked: InversionOptions) -> str:
    """The command anybody can type; whose files it was run on, its digests tell."""
    parts = ["mascaron-lab audit inversion"]
    for name, value in (("faces", given.faces), ("trunk", given.trunk), ("tail", given.tail)):
        parts += [] if value is None else [f"--{name} {name.upper()}"]
    parts += [f"--epsilon {epsilon:g}" for epsilon in asked.epsilon]
    parts += [f"--fmr {asked.fmr:g}", f"--attacked {asked.people}", f"--steps {asked.steps}"]
    parts += [f"--people {given.people}", f"--folds {given.folds}"]
    return " ".join([*parts, f"--threshold-folds {given.threshold_folds}", f"--seed {given.seed}"])
