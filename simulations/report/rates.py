"""Charts of rates: DET curves, what an epsilon buys, and how training went."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from markupsafe import Markup

from simulations.report.bars import Figure
from simulations.report.drawing import (
    Axis,
    Panel,
    Point,
    apart,
    linear,
    log_axis,
    number_axis,
    padded,
    probit,
    steps,
)
from simulations.report.palette import LINES, PRIVATE, Arm
from simulations.report.words import percent
from simulations.results import FAR_KEYS

Summary = Mapping[str, Any]

FAR_WORDS = {"1e-1": "1 in 10", "1e-2": "1 in 100", "1e-3": "1 in 1,000"}
DET_TICKS = (0.0001, 0.001, 0.01, 0.05, 0.2, 0.4, 0.6, 0.8, 0.9, 0.98)
DET_MOST = 0.5  # FMR beyond which no door would work


def det_figure(summary: Summary) -> Figure | None:
    """FNMR against FMR of all arms, one panel for every epsilon; None where none were kept."""
    grid = summary.get("fmr_grid")
    curves = {arm_of(row): row["fnmr"] for row in summary["rows"] if row.get("fnmr")}
    if not grid or not any(any(v is not None for v in curve) for curve in curves.values()):
        return None
    drawn = {arm: _det_points(grid, curve) for arm, curve in curves.items()}
    axes = det_axes([point for points in drawn.values() for point in points])
    panels = []
    for epsilon in epsilons_of(summary) or [""]:
        panel = Panel(*axes, title=f"ε = {epsilon}" if epsilon else "")
        panel.told = f"DET curves at epsilon {epsilon}"
        for arm, points in drawn.items():
            if len(points) > 1 and arm.epsilon in (epsilon, "0", "none"):
                panel.line(points, arm.css, arm.label)
        panels.append(panel.svg())
    return Figure(
        title="Errors of both kinds",
        caption="DET curves: lower and further left is better. Along a curve the door lets more "
        "strangers in (right) to keep fewer people out (down); both axes are normal deviates.",
        panels=panels,
        key=arm_key(drawn),
    )


def epsilon_figure(summary: Summary) -> Figure | None:
    """TAR at each FAR against epsilon; None where nothing was spent."""
    rows = {arm_of(row): row for row in summary["rows"]}
    spent = [float(arm.epsilon) for arm in rows if arm.private]
    if not spent:
        return None
    panels = [
        _epsilon_panel(far, rows, log_axis("ε", spent))
        for far in FAR_KEYS
        if any(row["tar_at_far"].get(far) is not None for row in rows.values())
    ]
    shown = [arm for arm in rows if arm.private or arm.name in LINES]
    return Figure(
        title="What an epsilon buys",
        caption="People let in rightly, at three strictnesses of the door. Dots are the private "
        "arms with 95 % intervals; lines are what a site reaches alone, and without any privacy.",
        panels=panels,
        key=arm_key(shown),
    )


def training_figure(summary: Summary) -> Figure | None:
    """The score on public people round by round; None where no run kept one."""
    curves: dict[Arm, list[Point]] = {}
    for row, by_epsilon in summary.get("rounds", {}).items():
        for epsilon, rounds in by_epsilon.items():
            points = [(r["round"], r["public"]) for r in rounds if "public" in r]
            if len(points) > 1:
                curves[Arm(row, epsilon)] = points
    if not curves:
        return None
    ends = [point for points in curves.values() for point in points]
    x = number_axis("round", [x for x, _ in ends])
    panel = Panel(x, number_axis("score on public people", [y for _, y in ends]), title="Training")
    for arm, points in curves.items():
        panel.line(points, arm.css, arm.label)
    return Figure(
        title="Training",
        caption="The score on public people after every round of gradients, mean over folds and "
        "seeds. Nothing private is looked at to draw it.",
        panels=[panel.svg()],
        key=arm_key(curves),
    )


def arm_of(row: Mapping[str, Any]) -> Arm:
    """The arm of one row of the summary."""
    epsilon = row["epsilon"]
    return Arm(row["name"], "none" if epsilon is None else f"{epsilon:.12g}")


def epsilons_of(summary: Summary) -> list[str]:
    """Those that private arms spent, the largest first."""
    found = {arm_of(row).epsilon for row in summary["rows"] if arm_of(row).private}
    return sorted(found, key=float, reverse=True)


def arm_key(arms: Sequence[Arm] | Mapping[Arm, Any]) -> list[tuple[str, str]]:
    """What colours mean: (class, words), one for each arm whatever its epsilon."""
    return list(dict.fromkeys((arm.css, arm.words) for arm in arms))


def _det_points(grid: Sequence[float], curve: Sequence[float | None]) -> list[Point]:
    return [
        (fmr, fnmr)
        for fmr, fnmr in zip(grid, curve, strict=True)
        if fnmr is not None and fmr <= DET_MOST
    ]


def det_axes(points: Sequence[Point]) -> tuple[Axis, Axis]:
    """Axes of normal deviates that hold all ``points``."""

    def axis(title: str, values: Sequence[float]) -> Axis:
        low, high = min(values), max(values)
        bare = Axis(title=title, low=low, high=high, ticks=(), scale=probit)
        ticks = apart([t for t in DET_TICKS if low <= t <= high], bare, 0.12)
        return replace(bare, ticks=[(t, f"{100 * t:g} %") for t in ticks])

    strangers = axis("strangers let in (FMR)", [x for x, _ in points])
    return strangers, axis("people kept out (FNMR)", [y for _, y in points])


def _epsilon_panel(far: str, rows: Mapping[Arm, Mapping[str, Any]], x: Axis) -> Markup:
    known = {arm: row for arm, row in rows.items() if row["tar_at_far"].get(far) is not None}
    drawn = {arm: row for arm, row in known.items() if arm.private or arm.name in LINES}
    y = _rate_axis([end for row in drawn.values() for end in row["ci95"][far]])
    panel = Panel(x, y, title=f"at FAR {FAR_WORDS.get(far, far)}")
    panel.told = f"TAR at FAR {far} against epsilon"
    for arm, row in drawn.items():
        if not arm.private:
            value = row["tar_at_far"][far]
            panel.level(value, arm.css, f"{arm.label}: {percent(value)}")
    for name in PRIVATE:
        told = _private_points(name, far, drawn, x)
        if len(told) > 1:
            panel.line([point for point, *_ in told], f"arm-{name}", Arm(name).words)
        for point, ends, label in told:
            panel.dot(point, f"arm-{name}", label, ends)
    return panel.svg()


def _private_points(
    name: str, far: str, rows: Mapping[Arm, Mapping[str, Any]], x: Axis
) -> list[tuple[Point, Point, str]]:
    """The points of one noise model, moved a hair aside so that intervals do not cover others."""
    aside = (x.high / x.low) ** (0.008 if PRIVATE.index(name) else -0.008)
    found = []
    mine = [arm for arm in rows if arm.name == name and arm.private]
    for arm in sorted(mine, key=lambda arm: float(arm.epsilon)):
        value, (low, high) = rows[arm]["tar_at_far"][far], rows[arm]["ci95"][far]
        label = f"{arm.label}: {percent(value)} ({percent(low)} to {percent(high)})"
        found.append(((float(arm.epsilon) * aside, value), (low, high), label))
    return found


def _rate_axis(values: Sequence[float]) -> Axis:
    low, high = padded(values)
    low, high = max(low, 0.0), min(high, 1.0)
    ticks = [(tick, f"{100 * tick:g} %") for tick in steps(low, high)]
    return Axis(title="let in rightly (TAR)", low=low, high=high, ticks=ticks, scale=linear)
