"""Panels: small SVG charts with real text, whose colours follow the page and whose marks tell.

Everything that is written into a panel is escaped; every mark carries a ``<title>``, which
browsers show on hover and screen readers read.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist

from markupsafe import Markup

Point = tuple[float, float]

WIDTH, HEIGHT = 400, 300
LEFT, RIGHT, TOP, BOTTOM = 66, 16, 36, 50
_NORMAL = NormalDist()


def linear(value: float) -> float:
    """As it is."""
    return value


def probit(rate: float) -> float:
    """Normal deviate of a rate: the axes of a DET plot, where normal scores give straight lines."""
    return _NORMAL.inv_cdf(min(max(rate, 1e-6), 1 - 1e-6))


@dataclass(frozen=True, kw_only=True, slots=True)
class Axis:
    """From ``low`` to ``high`` on a ``scale``; ``ticks`` are (value, what is written there)."""

    title: str
    low: float
    high: float
    ticks: Sequence[tuple[float, str]]
    scale: Callable[[float], float] = linear

    def at(self, value: float) -> float:
        """Where ``value`` lies between the ends, 0 to 1; what lies outside is drawn at the end."""
        low, high = self.scale(self.low), self.scale(self.high)
        share = (self.scale(value) - low) / ((high - low) or 1)
        return min(max(share, 0.0), 1.0)


def minus(text: str) -> str:
    """``text`` with a true minus sign, as wide as a plus; nought has no sign at all."""
    return "0" if text == "+0" else text.replace("-", "\N{MINUS SIGN}")


def steps(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers within [low, high], ``about`` so many."""
    span = (high - low) or 1.0
    raw = span / about
    power = 10.0 ** math.floor(math.log10(raw))
    step = min((k * power for k in (1, 2, 5, 10)), key=lambda k: abs(math.log(k / raw)))
    first = math.ceil(low / step - 1e-9)
    return [round(n * step, 12) for n in range(first, math.floor(high / step + 1e-9) + 1)]


def padded(values: Sequence[float], share: float = 0.06) -> tuple[float, float]:
    """The ends of ``values`` with a little room on both sides."""
    low, high = min(values), max(values)
    room = share * (high - low) or 0.05 * abs(high) or 1.0
    return low - room, high + room


def apart(ticks: Sequence[float], axis: "Axis", least: float) -> list[float]:
    """Those of ``ticks``, from the low end on, that lie ``least`` of the axis or more apart."""
    kept: list[float] = []
    for tick in ticks:
        if not kept or axis.at(tick) - axis.at(kept[-1]) >= least:
            kept.append(tick)
    return kept


def number_axis(title: str, values: Sequence[float], told: str = "{:g}") -> Axis:
    """A linear axis that holds all ``values``."""
    low, high = padded(values)
    ticks = [(tick, minus(told.format(tick))) for tick in steps(low, high)]
    return Axis(title=title, low=low, high=high, ticks=ticks)


def log_axis(title: str, values: Sequence[float]) -> Axis:
    """A logarithmic axis with a tick at each of ``values``, which must be positive."""
    kept = sorted(set(values))
    room = (kept[-1] / kept[0]) ** 0.08 if len(kept) > 1 else 1.5
    return Axis(
        title=title,
        low=kept[0] / room,
        high=kept[-1] * room,
        ticks=[(value, f"{value:g}") for value in _sparse(kept)],
        scale=math.log10,
    )


def category_axis(title: str, names: Sequence[str]) -> Axis:
    """Names side by side at 0, 1, 2, ..."""
    ticks = list(enumerate(names))
    return Axis(title=title, low=-0.5, high=len(names) - 0.5, ticks=ticks)


@dataclass(eq=False)
class Panel:
    """One chart. Draw first what should lie below."""

    x: Axis
    y: Axis
    title: str = ""
    told: str = ""  # what a reader who does not see the chart is told
    marks: list[Markup] = field(default_factory=list)

    def line(self, points: Sequence[Point], css: str, told: str) -> None:
        """A line through ``points``, with a broad invisible one that is easy to hover."""
        path = " ".join(
            f"{'L' if index else 'M'}{x:.1f} {y:.1f}"
            for index, (x, y) in enumerate(map(self._place, points))
        )
        self.marks.append(
            Markup(
                '<g class="{}"><path class="line" d="{}"/>'
                '<path class="reach" d="{}"><title>{}</title></path></g>'
            ).format(css, path, path, told)
        )

    def dot(self, point: Point, css: str, told: str, ends: Point | None = None) -> None:
        """A dot, and the interval ``ends`` it stands in."""
        x, y = self._place(point)
        stem = Markup("")
        if ends is not None:
            low, high = (self._place((point[0], end))[1] for end in ends)
            stem = Markup('<path class="stem" d="M{0:.1f} {1:.1f}V{2:.1f}"/>').format(x, low, high)
        self.marks.append(
            Markup(
                '<g class="{}">{}<circle class="dot" cx="{:.1f}" cy="{:.1f}" r="4">'
                "<title>{}</title></circle></g>"
            ).format(css, stem, x, y, told)
        )

    def level(self, value: float, css: str, told: str) -> None:
        """A line from side to side."""
        self.line([(self.x.low, value), (self.x.high, value)], css, told)

    def svg(self) -> Markup:
        """The finished chart."""
        return Markup(
            '<svg class="panel" viewBox="0 0 {} {}" role="img" aria-label="{}">'
            '<text class="head" x="{}" y="22">{}</text>{}{}{}</svg>'
        ).format(
            WIDTH,
            HEIGHT,
            self.told or self.title,
            LEFT,
            self.title,
            self._grid(),
            Markup("").join(self.marks),
            self._titles(),
        )

    def _place(self, point: Point) -> Point:
        wide, tall = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
        return LEFT + wide * self.x.at(point[0]), HEIGHT - BOTTOM - tall * self.y.at(point[1])

    def _grid(self) -> Markup:
        drawn = []
        for value, label in self.y.ticks:
            _, y = self._place((self.x.low, value))
            css = "grid zero" if value == 0 else "grid"
            drawn.append(
                Markup(
                    '<path class="{}" d="M{} {:.1f}H{}"/><text class="tick" x="{}" y="{:.1f}" '
                    'text-anchor="end">{}</text>'
                ).format(css, LEFT, y, WIDTH - RIGHT, LEFT - 7, y + 4, label)
            )
        for value, label in self.x.ticks:
            x, _ = self._place((value, self.y.low))
            drawn.append(
                Markup(
                    '<path class="grid" d="M{0:.1f} {1}v4"/><text class="tick" x="{0:.1f}" '
                    'y="{2}" text-anchor="middle">{3}</text>'
                ).format(x, HEIGHT - BOTTOM, HEIGHT - BOTTOM + 18, label)
            )
        return Markup("").join(drawn)

    def _titles(self) -> Markup:
        middle = (TOP + HEIGHT - BOTTOM) / 2
        return Markup(
            '<text class="name" x="{}" y="{}" text-anchor="end">{}</text>'
            '<text class="name" transform="translate(16 {}) rotate(-90)" text-anchor="middle">'
            "{}</text>"
        ).format(WIDTH - RIGHT, HEIGHT - 8, self.x.title, middle, self.y.title)


def _sparse(values: Sequence[float]) -> list[float]:
    """At most eight of ``values``, the ends among them."""
    if len(values) <= 8:
        return list(values)
    last = len(values) - 1
    return [values[round(k * last / 7)] for k in range(8)]
