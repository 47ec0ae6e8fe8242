"""A budget that is refreshed every year: never twice in one, and never in what is shown as lost."""

from pathlib import Path

import pytest

from client.privacy.ledger import Budget, Ledger
from client.privacy.reading import read_ledger
from common.errors import BudgetError
from common.privacy.accountant import epsilon
from tests.small_ledger import DELTA, KEY, plan_of, spend

PLAN = plan_of(2.0)
COST = epsilon(PLAN.events(), DELTA)
BUDGET = Budget(1.1 * COST, DELTA)


def ledger(folder: Path) -> Ledger:
    return Ledger(folder / "ledger.db", KEY, BUDGET)


def test_a_new_year_gives_a_new_budget_and_keeps_the_whole_loss(tmp_path: Path) -> None:
    with ledger(tmp_path) as opened:
        opened.begin_year(2026)
        spend(opened, "one", PLAN, 1)
        with pytest.raises(BudgetError):
            opened.accept("two", PLAN)
        opened.begin_year(2027)
        spend(opened, "two", PLAN, 1)
        lost = epsilon(PLAN.events() * 2, DELTA)
        assert opened.epsilon() == pytest.approx(lost)
        with pytest.raises(BudgetError):
            opened.accept("three", PLAN)
    with ledger(tmp_path) as opened:  # and a restart gives none
        assert opened.epsilon() == pytest.approx(lost)
        with pytest.raises(BudgetError):
            opened.accept("three", PLAN)
    read = read_ledger(tmp_path / "ledger.db", KEY)
    assert read.epsilon(DELTA) == pytest.approx(lost)
    assert epsilon(read.charged, DELTA) == pytest.approx(COST)
    assert read.affords(PLAN, BUDGET.epsilon, DELTA) == 0


@pytest.mark.parametrize("year", [2026, 2025, 1970])
def test_a_year_that_began_before_gives_nothing_more(tmp_path: Path, year: int) -> None:
    with ledger(tmp_path) as opened:
        opened.begin_year(2026)
        spend(opened, "one", PLAN, 1)
        opened.begin_year(year)  # the clock was set back
        assert [e.kind for e in opened.entries()].count("year") == 1
        with pytest.raises(BudgetError):
            opened.accept("two", PLAN)


def test_the_first_year_ever_begun_forgives_nothing(tmp_path: Path) -> None:
    with ledger(tmp_path) as opened:
        spend(opened, "one", PLAN, 1)
        opened.begin_year(2026)
        with pytest.raises(BudgetError):
            opened.accept("two", PLAN)


def test_what_open_runs_were_promised_is_charged_to_the_year_of_its_round(tmp_path: Path) -> None:
    with ledger(tmp_path) as opened:
        opened.begin_year(2026)
        opened.accept("one", PLAN)
        opened.begin_year(2027)
        with pytest.raises(BudgetError):
            opened.accept("two", PLAN)
        spend(opened, "one", PLAN, 1)
        with pytest.raises(BudgetError):
            opened.accept("two", PLAN)
