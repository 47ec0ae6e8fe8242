"""A sheet of invented faces in words: what is said of each, and whom a sentence finds.

Leaks: everything. It is of invented people alone.
"""

import io
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

from common.faces.crops import Crop

PAPER, INK, FAINT = (250, 249, 246), (52, 50, 47), (132, 128, 122)
SIDE, GAP, MARGIN, TITLE = 112, 14, 26, 22  # pixels
LETTERS, LINE = 78, 19  # letters of a line of text, and its height in pixels


@dataclass(frozen=True, eq=False, repr=False)
class Hits:
    """A query, and the faces that fit it best, the best first."""

    query: str
    crops: Sequence[Crop]


def words_sheet(described: Sequence[tuple[Crop, str]], searched: Sequence[Hits]) -> bytes:
    """PNG: a row a described face with its sentence, then a row a query."""
    row = SIDE + GAP
    most = max((len(hits.crops) for hits in searched), default=0)
    width = 2 * MARGIN + max(SIDE + GAP + 8 * LETTERS, most * row)
    height = 2 * MARGIN + len(described) * row + len(searched) * (row + TITLE + GAP)
    sheet = Image.new("RGB", (width, height), PAPER)
    pen, top = ImageDraw.Draw(sheet), MARGIN
    for crop, sentence in described:
        _paste(sheet, crop, (MARGIN, top))
        lines = textwrap.wrap(sentence, LETTERS)
        first = top + (SIDE - LINE * len(lines)) // 2
        for number, line in enumerate(lines):
            at = MARGIN + SIDE + GAP, first + LINE * number
            pen.text(at, line, INK, _font(15))
        top += row
    for hits in searched:
        top += GAP
        pen.text(
            (MARGIN, top),
            f"\N{LEFT DOUBLE QUOTATION MARK}{hits.query}\N{RIGHT DOUBLE QUOTATION MARK}",
            INK,
            _font(15),
        )
        for number, crop in enumerate(hits.crops):
            _paste(sheet, crop, (MARGIN + number * row, top + TITLE))
        top += TITLE + row
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _paste(sheet: Image.Image, crop: Crop, at: tuple[int, int]) -> None:
    face = Image.fromarray(crop).resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    sheet.paste(face, at)


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
