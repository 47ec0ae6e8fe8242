"""What sweep and compare print, where, and with which exit code; what an interrupt leaves."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from simulations import laboratory as room
from simulations.arms import Experiment
from simulations.cli import main
from simulations.commands import sweep as command
from tests.small_laboratory import SWEEP, SmallGiven, prepared, write_sweep

FOLDS = ["--train-folds", "1-3", "--choose-folds", "4", "--report-folds", "5-6"]


@pytest.fixture(autouse=True, scope="module")
def small() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(room, "prepare", prepared)
        patch.setattr(command, "Given", SmallGiven)
        yield


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory, small: None) -> tuple[Path, Result]:
    folder = tmp_path_factory.mktemp("swept")
    text = SWEEP.replace("[3, 4]", "[3]").replace("[set]", "where_people_suffice = true\n[set]")
    return folder, sweep(folder, text + "[[point]]\nsites = 40\n")


def sweep(folder: Path, text: str) -> Result:
    given = [*FOLDS, "--out", str(folder / "out")]
    return CliRunner().invoke(main, ["sweep", write_sweep(folder, text), *given])


def compare(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["compare", *map(str, arguments)])


def test_a_sweep_prints_its_table_and_the_path_of_its_lines(swept: tuple[Path, Result]) -> None:
    folder, result = swept
    assert result.exit_code == 0, result.stderr
    told = json.loads(result.stdout)
    assert told == {"sweep": str(folder / "out" / "sweep.jsonl"), "done": 2, "skipped": 1}
    assert "point 3 of 3: sites=40" in result.stderr
    assert "little: points over local" in result.stderr
    assert "skipped sites=40: 30 people" in result.stderr


def test_one_bad_point_ends_a_sweep_with_wrong_use(tmp_path: Path) -> None:
    result = sweep(tmp_path, SWEEP.replace("[2, 3]", "[2, 40]"))
    assert (result.exit_code, result.stdout) == (2, "")
    assert "SCENARIO_INVALID" in result.stderr
    assert "sites=40, report_pictures=3" in result.stderr
    assert not (tmp_path / "out" / "points").exists()


def test_an_interrupt_says_how_to_go_on_and_leaves_what_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = SWEEP.replace("[3, 4]", "[3]")
    base, calls = Experiment.base, []

    def stop(self: Experiment) -> Any:
        calls.append(self)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return base(self)

    with monkeypatch.context() as patch:
        patch.setattr(Experiment, "base", stop)
        result = sweep(tmp_path, text)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "The same command with --out" in result.stderr
    result = sweep(tmp_path, text)
    assert json.loads(result.stdout)["done"] == 2
    assert "settled already: 1 of 2 points" in result.stderr


def test_a_sweep_does_not_go_into_the_folder_of_a_run(tmp_path: Path) -> None:
    (tmp_path / "out" / "pieces").mkdir(parents=True)
    result = sweep(tmp_path, SWEEP)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "holds a run; choose another folder" in result.stderr
    assert not (tmp_path / "out" / "sweep.jsonl").exists()


def test_compare_pairs_the_points_of_a_sweep(swept: tuple[Path, Result]) -> None:
    lines = (swept[0] / "out" / "sweep.jsonl").read_text("utf-8").splitlines()
    keys = [told["key"] for told in map(json.loads, lines) if told["status"] == "done"]
    a, b = (swept[0] / "out" / "points" / key for key in keys)
    result = compare(a, b)
    assert result.exit_code == 0, result.stderr
    told = json.loads(result.stdout)
    assert told["paired"] is True
    assert {row["name"] for row in told["rows"]} >= {"local", "private", "private_secagg"}
    assert "paired: the same report people" in result.stderr
    back = json.loads(compare(b, a).stdout)
    for row, other in zip(told["rows"], back["rows"], strict=True):
        assert row["difference"]["1e-1"]["value"] == -other["difference"]["1e-1"]["value"]


def test_compare_takes_two_rows_of_one_run(swept: tuple[Path, Result]) -> None:
    run = next((swept[0] / "out" / "points").iterdir())
    result = compare(run, "--row", "private", "--epsilon", "8", "--against", "local")
    assert result.exit_code == 0, result.stderr
    gain = json.loads((run / "summary.json").read_text("utf-8"))["gain"]["private"]["8"]
    (row,) = json.loads(result.stdout)["rows"]
    assert row["difference"]["1e-2"]["value"] == pytest.approx(gain["value"], abs=1e-3)
    assert row["difference"]["1e-2"]["ci95"] == pytest.approx(gain["ci95"], abs=1e-3)


def test_compare_tells_wrong_use_from_failure(swept: tuple[Path, Result], tmp_path: Path) -> None:
    run = next((swept[0] / "out" / "points").iterdir())
    wrong = compare(run, "--against", "local")
    assert (wrong.exit_code, wrong.stdout) == (2, "")
    private = ("--row", "private", "--epsilon", "8")
    for arms in ((), private, (*private, "--against", "private"), ("--row", "local")):
        itself = compare(run, *arms)
        assert (itself.exit_code, itself.stdout) == (2, "")
        assert "without B, name two rows of A" in itself.stderr
    whole = compare(swept[0] / "out", run)
    assert whole.exit_code == 1
    assert "holds a sweep" in whole.stderr
    missing = compare(run, tmp_path)
    assert (missing.exit_code, missing.stdout) == (1, "")
    assert "RUN_FAILED" in missing.stderr
