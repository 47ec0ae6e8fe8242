"""What inversion gave, as a section of evidence with a grid of faces to look at."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from common.attacks.inversion import embedded
from common.evidence.section import Picture, Section
from simulations.evidence.grids import Column, grid
from simulations.evidence.inversion import InversionOptions, Inverted
from simulations.evidence.keeping import keep_section

PICTURE, REAL = "inversion.png", "inversion-real-faces.png"
ROWS = 5  # of the grid
TITLES = {  # of the grid's columns, by the name that the attacks give them
    "nothing": "mean face\nknows nothing",
    "ridge": "embedding\nleast squares",
    "descended": "embedding\ngradients",
    "sealed": "stored template\nno key",
    "update": "update\nno protection",
    "noised": "update\n",
}


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
        keep_section(section, out, (PICTURE if subject.invented else REAL, picture))
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


def _crops(pixels: Tensor) -> NDArray[np.uint8]:
    planes = (pixels * 255).round().byte().numpy()
    return np.ascontiguousarray(planes.transpose(0, 2, 3, 1))
