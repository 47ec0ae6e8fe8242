"""What a folder holds, finished or not: a run or a sweep, and what is missing of it.

A run that did not end is read as far as every arm was measured on the same people and seeds; what
one arm has and another has not is left out, for a mean over it would compare different people.
"""

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from common.errors import RunError
from simulations.journal import read_lines
from simulations.origin import read_origin
from simulations.pieces import PIECES, SUMMARY, PieceKey, Pieces
from simulations.results import Meta, summarise

SWEEP_LINES, SWEEP_ASKED = "sweep.jsonl", "sweep.toml"
SCHEMA = 1


@dataclass(frozen=True, kw_only=True)
class RunFolder:
    """A run. ``summary`` is None where not one repetition is whole; ``missing`` says why."""

    name: str
    summary: dict[str, Any] | None
    origin: dict[str, Any] | None
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class SweepFolder:
    """A sweep: the lines of its settled points, and how many were asked (None: not known)."""

    name: str
    lines: Sequence[Mapping[str, Any]]
    asked: str
    points: int | None
    origin: dict[str, Any] | None  # of the last point
    missing: tuple[str, ...] = ()


def read_folder(folder: Path) -> RunFolder | SweepFolder:
    """Whatever ``folder`` holds; ``RunError`` says what to do where it is neither run nor sweep."""
    if not folder.is_dir():
        raise RunError(f"there is no folder {folder}; run `mascaron-lab run` or `sweep` first")
    if (folder / SWEEP_LINES).is_file() or (folder / SWEEP_ASKED).is_file():
        return _sweep(folder)
    if (folder / SUMMARY).is_file() or (folder / PIECES).is_dir():
        return _run(folder)
    raise RunError(
        f"{folder} is neither a run ({SUMMARY} or {PIECES}/) nor a sweep ({SWEEP_LINES}); "
        "give the folder named by --out of `mascaron-lab run` or `sweep`"
    )


def _run(folder: Path) -> RunFolder:
    origin = read_origin(folder)
    begun = origin is not None and origin.get("finished") is None
    if (folder / SUMMARY).is_file():
        told = "The run was begun again and has not ended: these are the figures of before."
        return RunFolder(
            name=folder.resolve().name,
            summary=_summary(folder / SUMMARY),
            origin=origin,
            missing=(told,) if begun else (),
        )
    summary, told = _so_far(folder, origin or {})
    return RunFolder(name=folder.resolve().name, summary=summary, origin=origin, missing=(told,))


def _summary(path: Path) -> dict[str, Any]:
    try:
        summary = json.loads(path.read_text("utf-8"))
        if not isinstance(summary, dict) or not isinstance(summary.get("rows"), list):
            raise ValueError("not the summary of a run")
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(f"cannot read {path}: {error}; run the scenario again") from error
    if summary.get("schema") != SCHEMA:
        raise RunError(f"{path} is of schema {summary.get('schema')!r}, not {SCHEMA}")
    return summary


def _so_far(folder: Path, origin: Mapping[str, Any]) -> tuple[dict[str, Any] | None, str]:
    """The summary of the repetitions in which every arm was measured, and what is missing."""
    pieces = Pieces.found(folder / PIECES)
    keys = list(pieces)
    total = origin.get("pieces")
    of_all = f" of {total}" if total else ""
    told = f"This run has not ended: {len(keys)}{of_all} measurements are there. "
    kept = _whole(keys, origin.get("arms"))
    if not kept:
        return None, told + "No repetition is whole yet, so there is nothing to compare."
    meta = Meta(
        scenario=str(origin.get("scenario", folder.resolve().name)),
        entropy=str(origin.get("entropy", "unknown")),
        delta=float(origin.get("delta", 0.0)),
        extra={k: origin[k] for k in ("settings", "cameras", "epsilons", "trunk") if k in origin},
    )
    cells = len({(key.fold, key.seed) for key in kept})
    told += f"The figures are of the {cells} repetitions that are whole, and will move."
    return summarise(pieces, meta, kept), told


def _whole(keys: Sequence[PieceKey], arms: int | None) -> list[PieceKey]:
    """The keys of the largest set of seeds that every fold begun has measured with every arm."""
    cells: dict[tuple[int, int], set[tuple[str, float | None]]] = {}
    for key in keys:
        cells.setdefault((key.fold, key.seed), set()).add((key.row, key.epsilon))
    wanted = arms or max((len(found) for found in cells.values()), default=0)
    whole = {cell for cell, found in cells.items() if len(found) >= wanted}
    most = max((sum(f == fold for f, _ in whole) for fold, _ in whole), default=0)
    folds = {fold for fold, _ in whole if sum(f == fold for f, _ in whole) == most}
    seeds = [{seed for f, seed in whole if f == fold} for fold in folds]
    common = set.intersection(*seeds) if seeds else set()
    return [key for key in keys if key.fold in folds and key.seed in common]


def _sweep(folder: Path) -> SweepFolder:
    lines = read_lines(folder / SWEEP_LINES)
    asked, points = "", None
    if (folder / SWEEP_ASKED).is_file():
        asked = (folder / SWEEP_ASKED).read_text("utf-8", errors="replace")
        points = _points(asked)
    missing: tuple[str, ...] = ()
    if points is not None and len(lines) < points:
        missing = (f"This sweep has not ended: {len(lines)} of {points} points are settled.",)
    keys = [str(line["key"]) for line in lines if line["status"] == "done" and "key" in line]
    origin = read_origin(folder / "points" / keys[-1]) if keys else None
    return SweepFolder(
        name=folder.resolve().name,
        lines=lines,
        asked=asked,
        points=points,
        origin=origin,
        missing=missing,
    )


def _points(asked: str) -> int | None:
    """How many points the text of a sweep asks for; two that are the same count twice."""
    try:
        table = tomllib.loads(asked)
        axes = table.get("axes", {})
        by_hand = len(table.get("point", ()))
        return (prod(len(values) for values in axes.values()) if axes else 0) + by_hand
    except (tomllib.TOMLDecodeError, TypeError, AttributeError):
        return None
