"""What the evaluations of a run said, in words for whoever asked for it."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from server.mechanisms import AFTER, BEFORE

Figure = Mapping[str, float] | None


def verdict(history: Iterable[Mapping[str, Any]]) -> list[str]:
    """A line for each pool and threshold of every evaluation in ``history``, and what was gained.

    Rates are held to [0, 1] here and only here; "+-" is one standard error, of the noise alone.
    """
    found = {e["mechanism"]: e["evaluation"] for e in history if "evaluation" in e}
    words = [line for name, figures in found.items() for line in _lines(name, figures)]
    if BEFORE in found and AFTER in found:
        words += _gains(_parts(found[BEFORE]), _parts(found[AFTER]))
    return words


def _lines(name: str, figures: Mapping[str, Any]) -> list[str]:
    return [
        f"{name}, {pool}: at the threshold where {_percent(rate)} of public pairs pass: "
        f"{_told(own)} of own pairs and {_told(public)} of public impostors pass, over about "
        f"{max(part['people']['value'], 0):.0f} people at {part['sites']} sites"
        for pool, part in _parts(figures).items()
        for rate, own, public in zip(part["public_rates"], part["own"], part["public"], strict=True)
    ]


def _parts(figures: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The figures by pool, those of all pools last."""
    together = {"all pools": figures["together"]} if "together" in figures else {}
    return {**figures["pools"], **together}


def _gains(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    lines = []
    for pool in [pool for pool in after if pool in before]:
        told = zip(
            after[pool]["public_rates"], before[pool]["own"], after[pool]["own"], strict=True
        )
        for rate, old, new in told:
            if old is not None and new is not None:
                error = math.hypot(old["error"], new["error"])
                lines.append(
                    f"gain, {pool}: {100 * (new['value'] - old['value']):+.1f} +- "
                    f"{100 * error:.1f} points of own pairs where {_percent(rate)} of public "
                    "pairs pass"
                )
    return lines


def _told(figure: Figure) -> str:
    """Such as "87.3 % +- 2.1 %"."""
    if figure is None:
        return "an unknown share (too few people for the noise)"
    held = min(max(figure["value"], 0.0), 1.0)
    return f"{100 * held:.1f} % +- {100 * figure['error']:.1f} %"


def _percent(rate: float) -> str:
    return f"{100 * rate:g} %"
