"""The summary of a run: every arm side by side, what was gained over `local`, and how surely.

``summary.json``, schema 1. A rate is the mean over sites, folds and seeds; its interval covers
other report people (bootstrap by person) and other seeds. Null where FAR x impostor pairs < 10.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.errors import RunError
from common.metrics.repeats import Measured
from common.metrics.verification import FARS
from simulations.notes import bytes_of, people_of, rounds_of, spent_of
from simulations.pieces import FMR_GRID, Piece, PieceKey, Pieces, epsilon_key

FAR_KEYS = ("1e-1", "1e-2", "1e-3")  # of FARS
GAIN_AT = FAR_KEYS.index("1e-2")
POINTS = 100  # a gain of 0.025 is 2.5 points
LEAST_ROOM = 2  # standard errors of (upper_bound - local) below which no share is given
ROWS = (
    "base",
    "public",
    "panel",
    "local",
    "private",
    "private_secagg",
    "nonprivate",
    "upper_bound",
)

Arm = tuple[str, float | None]  # row name, epsilon
Cell = tuple[int, int]  # fold, seed


@dataclass(frozen=True, kw_only=True, slots=True)
class Meta:
    """What the pieces do not say. ``extra`` joins the top level of the summary as it is."""

    scenario: str
    entropy: str  # "seeded" carries no privacy claim
    delta: float
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False, slots=True)
class _Rates:
    """TAR of one arm at one FAR (or a difference of two) in K cells at S sites, NaN: no estimate.

    The K cells are folds x seeds, all seeds of a fold side by side.
    """

    folds: int
    tar: NDArray[np.floating]  # (K, S)
    draws: NDArray[np.floating]  # (K, S, B)

    def at(self, site: int) -> "_Rates":
        """One site alone."""
        return _Rates(self.folds, self.tar[:, [site]], self.draws[:, [site]])

    def minus(self, other: "_Rates", share: float = 1.0) -> "_Rates":
        """This minus ``share`` of ``other``, cell by cell and draw by draw: paired."""
        draws = self.draws - np.float32(share) * other.draws
        return _Rates(self.folds, self.tar - share * other.tar, draws)

    def mean(self) -> Measured | None:
        """Over the sites that have an estimate in every cell; ``None`` where no site has."""
        kept = np.isfinite(self.tar).all(axis=0)
        if not kept.any():
            return None
        grid = self.folds, len(self.tar) // self.folds
        tar = self.tar[:, kept].mean(axis=1, dtype=np.float64)
        draws = self.draws[:, kept].mean(axis=1, dtype=np.float64)
        return Measured.of(tar.reshape(grid), draws.reshape(*grid, -1))


def summarise(pieces: Pieces, meta: Meta, keys: Iterable[PieceKey] | None = None) -> dict[str, Any]:
    """The summary of ``keys``, or of everything in ``pieces``.

    Raises ``RunError`` where arms were not measured on the same folds, seeds and sites, or no
    piece is there: a mean over what happens to be finished would compare different people.
    """
    arms, cells = _arms(pieces.folder, pieces if keys is None else keys)
    rows: list[dict[str, Any]] = []
    spent: dict[str, dict[str, float]] = {}
    at_gain: dict[Arm, _Rates] = {}
    sites: dict[str, str] = {}
    noted: dict[str, Any] = {}
    for arm in arms:
        found = [pieces.read(PieceKey(*cell, *arm)) for cell in cells]
        sites = sites or dict(zip(found[0].sites, found[0].camera_types, strict=True))
        rates = _rates(found, tuple(sites), folds=len({fold for fold, _ in cells}))
        rows.append(_row(arm, rates, found))
        at_gain[arm] = rates[GAIN_AT]
        _add_spent(spent, arm, found)
        _add_notes(noted, arm, found)
    gain, share = _gains(at_gain)
    return {
        "schema": 1,
        "scenario": meta.scenario,
        "seeds": len({seed for _, seed in cells}),
        "folds": len({fold for fold, _ in cells}),
        "entropy": meta.entropy,
        "delta": meta.delta,
        "sites": sites,
        "rows": rows,
        "gain": gain,
        "gain_share": share,
        "gain_by_fold": _gains_by_fold(at_gain, sorted({fold for fold, _ in cells})),
        "gain_by_seed": _gains_by_seed(at_gain, len({fold for fold, _ in cells})),
        "epsilon_spent": spent,
        "fmr_grid": list(FMR_GRID),
        **noted,
    } | dict(meta.extra)


def _arms(folder: Path, keys: Iterable[PieceKey]) -> tuple[list[Arm], list[Cell]]:
    """The arms in the order of the table, and the cells that every one of them must have."""
    cells: dict[Arm, set[Cell]] = {}
    for key in keys:
        cells.setdefault((key.row, key.epsilon), set()).add((key.fold, key.seed))
    if not cells:
        raise RunError(f"{folder}: nothing was measured yet")
    every = set().union(*cells.values())
    grid = {(fold, seed) for fold, _ in every for _, seed in every}
    for (row, epsilon), present in cells.items():
        if present != grid:
            fold, seed = min(grid - present)
            raise RunError(
                f"{folder}: row {row!r}, epsilon {epsilon_key(epsilon)}, has no piece for "
                f"fold {fold}, seed {seed}; finish the run first"
            )
    return sorted(cells, key=_place), sorted(grid)


def _place(arm: Arm) -> tuple[int, str, float]:
    row, epsilon = arm
    known = ROWS.index(row) if row in ROWS else len(ROWS)
    return known, row, -(epsilon or 0)


def _rates(found: list[Piece], sites: tuple[str, ...], folds: int) -> list[_Rates]:
    """The pieces of one arm, stacked: one ``_Rates`` for each of ``FARS``."""
    shape = found[0].draws.shape
    for piece in found:
        if piece.sites != sites or piece.draws.shape != shape:
            raise RunError("pieces of one run differ in their sites or their number of resamples")
    tar = np.stack([piece.tar for piece in found])  # (K, S, F)
    draws = np.stack([piece.draws for piece in found])  # (K, S, F, B)
    return [_Rates(folds, tar[:, :, far], draws[:, :, far]) for far in range(len(FARS))]


def _row(arm: Arm, rates: list[_Rates], found: list[Piece]) -> dict[str, Any]:
    per_site = {}
    folds = found[:: len(found) // rates[0].folds]  # one seed of each: all have the same people
    for index, site in enumerate(found[0].sites):
        per_site[site] = _figures([one.at(index).mean() for one in rates]) | {
            "people": sum(piece.people[index] for piece in folds),
            "pairs": sum(piece.pairs[index] for piece in folds),
        }
    figures = _figures([one.mean() for one in rates])
    row = {"name": arm[0], "epsilon": arm[1]} | figures | {"per_site": per_site}
    return row | _det(found)


def _det(found: list[Piece]) -> dict[str, Any]:
    """FNMR at each rate of ``FMR_GRID``, a mean like the TAR; nothing where a piece has none."""
    curves = [piece.fnmr for piece in found if piece.fnmr is not None]
    if len(curves) < len(found):
        return {}
    told: list[float | None] = []
    for rate in np.stack(curves).astype(np.float64).transpose(2, 0, 1):  # (K, S)
        kept = np.isfinite(rate).all(axis=0)
        told.append(_round(rate[:, kept].mean()) if kept.any() else None)
    return {"fnmr": told}


def _figures(measured: list[Measured | None]) -> dict[str, Any]:
    pairs = list(zip(FAR_KEYS, measured, strict=True))
    return {
        "tar_at_far": {key: None if one is None else _round(one.value) for key, one in pairs},
        "ci95": {
            key: None if one is None else [_round(min(max(end, 0), 1)) for end in one.interval()]
            for key, one in pairs
        },
    }


def _add_spent(spent: dict[str, dict[str, float]], arm: Arm, found: list[Piece]) -> None:
    """Each fold and seed has a fresh ledger; the largest figure any of them reached is shown."""
    for piece in found:
        known = spent_of(piece)
        if not known or arm[1] is None:
            continue
        of_sites = spent.setdefault(epsilon_key(arm[1]), {})
        for site, epsilon in known.items():
            of_sites[site] = max(of_sites.get(site, 0.0), epsilon)


def _add_notes(noted: dict[str, Any], arm: Arm, found: list[Piece]) -> None:
    """``bytes`` and ``rounds`` by row and epsilon; ``training_people`` are the same for all."""
    told = {"bytes": bytes_of(found), "rounds": rounds_of(found)}
    for key, value in told.items():
        if value is not None:
            noted.setdefault(key, {}).setdefault(arm[0], {})[epsilon_key(arm[1])] = value
    people = people_of(found)
    if people is not None:
        noted["training_people"] = people


def _gains(rates: dict[Arm, _Rates]) -> tuple[dict[str, Any], dict[str, Any]]:
    """``gain`` and ``gain_share`` of every row with a finite, positive epsilon."""
    by_name = {row: one for (row, _), one in rates.items()}
    gain: dict[str, Any] = {}
    share: dict[str, Any] = {}
    if "local" not in by_name:
        return gain, share
    local = by_name["local"]
    room = by_name["upper_bound"].minus(local) if "upper_bound" in by_name else None
    for (row, epsilon), one in rates.items():
        if not epsilon:
            continue
        margin = one.minus(local)
        key = epsilon_key(epsilon)
        gain.setdefault(row, {})[key] = _points(margin.mean())
        share.setdefault(row, {})[key] = _share(margin, room)
    return gain, share


def _gains_by_fold(rates: dict[Arm, _Rates], folds: list[int]) -> dict[str, Any]:
    """Points over `local` in each fold alone: other people, so a check on the whole."""
    local = next((one for (row, _), one in rates.items() if row == "local"), None)
    told: dict[str, Any] = {}
    for (row, epsilon), one in rates.items():
        if local is not None and epsilon:
            margins = one.minus(local).tar.reshape(len(folds), -1)
            told.setdefault(row, {})[epsilon_key(epsilon)] = {
                str(fold): _finite_mean(margin) for fold, margin in zip(folds, margins, strict=True)
            }
    return told


def _gains_by_seed(rates: dict[Arm, _Rates], folds: int) -> dict[str, Any]:
    """Points over `local` under each seed alone: other dealings and other noise."""
    local = next((one for (row, _), one in rates.items() if row == "local"), None)
    told: dict[str, Any] = {}
    for (row, epsilon), one in rates.items():
        if local is not None and epsilon:
            margins = one.minus(local).tar.reshape(folds, -1, one.tar.shape[1])  # (F, seeds, S)
            by_seed = [_finite_mean(margins[:, seed]) for seed in range(margins.shape[1])]
            told.setdefault(row, {})[epsilon_key(epsilon)] = by_seed
    return told


def _finite_mean(margin: NDArray[np.floating]) -> float | None:
    """In points; None where no site has an estimate."""
    known = margin[np.isfinite(margin)]
    return _round(POINTS * float(known.mean())) if len(known) else None


def _points(measured: Measured | None) -> dict[str, Any] | None:
    if measured is None:
        return None
    ends = [_round(POINTS * end) for end in measured.interval()]
    return {"value": _round(POINTS * measured.value), "ci95": ends}


def _share(margin: _Rates, room: _Rates | None) -> dict[str, Any] | None:
    """margin / room with a delta-method interval; ``None`` where the room may be nothing."""
    whole = room.mean() if room else None
    gained = margin.mean()
    if room is None or whole is None or gained is None:
        return None
    if whole.value <= LEAST_ROOM * whole.standard_error:
        return None
    value = gained.value / whole.value
    doubt = margin.minus(room, share=value).mean()  # 0 on average; its spread is the ratio's
    assert doubt is not None
    ends = [_round(value + end / whole.value) for end in doubt.interval()]
    return {"value": _round(value), "ci95": ends}


def _round(value: float) -> float:
    return round(float(value), 6)
