"""The table fits in 100 columns, and is plain text where nobody sees colours."""

import io
from typing import Any

import pytest
from rich.console import Console
from rich.text import Text

from simulations.table import print_summary


def test_piped_table_is_plain_text_of_at_most_100_columns() -> None:
    text = printed(summary(), terminal=False)
    assert "\x1b" not in text
    assert text.isascii()
    lines = text.splitlines()
    assert max(map(len, lines)) <= 100
    assert lines[0].startswith("fleet: TAR@FAR over 2 sites, 5 seeds")
    line = next(line for line in lines if line.startswith("private_secagg"))
    assert line.split()[-7:] == ["8", "0.931", "0.733", "-", "+3.70", "[+2.10,", "+12.30]"]
    assert any("spent at epsilon 8: 7.912 to 7.998 by each of 2 sites" in line for line in lines)
    assert any("no privacy claim" in line for line in lines)


def test_table_on_a_terminal_fits_and_is_coloured() -> None:
    text = printed(summary(), terminal=True)
    assert "\x1b[32m" in text  # surely above local
    assert "\x1b[31m" in text  # surely below
    assert max(len(Text.from_ansi(line)) for line in text.splitlines()) <= 100
    assert "private_secagg" in text


@pytest.mark.parametrize("terminal", [True, False])
def test_nothing_is_cut_off(terminal: bool) -> None:
    text = printed(summary(), terminal=terminal)
    assert "…" not in text
    assert "own part, never leaves" in text


def test_rates_and_gains_that_are_unknown_are_dashes_or_empty() -> None:
    unknown = summary()
    unknown["gain"]["private"]["8"] = None
    lines = printed(unknown, terminal=False).splitlines()
    line = next(line for line in lines if line.startswith("private "))
    assert line.split()[-3:] == ["0.904", "0.700", "-"]
    assert any(line.startswith("no points: too few pairs") for line in lines)
    assert "too few" not in printed(summary(), terminal=False)


def printed(content: dict[str, Any], *, terminal: bool) -> str:
    file = io.StringIO()
    console = Console(file=file, force_terminal=terminal, width=100, color_system="standard")
    print_summary(content, console)
    return file.getvalue()


def summary() -> dict[str, Any]:
    arms = [("base", 0.0), ("local", 0.0), ("private", 8.0), ("private_secagg", 8.0)]
    rates = [(0.8, 0.6), (0.9, 0.696), (0.904, 0.7), (0.931, 0.733)]
    rows = [
        {
            "name": name,
            "epsilon": epsilon,
            "tar_at_far": {"1e-1": high, "1e-2": low, "1e-3": None},
        }
        for (name, epsilon), (high, low) in zip(arms, rates, strict=True)
    ]
    return {
        "scenario": "fleet",
        "seeds": 5,
        "entropy": "seeded",
        "delta": 1e-4,
        "sites": {"a": "dark", "b": "grey"},
        "rows": rows,
        "gain": {
            "private": {"8": {"value": -0.4, "ci95": [-0.7, -0.1]}},
            "private_secagg": {"8": {"value": 3.7, "ci95": [2.1, 12.3]}},
        },
        "epsilon_spent": {"8": {"a": 7.912, "b": 7.998}},
    }
