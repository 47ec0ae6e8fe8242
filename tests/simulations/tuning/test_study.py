"""A search goes on as if it had never stopped, and its ledger is never overspent by trials."""

import subprocess
import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from client.privacy.ledger import Ledger
from common.errors import BudgetError, BusyError, PlanError, RunError
from common.locks import locked
from common.privacy.accountant import epsilon
from common.privacy.plan import PrivacyPlan
from common.privacy.selection import parse_runs, selection_epsilon
from simulations.tuning import study as room
from simulations.tuning.charging import EveryTrial, Free, Selected
from simulations.tuning.study import Found
from tests.small_search import (
    DELTA,
    KEY,
    ledger_of,
    plan_of,
    small_asked,
    small_study,
    spent_by,
)

ROOT = Path(__file__).parents[3]
ONE = plan_of(4.0)


@dataclass(frozen=True, kw_only=True)
class OnlyTheBest(EveryTrial):
    """A planted mistake: what is charged is one trial, whichever will turn out to be the best."""

    asked: list[str] = field(default_factory=list)

    def pay(self, run: str, plan: PrivacyPlan) -> None:
        self.asked.append(run)
        if len(self.asked) == 1:
            super().pay(run, plan)


@dataclass
class Watch:
    """Notes for each federation that runs what the ledger holds at that moment."""

    ledger: Ledger
    held: list[float] = field(default_factory=list)

    def __call__(self, setting: Any) -> None:
        self.held.append(self.ledger.epsilon())

    def overspent(self) -> bool:
        """Whether some federation ran before what it releases was in the ledger."""
        owed = [epsilon(spent_by(1 + n), DELTA) for n in range(len(self.held))]
        return any(held < due - 1e-9 for held, due in zip(self.held, owed, strict=True))


def told(found: Found) -> list[tuple[Any, float, str]]:
    return [(tried.setting, tried.score, tried.state) for tried in found.tried]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Found:
    """Eight trials of two repetitions, without a stop."""
    return small_study(tmp_path_factory.mktemp("whole"), Free(), repetitions=2).everything()


def test_the_default_setting_is_tried_first_and_the_best_beside_it(whole: Found) -> None:
    assert whole.default and whole.best and whole.ended == "complete"
    assert whole.tried[0] == whole.default
    assert whole.default.setting == {"ridge": 3.0, "own_tuning": True}
    assert len(whole.tried) == 8
    assert whole.best.score == max(t.score for t in whole.tried if t.state == "complete")
    assert whole.best.score > whole.default.score
    assert set(whole.tails) == {whole.best.number, whole.default.number}


def test_a_search_that_was_killed_goes_on_to_the_same_trials_and_pays_twice_for_one(
    whole: Found, tmp_path: Path
) -> None:
    out, mark = tmp_path / "out", tmp_path / "mark"
    code = [sys.executable, "-m", "tests.small_search", str(out), str(mark)]
    process = subprocess.Popen(code, cwd=ROOT)
    while not mark.exists() and process.poll() is None:
        time.sleep(0.05)
    process.kill()
    process.wait()
    with ledger_of(out) as ledger:
        # Two trials and the first repetition of the third were paid, and begun.
        assert ledger.epsilon() == pytest.approx(epsilon(spent_by(5), DELTA))
        found = small_study(out, EveryTrial(ledger=ledger), repetitions=2).everything()
        pruned = sum(tried.state == "pruned" for tried in found.tried)
        assert told(found) == told(whole)
        assert ledger.epsilon() == pytest.approx(epsilon(spent_by(1 + 16 - pruned), DELTA))


def test_more_trials_may_be_asked_for_later(whole: Found, tmp_path: Path) -> None:
    few = small_study(tmp_path, Free(), trials=4, repetitions=2).everything()
    assert told(few) == told(whole)[:4]
    more = small_study(tmp_path, Free(), repetitions=2).everything()
    assert told(more) == told(whole)


def test_nothing_runs_before_it_is_paid_and_the_budget_ends_the_search(tmp_path: Path) -> None:
    budget = epsilon(spent_by(7), DELTA) + 1e-6
    with ledger_of(tmp_path, budget) as ledger:
        watch = Watch(ledger)
        study = small_study(tmp_path, EveryTrial(ledger=ledger), repetitions=2, ran=watch)
        found = study.everything()
        # A fourth trial would not fit whole, so that none of it is charged.
        assert (found.ended, len(found.tried), len(watch.held)) == ("budget", 3, 6)
        assert not watch.overspent()
        assert ledger.epsilon() <= budget
        again = small_study(tmp_path, EveryTrial(ledger=ledger), repetitions=2, ran=watch)
        assert told(again.everything()) == told(found)
        assert len(watch.held) == 6 and len(ledger.entries()) == 6 * 3


