"""Tables say what the summary says, in the form that RFC 4180 describes."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from common.errors import RunError
from simulations.pieces import PIECES, SUMMARY
from simulations.report.export import write_csv


def figures(value: float | None) -> dict[str, Any]:
    ends = None if value is None else [value - 0.1, value + 0.1]
    rates = {"1e-1": value, "1e-2": value, "1e-3": None}
    return {"tar_at_far": rates, "ci95": {"1e-1": ends, "1e-2": ends, "1e-3": None}}


def summary() -> dict[str, Any]:
    per_site = {'hall, "north"': figures(0.5) | {"people": 3, "pairs": 9}}
    rows = [
        {"name": "local", "epsilon": 0.0, **figures(0.5), "per_site": per_site},
        {"name": "private", "epsilon": 8.0, **figures(0.6), "per_site": per_site},
    ]
    rows[1]["fnmr"] = [0.9, None]
    return {
        "schema": 1,
        "scenario": "x",
        "sites": {'hall, "north"': "dark"},
        "rows": rows,
        "gain": {"private": {"8": {"value": 10.0, "ci95": [8.0, 12.0]}}},
        "gain_share": {"private": {"8": None}},
        "fmr_grid": [0.01, 0.1],
    }


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_tables_of_a_run(tmp_path: Path) -> None:
    (tmp_path / SUMMARY).write_text(json.dumps(summary()), "utf-8")
    paths = {path.stem: path for path in write_csv(tmp_path, tmp_path / "out")}
    assert list(paths) == ["rows", "per_site", "gain", "det"]
    rows = read(paths["rows"])
    assert len(rows) == 6
    assert rows[4] == {
        "name": "private",
        "epsilon": "8.0",
        "far": "1e-2",
        "tar": "0.6",
        "low": "0.5",
        "high": "0.7",
    }
    assert rows[5]["tar"] == ""
    assert read(paths["per_site"])[0]["site"] == 'hall, "north"'
    assert read(paths["gain"]) == [
        {
            "name": "private",
            "epsilon": "8",
            "points": "10.0",
            "low": "8.0",
            "high": "12.0",
            "share": "",
            "share_low": "",
            "share_high": "",
        }
    ]
    assert read(paths["det"]) == [
        {"name": "private", "epsilon": "8.0", "fmr": "0.01", "fnmr": "0.9"}
    ]
    content = paths["per_site"].read_bytes()
    assert content.count(b"\r\n") == content.count(b"\n") == 7
    assert b'"hall, ""north"""' in content


def test_table_of_a_sweep_has_a_line_for_every_rate_and_every_skipped_point(tmp_path: Path) -> None:
    done = {
        "schema": 1,
        "key": "a",
        "point": {"people": 5},
        "status": "done",
        "scenario": "x",
        "people": 5,
        "sites": 4,
        "rows": [
            {k: row[k] for k in ("name", "epsilon", "tar_at_far", "ci95")}
            for row in summary()["rows"]
        ],
        "gain": summary()["gain"],
    }
    left = {"schema": 1, "key": "b", "point": {"people": 9}, "status": "skipped", "scenario": "x"}
    text = "".join(json.dumps(one) + "\n" for one in (done, left | {"reason": "too few"}))
    (tmp_path / "sweep.jsonl").write_text(text, "utf-8")
    (path,) = write_csv(tmp_path, tmp_path / "out")
    rows = read(path)
    assert len(rows) == 7
    assert (rows[0]["axis_people"], rows[0]["name"], rows[0]["points"]) == ("5", "local", "")
    assert (rows[4]["epsilon"], rows[4]["points"], rows[4]["points_high"]) == (
        "8.0",
        "10.0",
        "12.0",
    )
    assert (rows[6]["status"], rows[6]["reason"], rows[6]["tar"]) == ("skipped", "too few", "")


def test_run_without_figures_has_no_tables(tmp_path: Path) -> None:
    (tmp_path / PIECES).mkdir()
    (tmp_path / PIECES / "run.json").write_text('{"run": "x"}', "utf-8")
    with pytest.raises(RunError, match="has no figures yet"):
        write_csv(tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()
