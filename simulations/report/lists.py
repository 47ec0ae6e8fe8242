"""Lists of a run on common rulers: arms, gains, sites, privacy spent and bytes moved."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from simulations.report.bars import Figure, Group, Row, Ruler
from simulations.report.drawing import steps
from simulations.report.palette import Arm, camera_css
from simulations.report.rates import FAR_WORDS, arm_of
from simulations.report.words import Gain, byte_count, percent, signed
from simulations.results import FAR_KEYS, GAIN_AT

Summary = Mapping[str, Any]

FAR = FAR_KEYS[GAIN_AT]
MOST_TOGETHER = 12  # sites in one list; more are told apart by camera type
SAME = 5e-4  # of epsilon: no difference anybody should look at
MOST_ROWS = 24  # of one list; of more sites an even choice is shown


def ladder_figure(summary: Summary, far: str = FAR) -> Figure | None:
    """All arms at one FAR, side by side."""
    known = [row for row in summary["rows"] if row["tar_at_far"].get(far) is not None]
    if not known:
        return None
    ruler = Ruler.over([end for row in known for end in row["ci95"][far]])
    rows = []
    for row in known:
        arm, (low, high), value = arm_of(row), row["ci95"][far], row["tar_at_far"][far]
        told = f"{arm.label}: {percent(value)} ({percent(low)} to {percent(high)})"
        marks = [ruler.span(low, high, told), ruler.dot(value, told)]
        rows.append(
            Row(
                label=arm.label,
                value=percent(value),
                css=arm.css,
                marks=marks,
                strong=arm.name == "local",
            )
        )
    return Figure(
        title="All ways of learning",
        caption=f"People let in rightly when {FAR_WORDS[far]} strangers is let in too, with 95 % "
        "intervals. Further right is better; the private arms lie between alone and all in one "
        "place if joining helps.",
        groups=[Group(rows=rows, ticks=_percents(ruler))],
    )


def gain_figure(summary: Summary, gains: Sequence[Gain]) -> Figure | None:
    """What every private arm gains, and how much folds and seeds agree on it."""
    if not gains:
        return None
    by_fold, by_seed = summary.get("gain_by_fold", {}), summary.get("gain_by_seed", {})
    folds = {g.arm: _known(by_fold.get(g.arm.name, {}).get(g.arm.epsilon, {})) for g in gains}
    seeds = {g.arm: _by_number(by_seed.get(g.arm.name, {}).get(g.arm.epsilon, ())) for g in gains}
    every = [v for told in (*folds.values(), *seeds.values()) for v in told.values()]
    ruler = Ruler.over([0.0, *every, *(end for g in gains for end in (g.low, g.high))])
    rows = []
    for gain in gains:
        ticks = [
            ruler.dot(value, f"{word} {name}: {signed(value)}", kind)
            for word, kind, told in (
                ("fold", "tick", folds[gain.arm]),
                ("seed", "ring", seeds[gain.arm]),
            )
            for name, value in told.items()
        ]
        marks = [*ticks, ruler.span(gain.low, gain.high, gain.words), ruler.dot(gain.value)]
        rows.append(
            Row(
                label=gain.arm.label,
                value=signed(gain.value),
                css=gain.arm.css,
                marks=marks,
                strong=gain.low > 0,
            )
        )
    return Figure(
        title="Gained by joining",
        caption="Points over what each site does alone, paired person by person. The bar is the "
        "95 % interval; thin lines are folds (other people), rings are seeds (other dealings and "
        "other noise). Left of nought, joining hurts.",
        groups=[Group(rows=rows, ticks=ruler.ticks("{:+g}"), zero=ruler.at(0.0))],
    )


def sites_figure(summary: Summary, arm: Arm) -> Figure | None:
    """Every judged site under ``arm``, best first, beside what it reaches alone."""
    found = {arm_of(row): row["per_site"] for row in summary["rows"]}
    joined, alone = found.get(arm), found.get(Arm("local", "0"), {})
    known = {s: f for s, f in (joined or {}).items() if f["tar_at_far"].get(FAR) is not None}
    if not known:
        return None
    before = {s: alone[s]["tar_at_far"].get(FAR) for s in known if s in alone}
    ends = [end for figures in known.values() for end in figures["ci95"][FAR]]
    ruler = Ruler.over([*ends, *(value for value in before.values() if value is not None)], True)
    css = {kind: camera_css(n) for n, kind in enumerate(sorted(set(summary["sites"].values())))}
    order = sorted(known, key=lambda site: -known[site]["tar_at_far"][FAR])
    rows = {
        site: _site_row(site, known[site], (before.get(site), css[summary["sites"][site]]), ruler)
        for site in order
    }
    groups = [Group(rows=list(rows.values()), ticks=_percents(ruler))]
    if len(known) > MOST_TOGETHER:
        by_kind = {kind: [s for s in order if summary["sites"][s] == kind] for kind in css}
        groups = [
            Group(
                rows=[rows[site] for site in evenly(mine)],
                ticks=_percents(ruler),
                head=kind + _shown(len(mine)),
                css=css[kind],
            )
            for kind, mine in by_kind.items()
        ]
    return Figure(
        title="Site by site",
        caption=f"People let in rightly at each site ({arm.label}), best first, when "
        f"{FAR_WORDS[FAR]} strangers is let in too. Whiskers are 95 % intervals; the dark line is "
        "what the site reaches alone.",
        groups=groups,
        key=[] if len(groups) > 1 else [(css[kind], kind) for kind in css],
        wide=len(groups) > 1,
    )


def spent_figure(summary: Summary) -> Figure | None:
    """Epsilon of every site against the budget; None where nothing was spent."""
    spent: Mapping[str, Mapping[str, float]] = summary.get("epsilon_spent", {})
    groups = []
    for budget in sorted(spent, key=float, reverse=True):
        ruler = Ruler(0.0, max([float(budget), *spent[budget].values()]))
        rows = [_spent_row(site, x, budget, ruler) for site, x in _told_apart(spent[budget])]
        head = f"budget ε = {budget}"
        groups.append(Group(rows=rows, ticks=ruler.ticks(), head=head))
    if not groups:
        return None
    return Figure(
        title="Privacy spent",
        caption="The largest epsilon in any ledger of each site; the track ends at the budget, and "
        "a ledger that reaches it releases nothing more.",
        groups=groups,
        wide=True,
    )


def bytes_figure(summary: Summary) -> Figure | None:
    """What each site sent and received in one run of an arm; None where nobody counted."""
    counted = {
        Arm(row): _most(by_epsilon.values()) for row, by_epsilon in summary.get("bytes", {}).items()
    }
    if not counted:
        return None
    ruler = Ruler(0.0, max(max(b) for sites in counted.values() for b in sites.values()) or 1)
    ticks = [(ruler.at(end), byte_count(end)) for end in (0, ruler.high / 2, ruler.high)]
    groups = []
    for way, at in (("sent by a site", 0), ("received by a site", 1)):
        rows = []
        for arm, sites in counted.items():
            sizes = sorted(both[at] for both in sites.values())
            middle = sizes[len(sizes) // 2]
            told = f"{byte_count(sizes[0])} to {byte_count(sizes[-1])} over {len(sizes)} sites"
            marks = [ruler.span(0, middle, told, "bar")]
            rows.append(Row(label=arm.label, value=byte_count(middle), css=arm.css, marks=marks))
        groups.append(Group(rows=rows, ticks=ticks, head=way))
    return Figure(
        title="Bytes moved",
        caption="Arrays of a whole run, at the epsilon that moved most: what the median site sends "
        "to the centre and receives from it. Hover for the least and the most.",
        groups=groups,
        wide=True,
    )


def _shown(count: int) -> str:
    """Says so where a list is an even choice."""
    return f" ({MOST_ROWS} of {count} shown)" if count > MOST_ROWS else ""


def _most(runs: Iterable[Mapping[str, Sequence[int]]]) -> dict[str, tuple[int, int]]:
    """By site, the most of several runs: sent, received."""
    most: dict[str, tuple[int, int]] = {}
    for sites in runs:
        for site, (sent, received) in sites.items():
            known = most.get(site, (0, 0))
            most[site] = max(known[0], sent), max(known[1], received)
    return most


def evenly(names: Sequence[str], most: int = MOST_ROWS) -> list[str]:
    """At most so many, evenly spread, the first and the last among them."""
    if len(names) <= most:
        return list(names)
    return [names[round(k * (len(names) - 1) / (most - 1))] for k in range(most)]


def _told_apart(spent: Mapping[str, float]) -> list[tuple[str, float]]:
    """The spend of every site, or of some where there are many; once where all are the same."""
    order = sorted(spent, key=lambda site: -spent[site])
    if len(order) > MOST_TOGETHER and spent[order[0]] - spent[order[-1]] < SAME:
        return [(f"all {len(order)} sites", spent[order[0]])]
    return [(site, spent[site]) for site in evenly(order)]


def _spent_row(site: str, value: float, budget: str, ruler: Ruler) -> Row:
    told = f"{site}: {value:.3f} of {budget}"
    return Row(label=site, value=f"{value:.3f}", marks=[ruler.span(0, value, told, "bar")])


def _site_row(
    site: str, figures: Mapping[str, Any], beside: tuple[float | None, str], ruler: Ruler
) -> Row:
    value, (low, high), (alone, css) = figures["tar_at_far"][FAR], figures["ci95"][FAR], beside
    told = f"{site}: {percent(value)} ({percent(low)} to {percent(high)})"
    marks = [ruler.span(0.0, value, told, "bar"), ruler.span(low, high, told, "whisker")]
    if alone is not None:
        marks.append(ruler.dot(alone, f"{site} alone: {percent(alone)}", "level"))
    return Row(label=site, value=percent(value), css=css, marks=marks)


def _percents(ruler: Ruler, about: int = 3) -> list[tuple[float, str]]:
    found = steps(ruler.low, ruler.high, about)
    return [(ruler.at(tick), f"{round(100 * tick, 6):g} %") for tick in found]


def _known(told: Mapping[str, float | None]) -> dict[str, float]:
    return {name: value for name, value in told.items() if value is not None}


def _by_number(told: Sequence[float | None]) -> dict[str, float]:
    return _known({str(number): value for number, value in enumerate(told)})
