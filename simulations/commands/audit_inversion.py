"""`mascaron-lab audit inversion`: faces from templates and from updates."""

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich import box
from rich.console import Console
from rich.table import Table
from torch import Tensor

from common.attacks.inversion import embedded
from common.console import result
from common.errors import RunError
from common.evidence.section import Picture, Section
from common.outputs import check_folder
from simulations.commands.run import stderr_console
from simulations.evidence.grids import Column, grid
from simulations.evidence.inversion import InversionOptions, Inverted, invert
from simulations.evidence.subject import SubjectOptions, load_subject
from simulations.pieces import write_whole
from simulations.progress import Bars

FILE, PICTURE, REAL = "inversion.json", "inversion.png", "inversion-real-faces.png"
ROWS = 5  # of the grid
KINDS = ("linked", "decoded", "descended")
TITLES = {  # of the grid's columns, by the name that the attacks give them
    "nothing": "mean face\nknows nothing",
    "ridge": "embedding\nleast squares",
    "descended": "embedding\ngradients",
    "sealed": "stored template\nno key",
    "update": "update\nno protection",
    "noised": "update\n",
}


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


def section_of(
    inverted: Inverted, asked: InversionOptions, command: str, out: Path | None, seconds: float
) -> Section:
    """The section; with ``out`` it is written there, beside a grid of pictures.

    Of people who exist the grid goes to ``out`` alone, under another name, and into no section.
    """
    subject = inverted.prey.subject
    picture = pictured(inverted, asked.epsilon[0])
    caption = "What an attacker makes of templates and updates; red frames are taken for the person"
    shown = (Picture.of(PICTURE, picture, caption),) if subject.invented else ()
    section = subject.section(
        "inversion",
        inverted.figures,
        seed=asked.seed,
        command=command,
        failed=inverted.failed,
        pictures=shown if out is not None else (),
        minutes=round(seconds / 60, 1),
    )
    if out is not None:
        try:
            out.mkdir(parents=True, exist_ok=True)
            write_whole(out / (PICTURE if subject.invented else REAL), picture)
            write_whole(out / FILE, section.to_json().encode())
        except OSError as error:
            raise RunError(f"cannot write into {out}: {error.strerror}") from error
    return section


def pictured(inverted: Inverted, epsilon: float) -> bytes:
    """The grid, as PNG: the first people's pictures and what each attack made of them."""
    prey = inverted.prey
    rows = min(ROWS, len(prey))
    columns = [Column("original", prey.subject.tested.crops(prey.own[:rows]))]
    titles = TITLES | {"noised": f"update\nepsilon {epsilon:g}"}
    for name, title in titles.items():
        pixels = inverted.columns[name][:rows]
        found = embedded(prey.subject.face, pixels)
        cosine = np.sum(found * prey.victims.own[:rows], axis=1)
        columns.append(Column(title, _crops(pixels), cosine))
    note = (
        f"Cosine with the person's template; taken for the person from {prey.threshold:.2f} on, "
        f"which is FMR {inverted.figures['fmr']:g} among others."
    )
    return grid("From templates and updates back to faces", note, columns, prey.threshold)


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


def _crops(pixels: Tensor) -> NDArray[np.uint8]:
    planes = (pixels * 255).round().byte().numpy()
    return np.ascontiguousarray(planes.transpose(0, 2, 3, 1))


def _typed(given: SubjectOptions, asked: InversionOptions) -> str:
    """The command anybody can type; whose files it was run on, its digests tell."""
    parts = ["mascaron-lab audit inversion"]
    for name, value in (("faces", given.faces), ("trunk", given.trunk), ("tail", given.tail)):
        parts += [] if value is None else [f"--{name} {name.upper()}"]
    parts += [f"--epsilon {epsilon:g}" for epsilon in asked.epsilon]
    parts += [f"--fmr {asked.fmr:g}", f"--attacked {asked.people}", f"--steps {asked.steps}"]
    parts += [f"--people {given.people}", f"--folds {given.folds}"]
    return " ".join([*parts, f"--threshold-folds {given.threshold_folds}", f"--seed {given.seed}"])
