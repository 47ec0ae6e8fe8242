"""Charts of a sweep: the gain along each axis as small multiples, and people x sites as a map."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from simulations.report.bars import Figure
from simulations.report.drawing import Axis, Panel, category_axis, log_axis, number_axis
from simulations.report.palette import Arm
from simulations.report.records import Record, values
from simulations.report.words import signed

MOST_PANELS = 6  # of one noise model
HUES = 6  # classes ``step-0`` (faint) to ``step-5`` (strong)

Take = Callable[[Record], Any]


@dataclass(frozen=True, slots=True)
class View:
    """Which axis lies along the bottom, which makes the panels, and which the colours."""

    x: tuple[str, Take]
    panel: tuple[str, Take]
    colour: tuple[str, Take]


PEOPLE: tuple[str, Take] = ("people a site", lambda record: record.people)
SITES: tuple[str, Take] = ("sites", lambda record: record.sites)
EPSILON: tuple[str, Take] = ("ε", lambda record: record.epsilon)

VIEWS = (
    View(PEOPLE, SITES, EPSILON),
    View(SITES, PEOPLE, EPSILON),
    View(EPSILON, SITES, PEOPLE),
)


def axis_figures(records: Sequence[Record]) -> list[Figure]:
    """The gain against every numeric axis that has more than one value, and against the rest."""
    found = []
    for others in values(records, lambda record: record.others)[:MOST_PANELS]:
        mine = [record for record in records if record.others == others]
        for view in VIEWS:
            if len(values(mine, view.x[1])) > 1:
                found.append(_lines(mine, view, others))
    if len(values(records, lambda record: record.others)) > 1:
        found.append(_categories(records))
    return found


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of a map; ``strength`` 0 to 1 of the hue of a gain or of a loss."""

    words: str
    css: str
    strength: float
    told: str


@dataclass(frozen=True, slots=True)
class HeatMap:
    """The gain by people (columns) and sites (rows) under one arm."""

    arm: Arm
    others: str
    people: Sequence[float]
    rows: Sequence[tuple[int, Sequence[Cell | None]]]


def heat_maps(records: Sequence[Record]) -> list[HeatMap]:
    """One for every arm and every choice of the other axes; none where there is only one cell."""
    if not records:
        return []
    most = max(abs(record.gain.value) for record in records) or 1.0
    found = []
    for others in values(records, lambda record: record.others):
        for arm in dict.fromkeys(record.arm for record in records):
            mine = [r for r in records if r.arm == arm and r.others == others]
            if len(values(mine, PEOPLE[1])) * len(values(mine, SITES[1])) > 1:
                found.append(_map(arm, others, mine, most))
    return found


def _map(arm: Arm, others: str, records: Sequence[Record], most: float) -> HeatMap:
    by_place = {(record.sites, record.people): record for record in records}
    people, sites = values(records, PEOPLE[1]), values(records, SITES[1])
    rows = [
        (count, [_cell(by_place.get((count, crowd)), most) for crowd in people])
        for count in reversed(sites)
    ]
    return HeatMap(arm, others, people, rows)


def _cell(record: Record | None, most: float) -> Cell | None:
    if record is None:
        return None
    gain = record.gain
    css = {"pays": "up sure", "little": "up sure", "costs": "down sure", "unsure": "unsure"}
    hue = css[gain.verdict]
    if hue == "unsure" and signed(gain.value) == signed(0):
        hue = "level"
    elif hue == "unsure":
        hue = "up" if gain.value > 0 else "down"
    told = f"{record.where}: {gain.words}"
    return Cell(signed(gain.value), hue, round(abs(gain.value) / most, 3), told)


def _lines(records: Sequence[Record], view: View, others: str) -> Figure:
    x = log_axis(view.x[0], values(records, view.x[1]))
    y = _gain_axis(records)
    colours = values(records, view.colour[1])
    panels = []
    for name in dict.fromkeys(record.arm.name for record in records):
        for facet in _few(values(records, view.panel[1])):
            mine = [r for r in records if r.arm.name == name and view.panel[1](r) == facet]
            title = f"{Arm(name).words} · {facet:g} {view.panel[0]}"
            if view.panel is EPSILON:
                title = f"{Arm(name).words} · ε {facet:g}"
            drawn = _panel(mine, view, (x, y), colours)
            if drawn is not None:
                drawn.title, drawn.told = title, f"Gain against {view.x[0]}: {title}"
                panels.append(drawn.svg())
    beside = f" ({others})" if others else ""
    return Figure(
        title=f"Gain against {view.x[0]}{beside}",
        caption=f"Points over what a site does alone, with 95 % intervals, along a logarithmic "
        f"axis; one panel for each number of {view.panel[0]}, one colour for each "
        f"{view.colour[0]}. Above the line of nought, joining pays.",
        panels=panels,
        key=[(_hue(n, colours), f"{view.colour[0]} {c:g}") for n, c in enumerate(colours)],
        wide=True,
    )


def _panel(
    records: Sequence[Record], view: View, axes: tuple[Axis, Axis], colours: Sequence[Any]
) -> Panel | None:
    """The panel of ``records``; None where nothing was measured for it."""
    if not records:
        return None
    panel = Panel(*axes)
    for number, colour in enumerate(colours):
        css = _hue(number, colours)
        mine = [r for r in records if view.colour[1](r) == colour]
        mine.sort(key=view.x[1])
        if len(mine) > 1:
            points = [(view.x[1](r), r.gain.value) for r in mine]
            panel.line(points, css, f"{view.colour[0]} {colour:g}")
        for record in mine:
            told = f"{record.where}: {record.gain.words}"
            ends = (record.gain.low, record.gain.high)
            panel.dot((view.x[1](record), record.gain.value), css, told, ends)
    return panel


def _categories(records: Sequence[Record]) -> Figure:
    names = values(records, lambda record: record.others)
    y = _gain_axis(records)
    panels: list[Markup] = []
    for arm in dict.fromkeys(record.arm for record in records):
        panel = Panel(category_axis("", [str(n + 1) for n in range(len(names))]), y, arm.label)
        mine = [record for record in records if record.arm == arm]
        for record in mine:
            told = f"{record.where}: {record.gain.words}"
            ends = (record.gain.low, record.gain.high)
            panel.dot((names.index(record.others), record.gain.value), arm.css, told, ends)
        panels.append(panel.svg())
    return Figure(
        title="Gain under other settings",
        caption="Points over what a site does alone, with 95 % intervals, one panel for each "
        "private arm. Along the bottom: "
        + "; ".join(f"{n + 1} is {name or 'as it is'}" for n, name in enumerate(names))
        + ".",
        panels=panels,
        wide=True,
    )


def _gain_axis(records: Sequence[Record]) -> Axis:
    ends = [end for r in records for end in (r.gain.low, r.gain.high)]
    return number_axis("points over alone", [0.0, *ends], "{:+g}")


def _hue(number: int, colours: Sequence[Any]) -> str:
    share = number / (len(colours) - 1) if len(colours) > 1 else 1.0
    return f"step-{round(share * (HUES - 1))}"


def _few(found: Sequence[Any]) -> Sequence[Any]:
    if len(found) <= MOST_PANELS:
        return found
    last = len(found) - 1
    return [found[round(k * last / (MOST_PANELS - 1))] for k in range(MOST_PANELS)]
