"""The printed table: all arms side by side, what each gained over `local`, what each spent.

Colours and lines on a terminal, aligned plain text in a file or a pipe; at most 100 columns.
"""

from collections.abc import Mapping
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from simulations.pieces import epsilon_key
from simulations.progress import WIDTH
from simulations.results import FAR_KEYS

MEANING = {
    "base": "the embedder as it came",
    "public": "tuned on public faces",
    "panel": "volunteers of every site",
    "local": "own part, never leaves",
    "private": "noise at each site",
    "private_secagg": "noise once, secure sum",
    "nonprivate": "shared without noise",
    "upper_bound": "best without privacy",
}


def print_summary(summary: Mapping[str, Any], console: Console) -> None:
    """Prints ``summary`` (``summarise``, schema 1) to ``console``."""
    plain = not console.is_terminal
    width = WIDTH if plain else min(WIDTH, console.width)
    console.print(render(summary, plain=plain), width=width)
    for line in _footnotes(summary):
        console.print(Text(line, style="" if plain else "dim"), width=width)


def render(summary: Mapping[str, Any], *, plain: bool = False) -> Table:
    """The table of all rows; ``plain`` leaves out lines and colours."""
    table = Table(
        title=_title(summary),
        title_justify="left",
        title_style="" if plain else "bold",
        header_style="" if plain else "bold",
        box=None if plain else box.SIMPLE_HEAD,
        padding=(0, 1 + plain, 0, 0),
    )
    table.add_column("arm", no_wrap=True)
    table.add_column("", style="" if plain else "dim")
    table.add_column("epsilon", justify="right", no_wrap=True)
    for key in FAR_KEYS:
        table.add_column(f"@{key}", justify="right", no_wrap=True)
    table.add_column("points", justify="right", no_wrap=True)
    table.add_column("95 %", no_wrap=True)
    for row in summary["rows"]:
        style = "" if plain else _style(row, summary)
        table.add_row(*_cells(row, summary), style=style)
    return table


def _cells(row: Mapping[str, Any], summary: Mapping[str, Any]) -> list[str]:
    rates = [_rate(row["tar_at_far"][key]) for key in FAR_KEYS]
    name = row["name"]
    epsilon = "-" if row["epsilon"] is None else epsilon_key(row["epsilon"])
    return [name, MEANING.get(name, ""), epsilon, *rates, *_gain(row, summary)]


def _gain(row: Mapping[str, Any], summary: Mapping[str, Any]) -> tuple[str, str]:
    gain = _gain_of(row, summary)
    if gain is None:
        return "", ""
    low, high = gain["ci95"]
    return f"{gain['value']:+.2f}", f"[{low:+.2f}, {high:+.2f}]"


def _gain_of(row: Mapping[str, Any], summary: Mapping[str, Any]) -> Mapping[str, Any] | None:
    if not row["epsilon"]:
        return None
    found: Mapping[str, Any] | None
    found = summary["gain"].get(row["name"], {}).get(epsilon_key(row["epsilon"]))
    return found


def _style(row: Mapping[str, Any], summary: Mapping[str, Any]) -> str:
    """Green where an arm is surely above `local`, red where it is surely below."""
    if row["name"] == "local":
        return "bold"
    gain = _gain_of(row, summary)
    if gain is None:
        return ""
    low, high = gain["ci95"]
    if low > 0:
        return "green"
    return "red" if high < 0 else ""


def _rate(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _title(summary: Mapping[str, Any]) -> str:
    sites, seeds = len(summary["sites"]), summary["seeds"]
    return f"{summary['scenario']}: TAR@FAR over {_many(sites, 'site')}, {_many(seeds, 'seed')}"


def _many(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _footnotes(summary: Mapping[str, Any]) -> list[str]:
    lines = ["points: TAR at FAR 1e-2 gained over local, on people no arm has seen"]
    if any(gain is None for by in summary["gain"].values() for gain in by.values()):
        lines.append("no points: too few pairs of report people for FAR 1e-2; report on more folds")
    for epsilon, sites in summary["epsilon_spent"].items():
        least, most = min(sites.values()), max(sites.values())
        range_ = f"{most:.3f}" if most - least < 5e-4 else f"{least:.3f} to {most:.3f}"
        lines.append(
            f"spent at epsilon {epsilon}: {range_} by each of {_many(len(sites), 'site')}"
            f" (delta {summary['delta']:g}, person-level)"
        )
    if summary["entropy"] != "os":
        lines.append(f"entropy {summary['entropy']}: repeatable noise, no privacy claim")
    return lines