def test_a_search_that_charges_the_best_trial_only_is_caught(tmp_path: Path) -> None:
    with ledger_of(tmp_path) as ledger:
        watch = Watch(ledger)
        small_study(tmp_path, OnlyTheBest(ledger=ledger), trials=3, ran=watch).everything()
        assert watch.overspent()


def test_a_budget_too_small_for_one_trial_is_told(tmp_path: Path) -> None:
    with ledger_of(tmp_path, 0.5) as ledger, pytest.raises(BudgetError, match=r"of 0\.5"):
        small_study(tmp_path, EveryTrial(ledger=ledger)).everything()


def test_a_folder_takes_one_search_at_a_time_and_no_other_one(tmp_path: Path) -> None:
    small_study(tmp_path, Free(), trials=1).everything()
    with locked(tmp_path / room.LOCK, "a search"), pytest.raises(BusyError):
        small_study(tmp_path, Free(), trials=1).everything()
    other = small_study(tmp_path, Free(), trials=1)
    other.contest.asked = small_asked(ridge={"low": 1.0, "high": 9.0})
    with pytest.raises(RunError, match="another search"):
        other.everything()


def selected(ledger: Ledger, form: str = "geometric:3", sampler: str = "random") -> Selected:
    return Selected(
        ledger=ledger, runs=parse_runs(form), once=spent_by(1), repetitions=1, sampler=sampler
    )


def test_a_selection_is_charged_once_whole_and_ends_the_ledger(tmp_path: Path) -> None:
    with ledger_of(tmp_path, 9.0) as ledger:
        payment, runs = selected(ledger), []
        first = small_study(tmp_path, payment, ran=runs.append).everything()
        rows = len(ledger.entries())
        assert 8.99 < ledger.epsilon() <= 9
        assert payment.price() > 9  # a second one would come on top
        study = small_study(tmp_path, selected(ledger), ran=runs.append)
        study.how = replace(study.how, seed=9)  # drawn anew by every command, and secret
        again = study.everything()
        assert told(again) == told(first) and len(ledger.entries()) == rows
        assert len(runs) == len(first.tried) >= 1
        assert first.default is None and {"pruned"} & {t.state for t in first.tried} == set()
        with pytest.raises(BudgetError):
            ledger.accept("another run", plan_of(300.0))
        study.forget()
        assert not (tmp_path / room.STUDY).exists()


def test_a_selection_counts_what_the_ledger_held_before(tmp_path: Path) -> None:
    with ledger_of(tmp_path, 6.0) as ledger:
        EveryTrial(ledger=ledger).pay("earlier", plan_of(0.8))
        expected = selection_epsilon(
            selected(ledger)._once,
            DELTA,
            parse_runs("geometric:3"),
            sampler="random",
            before=ledger.events(),
        )
        assert selected(ledger).price() == expected > 6
        with pytest.raises(BudgetError):
            small_study(tmp_path, selected(ledger)).everything()
        assert len(ledger.entries()) == 3


def test_a_selection_that_draws_no_run_finds_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "draw_runs", lambda runs, uniform: 0)
    with ledger_of(tmp_path, 20.0) as ledger:
        found = small_study(tmp_path, selected(ledger, "poisson:3")).everything()
    assert (found.tried, found.best, found.tails) == ((), None, {})


def test_a_search_that_looks_at_earlier_runs_is_no_selection(tmp_path: Path) -> None:
    with ledger_of(tmp_path) as ledger:
        with pytest.raises(PlanError, match="charge every trial"):
            small_study(tmp_path, selected(ledger, sampler="tpe")).everything()
        assert not ledger.entries()


def test_a_run_that_costs_more_than_was_charged_is_not_begun(tmp_path: Path) -> None:
    with ledger_of(tmp_path) as ledger:
        payment, ran = selected(ledger), []
        with pytest.raises(PlanError, match="costs more"):
            small_study(tmp_path, payment, sigma=3.9, ran=ran.append).everything()
        assert not ran


def test_the_ledger_is_the_one_that_sites_keep(tmp_path: Path) -> None:
    with ledger_of(tmp_path) as ledger:
        small_study(tmp_path, EveryTrial(ledger=ledger), trials=2).everything()
        assert ledger.durable
    again = Ledger(tmp_path / "ledger.db", KEY, ledger.budget)
    again.verify()
    kinds = [entry.kind for entry in again.entries()]
    again.close()
    assert kinds == ["accept", "reserve", "finish"] * 2
