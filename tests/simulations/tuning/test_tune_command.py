"""`mascaron-lab tune` on whole small federations: what it says, charges, writes and refuses."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from client.privacy.ledger import Budget, Ledger
from common.moments.own import own_part
from common.privacy.accountant import Event, epsilon
from simulations import arms
from simulations import laboratory as room
from simulations.arms import Experiment
from simulations.cli import main
from simulations.commands import tune as command
from simulations.evaluation import Jury
from simulations.tuning import study
from tests.small_laboratory import SmallGiven, prepared

FOLDS = ["--train-folds", "1-3", "--choose-folds", "4,5", "--report-folds", "6"]
BASE = """name = "base"
sites = 3
draws = 50
public_steps = 2
panel = 2
own_tuning = false
"""
SEARCH = """name = "little"
scenario = "base.toml"
trials = 3
[set]
seeds = 1
[space]
ridge = { low = 1, high = 300, log = true }
mean_share = { low = 0.1, high = 0.9 }
"""
PRIVATE = ["--private", "--entropy", "os", "--yes"]


@pytest.fixture(autouse=True, scope="module")
def small() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(room, "prepare", prepared)
        patch.setattr(command, "Given", SmallGiven)
        yield


def tune(folder: Path, *options: object, text: str = SEARCH, answer: str = "") -> Result:
    (folder / "base.toml").write_text(BASE, "utf-8")
    (folder / "search.toml").write_text(text, "utf-8")
    given = [str(folder / "search.toml"), *FOLDS, "--out", str(folder / "out")]
    words = ["tune", *given, *map(str, options)]
    return CliRunner().invoke(main, words, input=answer)


@pytest.fixture(scope="module")
def free(tmp_path_factory: pytest.TempPathFactory, small: None) -> tuple[Path, Result, list[Any]]:
    """A search on invented people, and whose pictures every jury looked at."""
    seen: list[Any] = []
    look = Jury._bench

    def watched(self: Jury, camera: int) -> Any:
        seen.append(frozenset(np.unique(self.material.fold[self.pictures]).tolist()))
        return look(self, camera)

    folder = tmp_path_factory.mktemp("free")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Jury, "_bench", watched)
        return folder, tune(folder), seen


def test_a_search_on_invented_people_is_free_and_says_so(
    free: tuple[Path, Result, list[Any]],
) -> None:
    folder, result, _ = free
    assert result.exit_code == 0, result.stderr
    told = json.loads(result.stdout)
    assert told == json.loads((folder / "out" / "tuned.json").read_text("utf-8"))
    assert "3 trials on public or invented people: free." in result.stderr
    assert (told["payment"], told["spent"]["epsilon"]) == ("free", 0.0)
    assert told["default"]["setting"] == {"ridge": 3.0, "mean_share": 0.5}
    assert len(told["trials"]) == 3
    assert told["best"]["score"] == max(trial["score"] for trial in told["trials"])
    assert set(told["report"]["gain"]) == {"value", "ci95"}
    assert (told["development_people"], told["report_people"]) == (20, 10)
    assert not list((folder / "out").glob("*ledger*"))


def test_report_people_judge_the_chosen_setting_alone(
    free: tuple[Path, Result, list[Any]],
) -> None:
    seen = free[2]
    first = seen.index(frozenset({6}))
    assert set(seen[:first]) == {frozenset({4, 5})}
    assert set(seen[first:]) == {frozenset({6})}


def test_the_same_command_again_tries_nothing_again(
    free: tuple[Path, Result, list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, before, _ = free
    monkeypatch.setattr(Experiment, "federated", lambda *_: pytest.fail("a trial was run again"))
    again = tune(folder)
    assert json.loads(again.stdout) == json.loads(before.stdout)


def test_private_people_are_charged_for_every_trial_and_told_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own: list[int] = []

    def watched(reference: Any, bags: Any) -> Any:
        own.append(len(bags))
        return own_part(reference, bags)

    monkeypatch.setattr(arms, "own_part", watched)
    result = tune(tmp_path, *PRIVATE, "--budget", 20)
    assert result.exit_code == 0, result.stderr
    told = json.loads(result.stdout)
    assert "These people are private." in result.stderr
    assert "Every trial is charged before it runs" in result.stderr
    ledger = Ledger(
        tmp_path / "out" / "ledger.db",
        (tmp_path / "out" / "ledger.key").read_bytes(),
        Budget(20.0, 1e-4),
    )
    spent, rows = ledger.epsilon(), ledger.entries()
    ledger.close()
    assert told["spent"]["epsilon"] == spent <= 20
    assert own and not any(own)  # no exact moment of a private person was looked at
    one = epsilon(ledger_events(rows[:3]), 1e-4)
    assert one == pytest.approx(8.0, abs=1e-3) and spent > 12
    assert f"epsilon {spent:.4g}" in told["statement"]
    assert (tmp_path / "out").stat().st_mode & 0o077 == 0


def ledger_events(rows: Any) -> Any:
    return [Event(*json.loads(row.detail)) for row in rows if row.kind == "reserve"]


def test_a_selection_lets_out_the_best_run_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(study, "draw_runs", lambda runs, uniform: 2)
    result = tune(tmp_path, *PRIVATE, "--budget", 30, "--random", "geometric:3")
    assert result.exit_code == 0, result.stderr
    told = json.loads(result.stdout)
    assert told["default"] is None and "trials" not in told and told["best"]
    assert set(told["report"]) == {"best"}
    assert told["spent"]["epsilon"] == 30
    assert not (tmp_path / "out" / "study.db").exists()
    assert [p.name for p in (tmp_path / "out" / "tails").iterdir()] == ["best.npz"]
    assert "trials in" not in result.stderr
    again = tune(tmp_path, *PRIVATE, "--budget", 30, "--random", "geometric:3")
    assert json.loads(again.stdout) == told
    wider = SEARCH.replace("high = 300", "high = 400")
    other = tune(tmp_path, *PRIVATE, "--budget", 30, "--random", "geometric:3", text=wider)
    assert other.exit_code == 1 and not other.stdout
    assert "another search" in other.stderr


@pytest.mark.parametrize(
    "options, told",
    [
        (["--private", "--yes"], "needs --budget"),
        (["--private", "--budget", "9", "--yes"], "seeded noise protects nobody"),
        (["--budget", "9"], "are for --private people"),
        (["--random", "geometric:3"], "are for --private people"),
        (["--cross-fit", "1-6"], "lets everybody choose and report"),
        (["--choose-folds", ""], "name --choose-folds"),
        ([*PRIVATE, "--budget", "9", "--ledger", "x.db"], "belong together"),
        (
            [*PRIVATE, "--budget", "90", "--random", "geometric:3", "--trials", "4"],
            "leave --trials",
        ),
        ([*PRIVATE, "--budget", "90", "--random", "three"], "no number of runs"),
        (
            [*PRIVATE, "--budget", "90", "--random", "geometric:3", "--sampler", "tpe"],
            "every trial",
        ),
        ([*PRIVATE, "--budget", "9", "--random", "geometric:3"], "PRIVACY_BUDGET_EXHAUSTED"),
        ([*PRIVATE, "--budget", "5"], "PRIVACY_BUDGET_EXHAUSTED"),
    ],
)
def test_what_cannot_be_meant_or_paid_is_refused_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], told: str
) -> None:
    monkeypatch.setattr(Experiment, "federated", lambda *_: pytest.fail("a trial was run"))
    result = tune(tmp_path, *options)
    assert result.exit_code in (1, 2) and told in result.stderr, result.stderr


def test_faces_of_unknown_standing_are_not_searched_over(tmp_path: Path) -> None:
    faces = ["--faces", "faces.npz", "--public", "public.npz"]
    assert "say --private" in tune(tmp_path, *faces).stderr
    declared = SEARCH.replace("trials = 3", "trials = 3\nprivate = true")
    assert "--free cannot undo it" in tune(tmp_path, "--free", text=declared).stderr
    assert "needs --budget" in tune(tmp_path, text=declared).stderr


@pytest.mark.parametrize("knob", ["gradient_share = [0.0, 0.3]", "own_tuning = [true, false]"])
def test_what_is_for_public_people_is_not_turned_on_private_ones(tmp_path: Path, knob: str) -> None:
    text = SEARCH + f"{knob}\n"
    assert "public people only" in tune(tmp_path, *PRIVATE, "--budget", 90, text=text).stderr


def test_without_a_yes_nothing_is_spent(tmp_path: Path) -> None:
    asked = ["--private", "--entropy", "os", "--budget", "20"]
    result = tune(tmp_path, *asked, answer="n\n")
    assert result.exit_code == 1 and "Start?" in result.stderr
    with pytest.raises(FileNotFoundError):
        (tmp_path / "out" / "study.db").stat()
