"""Charts of evidence: error rates, attacks against their budget, groups, and bounds of epsilon."""

from collections.abc import Mapping, Sequence
from typing import Any

from simulations.report.bars import Figure, Group, Row, Ruler
from simulations.report.drawing import Axis, Panel, Point, log_axis, steps
from simulations.report.rates import det_axes
from simulations.report.words import percent

Figures = Mapping[str, Any]

GOALS = {
    "dodge": ("not recognised", "Dodging: the person of the template is not recognised"),
    "impersonate": ("taken for another", "Impersonating: somebody else is taken for the person"),
}
NORMS = {"linf": "L\N{INFINITY}", "l2": "L2"}


def det_figure(figures: Figures) -> Figure | None:
    """FNMR against FMR of the released model."""
    det = figures.get("det")
    if not det:
        return None
    points = [(x, y) for x, y in zip(det["fmr"], det["fnmr"], strict=True) if 0 < x <= 0.5]
    if len(points) < 2:
        return None
    panel = Panel(*det_axes(points), told="DET curve of the release")
    panel.line(points, "cam-0", "this release")
    rates = [(far, told) for far, told in figures.get("tar_at_far", {}).items() if told is not None]
    ruler = Ruler(0.0, 1.0)
    rows = [_rated(f"at FAR {far}", told, ruler) for far, told in rates]
    return Figure(
        title="Does it tell people apart?",
        caption="People who took no part, with 95 % intervals by person. Left, both kinds of "
        "error: lower and further left is better. Right, people let in rightly.",
        panels=[panel.svg()],
        groups=[Group(rows=rows, ticks=ruler.ticks("{:.0%}"), head="let in rightly (TAR)")],
    )


def attack_figure(figures: Figures) -> Figure | None:
    """Success of every attack against its budget, a panel for each norm and goal."""
    curves = figures.get("curves") or {}
    names = sorted({name for by_attack in curves.values() for name in by_attack})
    panels = [
        _attack_panel(curves[norm], norm, goal, names)
        for norm in NORMS
        for goal in GOALS
        if any(len(by_goal.get(goal) or ()) > 1 for by_goal in curves.get(norm, {}).values())
    ]
    if not panels:
        return None
    return Figure(
        title="What a forged picture gets",
        caption="The share of rightly decided pairs that an attacker turns around, who moves "
        "pixels as far as the budget allows and knows the whole model unless it says otherwise. "
        "Lower is better; at large budgets every model falls, or the attack is broken.",
        panels=panels,
        key=[(_attack_css(names, name), name) for name in names],
    )


def bars_figure(
    title: str, caption: str, rows: Sequence[tuple[str, Any]], head: str = ""
) -> Figure | None:
    """Shares with intervals, one a row: (label, value or {value, ci95})."""
    told = [(label, value) for label, value in rows if value is not None]
    if not told:
        return None
    ruler = Ruler(0.0, 1.0)
    made = [_rated(label, _as_rate(value), ruler) for label, value in told]
    group = Group(rows=made, ticks=ruler.ticks("{:.0%}"), head=head)
    return Figure(title=title, caption=caption, groups=[group])


def groups_figure(figures: Figures) -> Figure | None:
    """FMR and FNMR of every group at the one threshold."""
    found = figures.get("groups") or {}
    parts = []
    for key, words in (("fmr", "strangers let in (FMR)"), ("fnmr", "people kept out (FNMR)")):
        rates = {name: told[key] for name, told in found.items() if told.get(key) is not None}
        if not rates:
            continue
        ruler = Ruler.over([0.0, *(end for told in rates.values() for end in told["ci95"])], True)
        rows = [_rated(name, told, ruler, digits=3) for name, told in rates.items()]
        parts.append(Group(rows=rows, ticks=ruler.ticks("{:.3g}"), head=words))
    if not parts:
        return None
    return Figure(
        title="Is it fair?",
        caption="Errors of each group at one threshold for all, with 95 % intervals by person. "
        "Groups with too few people are left out.",
        groups=parts,
        wide=True,
    )


def bounds_figure(figures: Figures) -> Figure | None:
    """The claimed epsilon, and what audits of the mechanism can prove and could at most."""
    claim = figures.get("claimed_epsilon")
    if claim is None:
        return None
    names = {"gaussian": "Gaussian scores", "one_run": "one run", "f_dp": "f-DP, one run"}
    told = {name: figures[key] for key, name in names.items() if figures.get(key)}
    ends = [float(t.get(k) or 0.0) for t in told.values() for k in ("lower_bound", "ceiling")]
    ruler = Ruler.over([0.0, claim, *ends], True)
    rows = [Row(label="claimed", value=f"{claim:.3g}", marks=[ruler.span(0, claim, kind="bar")])]
    for name, one in told.items():
        low, top = float(one["lower_bound"]), one.get("ceiling")
        marks = [ruler.span(0, low, f"proved: {low:.3g}", "bar")]
        if top is not None:
            marks.append(ruler.dot(float(top), f"could prove at most {top:.3g}", "level"))
        rows.append(Row(label=name, value=f"{low:.3g}", css="cam-1", marks=marks))
    return Figure(
        title="Is the promise kept?",
        caption="The epsilon that is claimed, and the lower bounds that an audit of the shipped "
        "sampler, clip and noise proves at 99 % confidence. A bound above the claim would be a "
        "bug; the line is the most that this audit could have shown: below the claim, it is no "
        "proof of anything.",
        groups=[Group(rows=rows, ticks=ruler.ticks())],
    )


def _attack_panel(by_attack: Figures, norm: str, goal: str, names: Sequence[str]) -> Any:
    curves: dict[str, list[tuple[Point, Point]]] = {}
    for name, by_goal in by_attack.items():
        cells = by_goal.get(goal) or {}
        points = [
            ((_eps(eps), told["value"]), tuple(told["ci95"]))
            for eps, told in cells.items()
            if told is not None and _eps(eps) > 0
        ]
        if points:
            curves[name] = sorted(points)
    every = [point[0] for points in curves.values() for point, _ in points]
    y = Axis(
        title=GOALS[goal][0],
        low=0.0,
        high=1.0,
        ticks=[(tick, f"{100 * tick:g} %") for tick in steps(0.0, 1.0)],
    )
    x = log_axis("budget" + (" (of 255)" if norm == "linf" else ""), every)
    panel = Panel(x, y, title=f"{GOALS[goal][0]}, {NORMS.get(norm, norm)}")
    panel.told = f"{GOALS[goal][1]}; budget in {norm}"
    for name, points in curves.items():
        css = _attack_css(names, name)
        panel.line([point for point, _ in points], css, name)
        for point, ends in points:
            panel.dot(point, css, f"{name}, {point[0]:g}: {percent(point[1])}", ends)
    return panel.svg()


def _eps(key: str) -> float:
    """``"8/255"`` is 8, ``"0.5"`` is 0.5: as the axis tells it."""
    return float(key.partition("/")[0])


def _attack_css(names: Sequence[str], name: str) -> str:
    return f"cam-{names.index(name) % 8}"


def _as_rate(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {"value": float(value), "ci95": None}


def _rated(label: str, told: Mapping[str, Any], ruler: Ruler, digits: int = 0) -> Row:
    value, ends = float(told["value"]), told.get("ci95")
    shown = percent(value) if not digits else f"{value:.{digits}g}"
    marks = [ruler.dot(value, f"{label}: {shown}")]
    if ends:
        marks.insert(0, ruler.span(ends[0], ends[1], f"{label}: {ends[0]:.3g} to {ends[1]:.3g}"))
    return Row(label=label, value=shown, css="cam-0", marks=marks)
