"""The cells of a paid evaluation: what one person adds, how much that can be, and rates again.

For m thresholds a person adds 2 m + 2 numbers, none of them larger than one half:

- m *own* cells: at each threshold, the share of the person's own pairs of pictures that reach it,
  less one half; zero for a person with one picture, who has no pairs;
- m *public* cells: the share of (own picture, public impostor) pairs that reach it, less one half;
- one half in the *paired* cell for a person with two pictures or more, else in the *single* one.

Shares lie in [0, 1], so that centring them at one half is what makes them smallest in the worst
case; the counts that give the halves back are released beside them. Counting people with one
picture apart, rather than everybody, spares a cell: nobody is in both. The factor of one half at
the counts is within a hundredth of the best for the error of a rate near 0.9.

**Sensitivity.** A person with pairs has m own and m public cells of at most 1/2 in size and one
count cell of exactly 1/2; a person without has m public ones and one count cell. So the squared L2
norm of a vector is at most (2 m + 1) / 4, and adding or removing a person moves the sum by that
person's vector: ``sensitivity`` = sqrt(2 m + 1) / 2. It is attained where all shares are 0 or 1.
Released as plain shares and counts the same cells would have sqrt(2 m + 2), more than twice it.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

MOST_THRESHOLDS = 8
HALF = 0.5
CLEAR = 3.0  # standard errors that a count must be above nothing for a rate to say anything

Doubles = NDArray[np.float64]


def cells_of(thresholds: int) -> int:
    """How many numbers a person adds."""
    return 2 * thresholds + 2


def sensitivity(thresholds: int) -> float:
    """The largest L2 norm of one person's cells; the docstring above has the proof."""
    return HALF * math.sqrt(2 * thresholds + 1)


def person_cells(own: ArrayLike | None, public: ArrayLike) -> Doubles:
    """The cells (2 m + 2,) of a person with shares ``own`` (m,), None without pairs, and
    ``public`` (m,). Guarantee: for shares in [0, 1] no longer than ``sensitivity``."""
    passed = np.asarray(public, np.float64)
    cells = np.zeros(cells_of(len(passed)))
    cells[len(passed) : -2] = passed - HALF
    if own is None:
        cells[-1] = HALF
    else:
        cells[: len(passed)] = np.asarray(own, np.float64) - HALF
        cells[-2] = HALF
    return cells


@dataclass(frozen=True, slots=True)
class Rate:
    """A figure, and the standard error that noise alone gives it."""

    value: float
    error: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Rates:
    """What a noised sum of cells says. ``own`` and ``public`` have a rate a threshold, None where
    the count they are divided by is lost in the noise; not held to [0, 1], so that they can be
    averaged."""

    people: Rate
    paired: Rate  # of them, those with two pictures or more
    own: tuple[Rate | None, ...]  # share of own pairs at or above the threshold: TAR
    public: tuple[Rate | None, ...]  # share of public impostors that pass


def rates(total: ArrayLike, deviation: float) -> Rates:
    """The rates of a sum of cells (2 m + 2,) with noise of ``deviation`` in each. Post-processing.

    Errors by the delta method; a person counts the same whatever the number of pictures.
    """
    sums = np.asarray(total, np.float64)
    thresholds = (len(sums) - 2) // 2
    paired = Rate(2 * float(sums[-2]), 2 * deviation)
    everybody = Rate(2 * float(sums[-2] + sums[-1]), 2 * math.sqrt(2) * deviation)
    return Rates(
        people=everybody,
        paired=paired,
        own=tuple(_rate(cell, paired, deviation) for cell in sums[:thresholds]),
        public=tuple(_rate(cell, everybody, deviation) for cell in sums[thresholds:-2]),
    )


def expected_error(people: float, deviation: float) -> float:
    """The error that noise gives an own rate of 0 or 1, the worst case, over ``people``."""
    return math.sqrt(2) * deviation / people


def _rate(cell: float, count: Rate, deviation: float) -> Rate | None:
    """``cell`` / count + 1/2: error of the cell, and of the count times how far off 1/2 it is."""
    if not count.value > max(CLEAR * count.error, 0.0):
        return None
    centred = float(cell) / count.value
    held = min(max(centred, -HALF), HALF)
    return Rate(HALF + centred, math.hypot(deviation, held * count.error) / count.value)
