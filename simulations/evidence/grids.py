"""A grid of pictures that anybody can look at: what was, and what an attacker made of it.

A row a person, a column an attack; a frame says whether the decision takes the picture for the
person, and how sure it is. Leaks: everything. Of people who exist it stays in the laboratory.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

PAPER, INK, FAINT = (250, 249, 246), (52, 50, 47), (132, 128, 122)
TAKEN, REFUSED = (190, 58, 52), (176, 172, 165)  # frames: an attack that worked is red
SIDE, FRAME, GAP = 112, 4, 14  # pixels
HEAD, FOOT, MARGIN, LABEL = 76, 22, 26, 84

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, eq=False, repr=False)
class Column:
    """``title`` in one or two lines, crops (P, S, S, 3), and each one's cosine with the template.

    ``cosine`` None: an original, which nobody judges.
    """

    title: str
    crops: Pixels
    cosine: NDArray[np.float32] | None = None


def grid(title: str, note: str, columns: Sequence[Column], threshold: float) -> bytes:
    """PNG of all ``columns``, as many rows as the shortest has; ``note`` stands below."""
    rows = min(len(column.crops) for column in columns)
    cell = SIDE + 2 * FRAME
    width = LABEL + len(columns) * (cell + GAP) - GAP + 2 * MARGIN
    height = MARGIN + 34 + HEAD + rows * (cell + FOOT + GAP) + 2 * MARGIN
    sheet = Image.new("RGB", (width, height), PAPER)
    pen = ImageDraw.Draw(sheet)
    pen.text((MARGIN, MARGIN), title, INK, _font(20))
    top = MARGIN + 34 + HEAD
    for number, column in enumerate(columns):
        left = MARGIN + LABEL + number * (cell + GAP)
        _head(pen, column.title, left + cell // 2, top - 10)
        for row in range(rows):
            _cell(sheet, column, row, (left, top + row * (cell + FOOT + GAP)), threshold)
    for row in range(rows):
        middle = top + row * (cell + FOOT + GAP) + cell // 2
        pen.text((MARGIN, middle), f"person {row + 1}", FAINT, _font(14), anchor="lm")
    pen.text((MARGIN, height - MARGIN), note, FAINT, _font(13), anchor="ls")
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _head(pen: ImageDraw.ImageDraw, title: str, middle: int, bottom: int) -> None:
    lines = title.split("\n")
    for number, line in enumerate(reversed(lines)):
        colour = INK if number == len(lines) - 1 else FAINT
        pen.text((middle, bottom - 18 * number), line, colour, _font(14), anchor="ms")


def _cell(
    sheet: Image.Image, column: Column, row: int, at: tuple[int, int], threshold: float
) -> None:
    left, top = at
    cell = SIDE + 2 * FRAME
    pen = ImageDraw.Draw(sheet)
    crop = Image.fromarray(column.crops[row]).resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    cosine = None if column.cosine is None else float(column.cosine[row])
    if cosine is not None:
        taken = cosine >= threshold
        colour = TAKEN if taken else REFUSED
        pen.rectangle((left, top, left + cell - 1, top + cell - 1), fill=colour)
        told = f"taken  {cosine:.2f}" if taken else f"refused  {cosine:.2f}"
        below = left + cell // 2, top + cell + 4
        pen.text(below, told, TAKEN if taken else FAINT, _font(13), anchor="mt")
    sheet.paste(crop, (left + FRAME, top + FRAME))


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
