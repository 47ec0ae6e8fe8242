"""Differences are paired where the same people judged, and said to be unpaired where not."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from common.errors import ConfigError, RunError
from simulations.compare import Choice, compare, open_run
from simulations.pieces import Piece, PieceKey, Pieces, write_json
from simulations.results import Meta, summarise

SITES, DRAWS = ("site-0", "site-1"), 200
ARMS: tuple[tuple[str, float | None], ...] = (("local", 0.0), ("private", 8.0), ("private", 2.0))


def run_of(folder: Path, lift: float = 0.0, **changes: Any) -> Path:
    """A finished run whose TAR is ``lift`` above 0.5; the same noise in every resample of a fold.

    ``changes``: seeds, folds, judges, draws, people (a seed of who reports), none (a site without
    an estimate).
    """
    told: dict[str, Any] = {
        "seeds": 2,
        "folds": (5, 6),
        "judges": "one",
        "draws": DRAWS,
        "people": 0,
    }
    told |= changes
    pieces = Pieces(folder / "pieces", "run")
    for fold in told["folds"]:
        shake = np.random.default_rng([fold, told["people"]]).normal(0, 0.05, told["draws"])
        for seed in range(told["seeds"]):
            own = 0.001 * np.random.default_rng([fold, seed, 7]).standard_normal()
            for number, arm in enumerate(ARMS):
                tar = np.full((len(SITES), 3), 0.5 + lift + 0.1 * number + own)
                tar[:, 2] = np.nan
                if told.get("none"):
                    tar[1] = np.nan
                piece = Piece(
                    sites=SITES,
                    camera_types=("a", "a"),
                    tar=tar,
                    draws=tar[..., None] + shake,
                    people=(10, 10),
                    pairs=(100, 100),
                )
                pieces.write(PieceKey(fold, seed, *arm), piece)
    turns = [{"train": [1], "choose": [], "report": [fold]} for fold in told["folds"]]
    extra = {"turns": turns, "judges": told["judges"], "draws": told["draws"]}
    meta = Meta(scenario="s", entropy="seeded", delta=1e-4, extra=extra)
    write_json(summarise(pieces, meta), folder / "summary.json")
    return folder


def compared(a: Path, b: Path, **choice: Any) -> dict[str, Any]:
    return compare(open_run(a), open_run(b), Choice(**choice))


def test_what_two_runs_have_in_common_cancels_where_people_are_the_same(tmp_path: Path) -> None:
    found = compared(run_of(tmp_path / "a"), run_of(tmp_path / "b", lift=0.02))
    assert (found["paired"], found["why_not"]) == (True, None)
    assert (found["folds"], found["seeds"]) == ([5, 6], 2)
    assert [(row["name"], row["epsilon"]) for row in found["rows"]] == [
        *(("local", 0.0), ("private", 8.0), ("private", 2.0)),
    ]
    for row in found["rows"]:
        difference = row["difference"]["1e-2"]
        assert difference["value"] == pytest.approx(2.0, abs=1e-3)
        low, high = difference["ci95"]
        assert high - low < 0.2  # the resamples are the same, but for their rounding
        assert row["difference"]["1e-3"] is None


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        ({"judges": "two", "people": 1}, "judged by other people"),
        ({"judges": ""}, "does not say who reported"),
        ({"draws": 100}, "redrawn 200 and 100 times"),
        ({"folds": (7, 8)}, "report on other folds"),
    ],
)
def test_runs_that_cannot_be_paired_say_why_and_have_wide_intervals(
    tmp_path: Path, other: dict[str, Any], reason: str
) -> None:
    a, b = run_of(tmp_path / "a"), run_of(tmp_path / "b", lift=0.02, **other)
    found = compared(a, b)
    assert found["paired"] is False
    assert reason in found["why_not"]
    difference = found["rows"][0]["difference"]["1e-2"]
    assert difference["value"] == pytest.approx(2.0, abs=0.3)
    low, high = difference["ci95"]
    # each run: a spread of 5 points over the mean of two folds, 1.96 of it on each side
    assert high - low == pytest.approx(2 * 1.96 * 5 / np.sqrt(2) * np.sqrt(2), rel=0.25)


def test_only_the_folds_and_seeds_that_both_have_are_paired(tmp_path: Path) -> None:
    a = run_of(tmp_path / "a", seeds=3, folds=(4, 5))
    found = compared(a, run_of(tmp_path / "b", lift=0.02))
    assert (found["paired"], found["folds"], found["seeds"]) == (True, [5], 2)
    assert found["rows"][0]["difference"]["1e-2"]["value"] == pytest.approx(2.0, abs=1e-3)


def test_two_rows_of_one_run_differ_by_what_the_summary_calls_the_gain(tmp_path: Path) -> None:
    folder = run_of(tmp_path / "a")
    gain = json.loads((folder / "summary.json").read_text("utf-8"))["gain"]["private"]
    for key, epsilon in (("8", 8.0), ("2", 2.0)):
        found = compared(folder, folder, row="private", epsilon=epsilon, against="local")
        (row,) = found["rows"]
        assert row["against"] == {"name": "local", "epsilon": 0.0}
        assert row["difference"]["1e-2"]["value"] == pytest.approx(gain[key]["value"], abs=1e-3)
        assert row["difference"]["1e-2"]["ci95"] == pytest.approx(gain[key]["ci95"], abs=1e-3)


def test_one_arm_at_two_epsilons(tmp_path: Path) -> None:
    folder = run_of(tmp_path / "a")
    found = compared(folder, folder, row="private", epsilon=2.0, against_epsilon=8.0)
    assert found["rows"][0]["difference"]["1e-1"]["value"] == pytest.approx(10.0, abs=1e-2)


def test_a_site_without_an_estimate_in_one_run_counts_in_neither(tmp_path: Path) -> None:
    a, b = run_of(tmp_path / "a", none=True), run_of(tmp_path / "b", lift=0.02)
    for found in (compared(a, b), compared(b, a)):
        value = found["rows"][0]["difference"]["1e-2"]["value"]
        assert abs(value) == pytest.approx(2.0, abs=1e-3)


def test_a_run_that_is_not_finished_is_told_from_none_at_all(tmp_path: Path) -> None:
    folder = run_of(tmp_path / "a")
    (folder / "summary.json").unlink()
    with pytest.raises(RunError, match="not finished"):
        open_run(folder)
    with pytest.raises(RunError, match=r"no summary\.json: give the folder named by --out"):
        open_run(tmp_path / "nowhere")


@pytest.mark.parametrize("content", ["{", "[]", '{"schema": 2, "rows": [1]}', '{"schema": 1}'])
def test_a_summary_that_cannot_be_read_is_told(tmp_path: Path, content: str) -> None:
    folder = run_of(tmp_path / "a")
    (folder / "summary.json").write_text(content, "utf-8")
    with pytest.raises(RunError, match="cannot read the run"):
        open_run(folder)


def test_a_missing_piece_is_told(tmp_path: Path) -> None:
    folder = run_of(tmp_path / "a")
    next((folder / "pieces").glob("fold5-*.npz")).unlink()
    with pytest.raises(RunError, match="cannot read"):
        compared(folder, folder)


def test_arms_that_are_not_there_are_told(tmp_path: Path) -> None:
    folder = run_of(tmp_path / "a")
    for choice, word in (
        ({"row": "panel"}, "no row 'panel'; it has local, private"),
        ({"row": "private"}, "at epsilon 8, 2: name one"),
        ({"row": "private", "epsilon": 4.0}, "at epsilon 8, 2: name one"),
        ({"row": "local", "against": "panel"}, "no row 'panel'"),
    ):
        with pytest.raises(RunError, match=word):
            compared(folder, folder, **choice)
    with pytest.raises(ConfigError, match="belong to a --row"):
        Choice(against="local")
