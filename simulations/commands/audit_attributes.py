"""`mascaron-lab audit attributes`: what vectors say of the people they are of."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from common.console import result
from common.evidence.section import Section
from common.models.trunk import load_trunk
from common.outputs import check_folder
from simulations.evidence.attributes import AttributeOptions, infer
from simulations.evidence.keeping import keep_section
from simulations.evidence.marks import marks_of
from simulations.evidence.subject import SubjectOptions, load_subject
from simulations.progress import Bars, stderr_console
from simulations.sources import STARTER


def attributes_command(labels: Path | None, out: Path | None = None, **options: Any) -> None:
    """Infers; prints a table to stderr and the section as JSON to stdout."""
    import torch

    keys = ("epsilon", "delta")
    told = {key: value for key in keys if (value := options.pop(key)) not in (None, ())}
    given = SubjectOptions(**options)
    asked = AttributeOptions(seed=given.seed, **told)
    torch.set_num_threads(given.threads)
    if out is not None:
        check_folder(out)
    console = stderr_console()
    with Bars(console) as bars:
        subject = load_subject(given, bars)
        marks = marks_of(subject.tested, labels, np.random.default_rng([given.seed, 17]))
        first = None if given.tail is None else load_trunk(given.trunk or STARTER)[1]
        figures, failed = infer(subject, marks, asked, bars, first)
    command = _typed(given, asked, labels)
    section = subject.section(
        "attributes", figures, seed=given.seed, command=command, failed=failed
    )
    print_section(section, console)
    if out is not None:
        keep_section(section, out)
    result(json.loads(section.to_json()))


def print_section(section: Section, console: Console) -> None:
    """A row a source: balanced accuracy over all attributes, and of those told best."""
    figures, plain = section.figures, not console.is_terminal
    table = Table(
        title=f"balanced accuracy of probes; who knows nothing gets {figures['majority']:g}",
        title_justify="left",
        title_style="" if plain else "bold",
        header_style="" if plain else "bold",
        box=None if plain else box.SIMPLE_HEAD,
        padding=(0, 2, 0, 0),
    )
    for name in ("from", "protection", "mean", "95 %", "told best"):
        table.add_column(name, no_wrap=True)
    for protection in ("without", "with"):
        for name, row in figures[protection].items():
            best = max(row["each"], key=lambda one: float(row["each"][one]["value"]))
            low, high = row["mean"]["ci95"]
            told = f"{best} {row['each'][best]['value']:.2f}"
            cells = (f"{row['mean']['value']:.3f}", f"[{low:.3f}, {high:.3f}]", told)
            table.add_row(name, protection, *cells)
    console.print(table)
    for failure in section.failed:
        console.print(failure, highlight=False)


def _typed(given: SubjectOptions, asked: AttributeOptions, labels: Path | None) -> str:
    """The command anybody can type; whose files it was run on, its digests tell."""
    parts = ["mascaron-lab audit attributes"]
    for name, value in (("faces", given.faces), ("trunk", given.trunk), ("tail", given.tail)):
        parts += [] if value is None else [f"--{name} {name.upper()}"]
    parts += [] if labels is None else ["--labels LABELS"]
    parts += [f"--epsilon {epsilon:g}" for epsilon in asked.epsilon]
    parts += [f"--people {given.people}", f"--folds {given.folds}"]
    return " ".join([*parts, f"--threshold-folds {given.threshold_folds}", f"--seed {given.seed}"])
