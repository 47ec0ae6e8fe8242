"""Two runs, or two arms of one, side by side: how far apart, and how surely.

A difference is paired where it can be: the same report people redrawn the same way, the same folds
and the same seeds. Then what both have in common cancels. Otherwise the two intervals are joined as
the sides of a right angle (Zou & Donner 2008, Statistics in Medicine 27), and the reason is told.
"""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.errors import ConfigError, RunError
from common.metrics.repeats import Measured
from simulations.journal import JOURNAL
from simulations.pieces import PIECES, SUMMARY, Piece, PieceKey, Pieces, epsilon_key
from simulations.results import FAR_KEYS, POINTS

Arm = tuple[str, float | None]  # row name, epsilon
Interval = tuple[float, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """Which arms to compare: ``row`` of B with ``against`` of A; None: the same as the other."""

    row: str | None = None
    epsilon: float | None = None
    against: str | None = None
    against_epsilon: float | None = None

    def __post_init__(self) -> None:
        if self.row is None and (self.against, self.epsilon, self.against_epsilon) != (None,) * 3:
            raise ConfigError("--epsilon and --against belong to a --row")


@dataclass(frozen=True, eq=False, slots=True)
class Finished:
    """A run folder that is complete: its summary and its pieces."""

    folder: Path
    summary: Mapping[str, Any]
    pieces: Pieces

    @property
    def arms(self) -> list[Arm]:
        """In the order of the summary."""
        return [(row["name"], row["epsilon"]) for row in self.summary["rows"]]

    @property
    def report_folds(self) -> dict[int, list[int]]:
        """Which folds' people each fold of the pieces reports on; empty lists: as declared."""
        turns = self.summary.get("turns") or []
        told = {min(turn["report"]): list(turn["report"]) for turn in turns}
        return told or {number: [] for number in range(self.summary["folds"])}

    def arm(self, row: str, epsilon: float | None) -> Arm:
        """The arm called ``row``, at ``epsilon`` where it was measured at one."""
        found = [arm for arm in self.arms if arm[0] == row]
        exact = [arm for arm in found if epsilon in (None, arm[1]) or not arm[1]]
        if len(exact) == 1:
            return exact[0]
        known = ", ".join(dict.fromkeys(name for name, _ in self.arms))
        if not found:
            raise RunError(f"{self.folder} has no row {row!r}; it has {known}")
        there = ", ".join(epsilon_key(arm[1]) for arm in found)
        raise RunError(f"{self.folder} has row {row!r} at epsilon {there}: name one of them")


def open_run(folder: Path) -> Finished:
    """The finished run in ``folder``; ``RunError`` where there is none, or it is not finished."""
    path = folder / SUMMARY
    if (folder / JOURNAL).is_file():
        raise RunError(f"{folder} holds a sweep: name one of the run folders in its points/")
    if not path.is_file():
        begun = (folder / PIECES).is_dir()
        told = (
            "the run is not finished; the command that made it goes on"
            if begun
            else "give the folder named by --out of `mascaron-lab run`"
        )
        raise RunError(f"{folder} has no {SUMMARY}: {told}")
    try:
        summary = json.loads(path.read_text("utf-8"))
        if summary["schema"] != 1 or not summary["rows"]:
            raise ValueError("not a summary of schema 1")
        mark = json.loads((folder / PIECES / "run.json").read_text("utf-8"))
        return Finished(folder, summary, Pieces(folder / PIECES, str(mark["run"])))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(
            f"cannot read the run in {folder} ({type(error).__name__}); run the scenario again"
        ) from error


def compare(a: Finished, b: Finished, choice: Choice) -> dict[str, Any]:
    """What ``b`` gained over ``a``, in points of TAR at the three rates.

    ``{"schema": 1, "a", "b", "paired", "why_not", "folds", "seeds", "rows": [{"name", "epsilon",
    "against": {"name", "epsilon"}, "difference": {far: {"value", "ci95"} | None}}]}``.
    """
    why_not = _why_not_paired(a, b)
    shared = _shared_folds(a, b)
    folds = shared if why_not is None else sorted(b.report_folds)
    seeds = min(a.summary["seeds"], b.summary["seeds"])
    rows = []
    for mine, other in _chosen(a, b, choice):
        told = {"name": mine[0], "epsilon": mine[1]}
        against = {"name": other[0], "epsilon": other[1]}
        if why_not is None:
            cells = [(fold, seed) for fold in folds for seed in range(seeds)]
            found = _paired(_read(a, other, cells), _read(b, mine, cells), len(folds))
        else:
            found = _unpaired(_own(a, other), _own(b, mine))
        rows.append({**told, "against": against, "difference": found})
    return {
        "schema": 1,
        "a": str(a.folder),
        "b": str(b.folder),
        "paired": why_not is None,
        "why_not": why_not,
        "folds": folds,
        "seeds": seeds if why_not is None else [a.summary["seeds"], b.summary["seeds"]],
        "rows": rows,
    }


def _why_not_paired(a: Finished, b: Finished) -> str | None:
    """None where resamples of A and of B redraw the same people the same way."""
    if not a.summary.get("judges") or not b.summary.get("judges"):
        return "a run does not say who reported in it"
    if a.summary["judges"] != b.summary["judges"]:
        return "the runs were judged by other people"
    if a.summary["draws"] != b.summary["draws"]:
        return f"people were redrawn {a.summary['draws']} and {b.summary['draws']} times"
    if not _shared_folds(a, b):
        return "the runs report on other folds"
    return None


def _shared_folds(a: Finished, b: Finished) -> list[int]:
    """Folds whose report people, and so whose resamples, are the same in both."""
    theirs = a.report_folds
    return sorted(f for f, people in b.report_folds.items() if theirs.get(f) == people)


def _chosen(a: Finished, b: Finished, choice: Choice) -> list[tuple[Arm, Arm]]:
    """Pairs of arms, of B and of A."""
    if choice.row is None:
        common = [arm for arm in b.arms if arm in a.arms]
        if not common:
            raise RunError("the runs have no arm in common: name a --row and --against")
        return [(arm, arm) for arm in common]
    mine = b.arm(choice.row, choice.epsilon)
    named = choice.against or choice.row
    epsilon = choice.epsilon if choice.against_epsilon is None else choice.against_epsilon
    return [(mine, a.arm(named, epsilon))]


def _read(run: Finished, arm: Arm, cells: Iterable[tuple[int, int]]) -> list[Piece]:
    return [run.pieces.read(PieceKey(fold, seed, *arm)) for fold, seed in cells]


def _own(run: Finished, arm: Arm) -> list[Measured | None]:
    """One arm of one run at every rate, over all its folds and seeds."""
    folds = sorted(run.report_folds)
    cells = [(fold, seed) for fold in folds for seed in range(run.summary["seeds"])]
    pieces = _read(run, arm, cells)
    kept = _sites(pieces)
    return [_measured(*_mean(pieces, far, kept[far]), len(folds)) for far in range(len(FAR_KEYS))]


def _paired(a: list[Piece], b: list[Piece], folds: int) -> dict[str, Any]:
    """Cell by cell and resample by resample; over the same sites where both have the same."""
    kept_a, kept_b = _sites(a), _sites(b)
    if a[0].sites == b[0].sites:
        kept_a = kept_b = kept_a & kept_b
    told: dict[str, Any] = {}
    for far, key in enumerate(FAR_KEYS):
        (tar, draws), (tar_b, draws_b) = _mean(a, far, kept_a[far]), _mean(b, far, kept_b[far])
        measured = _measured(tar_b - tar, draws_b - draws, folds)
        told[key] = None if measured is None else _points(measured.value, measured.interval())
    return told


def _unpaired(a: list[Measured | None], b: list[Measured | None]) -> dict[str, Any]:
    """From the two values and the reach of their own intervals."""
    told: dict[str, Any] = {}
    for key, one, two in zip(FAR_KEYS, a, b, strict=True):
        if one is None or two is None:
            told[key] = None
            continue
        (low, high), (low_b, high_b) = one.interval(), two.interval()
        value = two.value - one.value
        down = math.hypot(two.value - low_b, high - one.value)
        up = math.hypot(high_b - two.value, one.value - low)
        told[key] = _points(value, (value - down, value + up))
    return told


def _sites(pieces: list[Piece]) -> NDArray[np.bool_]:
    """Sites with an estimate in every cell, by rate: (F, S)."""
    tar = np.stack([piece.tar for piece in pieces])  # (K, S, F)
    return np.asarray(np.isfinite(tar).all(axis=0).T)


def _mean(
    pieces: list[Piece], far: int, kept: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """TAR (K,) and resamples (K, B) over the ``kept`` sites (S,); NaN where there are none."""
    if not kept.any():
        return np.full(len(pieces), np.nan), np.full(
            (len(pieces), pieces[0].draws.shape[2]), np.nan
        )
    tar = np.array([piece.tar[kept, far].mean() for piece in pieces])
    draws = np.array([piece.draws[kept, far].mean(axis=0, dtype=np.float64) for piece in pieces])
    return tar, draws


def _measured(tar: NDArray[np.float64], draws: NDArray[np.float64], folds: int) -> Measured | None:
    """Of K cells, all seeds of a fold side by side; None where some cell has no estimate."""
    if not np.isfinite(tar).all():
        return None
    grid = folds, len(tar) // folds
    return Measured.of(tar.reshape(grid), draws.reshape(*grid, -1))


def _points(value: float, ends: Interval) -> dict[str, Any]:
    low, high = (round(POINTS * float(end), 4) for end in ends)
    return {"value": round(POINTS * float(value), 4), "ci95": [low, high]}
