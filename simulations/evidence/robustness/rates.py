"""Shares with their intervals, as figures of a section."""

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

_Z = 1.959963985  # two-sided, 95 %


def share(outcomes: ArrayLike, digits: int = 4) -> dict[str, Any] | None:
    """{value, ci95, n} of outcomes (n,), by Wilson 1927; ``None`` of nothing.

    Rows are taken as independent, which they are as far as no two share both people.
    """
    told = np.asarray(outcomes, np.float64)
    count = len(told)
    if not count:
        return None
    value = float(told.mean())
    wide = 1 + _Z**2 / count
    middle = (value + _Z**2 / (2 * count)) / wide
    half = _Z / wide * math.sqrt(value * (1 - value) / count + _Z**2 / (4 * count**2))
    ends = [round(max(middle - half, 0.0), digits), round(min(middle + half, 1.0), digits)]
    return {"value": round(value, digits), "ci95": ends, "n": count}
