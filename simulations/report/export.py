"""The figures of a folder as CSV (RFC 4180, each with a header), for whoever draws their own."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from common.errors import RunError
from simulations.pieces import write_whole
from simulations.report.reading import RunFolder, SweepFolder, read_folder
from simulations.results import FAR_KEYS

Cells = Sequence[Any]
Table = tuple[Cells, Iterable[Cells]]
RATE = ("far", "tar", "low", "high")


def write_csv(folder: Path, out: Path) -> list[Path]:
    """Writes the tables of the run or sweep in ``folder`` into ``out``; returns their paths.

    Raises ``RunError`` where there is nothing to write, or no place to write it.
    """
    found = read_folder(folder)
    tables = _of_sweep(found) if isinstance(found, SweepFolder) else _of_run(found, folder)
    paths = []
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, (header, rows) in tables.items():
            paths.append(out / f"{name}.csv")
            write_whole(paths[-1], _text(header, rows).encode())
    except OSError as error:
        raise RunError(f"cannot write into {out}: {error.strerror}") from error
    return paths


def _of_run(run: RunFolder, folder: Path) -> dict[str, Table]:
    summary = run.summary
    if summary is None:
        raise RunError(f"{folder} has no figures yet; let the run go on first")
    tables: dict[str, Table] = {
        "rows": (("name", "epsilon", *RATE), _rows(summary)),
        "per_site": (
            ("name", "epsilon", "site", "camera_type", *RATE, "people", "pairs"),
            _per_site(summary),
        ),
        "gain": (
            ("name", "epsilon", "points", "low", "high", "share", "share_low", "share_high"),
            _gain(summary),
        ),
    }
    if any(row.get("fnmr") for row in summary["rows"]):
        tables["det"] = (("name", "epsilon", "fmr", "fnmr"), _det(summary))
    return tables


def _rows(summary: Mapping[str, Any]) -> Iterator[Cells]:
    for row in summary["rows"]:
        for rate in _rates(row):
            yield row["name"], row["epsilon"], *rate


def _per_site(summary: Mapping[str, Any]) -> Iterator[Cells]:
    for row in summary["rows"]:
        for site, told in row["per_site"].items():
            kind = summary["sites"].get(site)
            for rate in _rates(told):
                beside = told["people"], told["pairs"]
                yield row["name"], row["epsilon"], site, kind, *rate, *beside


def _gain(summary: Mapping[str, Any]) -> Iterator[Cells]:
    shares = summary.get("gain_share", {})
    for name, by_epsilon in summary.get("gain", {}).items():
        for epsilon, gain in by_epsilon.items():
            share = shares.get(name, {}).get(epsilon)
            yield name, epsilon, *_estimate(gain), *_estimate(share)


def _det(summary: Mapping[str, Any]) -> Iterator[Cells]:
    for row in summary["rows"]:
        for fmr, fnmr in zip(summary["fmr_grid"], row.get("fnmr", ()), strict=False):
            if fnmr is not None:
                yield row["name"], row["epsilon"], fmr, fnmr


def _of_sweep(sweep: SweepFolder) -> dict[str, Table]:
    axes = list(dict.fromkeys(key for line in sweep.lines for key in line["point"]))
    header = [
        *(f"axis_{axis}" for axis in axes),
        *("status", "reason", "people", "sites", "name", "epsilon", *RATE),
        *("points", "points_low", "points_high"),
    ]
    return {"points": (header, _points(sweep, axes))}


def _points(sweep: SweepFolder, axes: Sequence[str]) -> Iterator[Cells]:
    for line in sweep.lines:
        place = [line["point"].get(axis) for axis in axes]
        place += [line["status"], line.get("reason"), line.get("people"), line.get("sites")]
        if line["status"] != "done":
            yield *place, *[None] * 9
        for row in line.get("rows", ()):
            key = "none" if row["epsilon"] is None else f"{row['epsilon']:.12g}"
            gain = line.get("gain", {}).get(row["name"], {}).get(key)
            for rate in _rates(row):
                yield *place, row["name"], row["epsilon"], *rate, *_estimate(gain)


def _rates(told: Mapping[str, Any]) -> Iterator[Cells]:
    for far in FAR_KEYS:
        low, high = told["ci95"].get(far) or (None, None)
        yield far, told["tar_at_far"].get(far), low, high


def _estimate(told: Mapping[str, Any] | None) -> Cells:
    return (told["value"], *told["ci95"]) if told else (None, None, None)


def _text(header: Cells, rows: Iterable[Cells]) -> str:
    text = io.StringIO()
    writer = csv.writer(text)  # lines end in CRLF, quotes where needed: RFC 4180
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()
