"""Rows with a track: a label, marks on a common ruler, and the figure in words.

They are plain HTML whose text stays as large on a phone as it is on a wall, so long lists (arms,
sites, bytes) are drawn this way and not as SVG.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from simulations.report.drawing import minus, padded, steps


@dataclass(frozen=True, kw_only=True, slots=True)
class Mark:
    """A ``dot``, ``bar``, ``span`` or ``tick`` from ``left`` over ``width``, in per cent."""

    kind: str
    left: float
    width: float = 0.0
    told: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One line of the list. ``css`` sets the colour of its marks."""

    label: str
    value: str
    css: str = ""
    note: str = ""
    marks: Sequence[Mark] = ()
    strong: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """Rows on one ruler under a heading. ``ticks`` are (per cent, what is written)."""

    rows: Sequence[Row]
    ticks: Sequence[tuple[float, str]] = ()
    head: str = ""
    css: str = ""
    zero: float | None = None  # where nought lies, in per cent


@dataclass(frozen=True, slots=True)
class Ruler:
    """Puts values between ``low`` and ``high`` on a track."""

    low: float
    high: float

    @classmethod
    def over(cls, values: Sequence[float], origin: bool = False) -> "Ruler":
        """Long enough for all ``values``; it begins at nought where ``origin``."""
        low, high = padded(values)
        return cls(0.0 if origin else low, high)

    def at(self, value: float) -> float:
        """Per cent of the track."""
        share = (value - self.low) / ((self.high - self.low) or 1)
        return round(100 * min(max(share, 0.0), 1.0), 2)

    def span(self, low: float, high: float, told: str = "", kind: str = "span") -> Mark:
        """A mark from ``low`` to ``high``."""
        left = self.at(low)
        return Mark(kind=kind, left=left, width=round(self.at(high) - left, 2), told=told)

    def dot(self, value: float, told: str = "", kind: str = "dot") -> Mark:
        """A mark at one value."""
        return Mark(kind=kind, left=self.at(value), told=told)

    def ticks(self, told: str = "{:g}", about: int = 3) -> list[tuple[float, str]]:
        """Round numbers along the track."""
        found = steps(self.low, self.high, about)
        return [(self.at(tick), minus(told.format(tick))) for tick in found]


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """What the page shows in one place: a title, a caption, and panels or groups of rows."""

    title: str
    caption: str
    panels: Sequence[str] = ()
    groups: Sequence[Group] = ()
    key: Sequence[tuple[str, str]] = field(default=())  # (css, label)
    wide: bool = False
