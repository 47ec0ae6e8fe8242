"""No history of plans, repeats, restarts and threads spends more than the budget."""

import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from client.privacy.ledger import Budget, Ledger
from common.errors import BudgetError, MascaronError, NotReadyError, ReplayError
from common.privacy.accountant import Event, epsilon
from common.privacy.plan import GradientMechanism, MomentMechanism, PrivacyPlan
from tests.small_ledger import BUDGET, DELTA, KEY, PLAN, plan_of, spend


def test_a_plan_over_budget_is_refused_before_its_first_round(path: Path) -> None:
    with Ledger(path, KEY, Budget(1.0, DELTA)) as ledger:
        with pytest.raises(BudgetError):
            ledger.accept("run", plan_of(1.0))
        assert ledger.entries() == ()


def test_a_plan_without_noise_fits_no_budget(ledger: Ledger) -> None:
    silent = MomentMechanism(kind="mean", sigma=0.0, clip=1.0, name="silent")
    with pytest.raises(BudgetError):
        ledger.accept("run", PrivacyPlan(mechanisms=(silent,), people=9, delta=DELTA, noise="none"))


def test_open_plans_and_history_count_against_the_next_plan(path: Path) -> None:
    whole = epsilon(plan_of(4.0, 4.0).events(), DELTA)
    with Ledger(path, KEY, Budget(whole, DELTA)) as ledger:
        ledger.accept("first", plan_of(4.0))
        ledger.accept("second", plan_of(4.0))
        with pytest.raises(BudgetError):
            ledger.accept("third", plan_of(1000.0))
        ledger.finish("first")  # promised, never reserved
        ledger.accept("third", plan_of(1000.0))
        ledger.reserve("second", 1, "d", Event(4.0))
        ledger.finish("second")
        with pytest.raises(BudgetError):
            ledger.accept("fourth", plan_of(4.0))


def test_repeats_use_up_their_own_run_and_never_what_another_run_was_promised(path: Path) -> None:
    whole = epsilon(plan_of(4.0, 4.0, 4.0).events(), DELTA)
    with Ledger(path, KEY, Budget(whole, DELTA)) as ledger:
        ledger.accept("one", plan_of(4.0, 4.0))
        ledger.accept("two", plan_of(4.0))
        ledger.reserve("one", 1, "d", Event(4.0))
        ledger.reserve("one", 1, "d", Event(4.0))
        for number in (1, 2):
            with pytest.raises(BudgetError):
                ledger.reserve("one", number, "d", Event(4.0))
        ledger.reserve("two", 1, "d", Event(4.0))
        assert ledger.epsilon() <= whole


def test_a_lower_budget_after_reopening_holds_at_once(path: Path) -> None:
    with Ledger(path, KEY, BUDGET) as ledger:
        spend(ledger, "run", PLAN, 1)
    with Ledger(path, KEY, Budget(1.5, DELTA)) as ledger:
        with pytest.raises(BudgetError):
            ledger.reserve("run", 2, "d2", Event(3.0))
        assert ledger.replay("run", 1, "d1") == b"payload run 1"


def test_sampled_rounds_are_priced_and_charged(ledger: Ledger) -> None:
    phase = GradientMechanism(sigma=2.0, clip=1.0, rate=0.1, rounds=3, steps_per_round=2)
    plan = PrivacyPlan(mechanisms=(*PLAN.mechanisms, phase), people=100, delta=DELTA)
    assert ledger.accept("run", plan) == epsilon(plan.events(), DELTA)
    for current in plan.rounds:
        ledger.reserve("run", current.number, "d", current.event)
    assert ledger.epsilon() == epsilon(plan.events(), DELTA)


@pytest.mark.parametrize("limits", [(0.0, 1e-5), (-1.0, 1e-5), (float("nan"), 1e-5), (1.0, 0.0)])
def test_impossible_budgets_are_refused(limits: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="must be"):
        Budget(*limits)


def test_threads_reserve_one_after_the_other_and_never_more_than_the_budget(path: Path) -> None:
    whole = epsilon([Event(4.0, 1.0, 20)], DELTA)
    with Ledger(path, KEY, Budget(whole, DELTA)) as ledger:
        plan = plan_of(4.0)
        ledger.accept("run", plan)
        refused: list[MascaronError] = []

        def reserve() -> None:
            for _ in range(10):
                try:
                    ledger.reserve("run", 1, "d", Event(4.0))
                except BudgetError as error:
                    refused.append(error)

        threads = [threading.Thread(target=reserve) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert ledger.events() == (Event(4.0, 1.0, 20),)
        assert len(refused) == 20
        ledger.verify()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    st.lists(
        st.tuples(st.sampled_from(["accept", "reserve", "release", "finish", "reopen"]),
                  st.sampled_from("ab"), st.integers(1, 3), st.sampled_from("xy")),
        max_size=25,
    )
)  # fmt: skip
def test_any_history_keeps_the_budget_the_chain_and_every_release(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, str, int, str]]
) -> None:
    path = tmp_path_factory.mktemp("any") / "ledger.db"
    budget = Budget(epsilon([Event(4.0, 1.0, 5)], DELTA), DELTA)
    ledger = Ledger(path, KEY, budget)
    plan, kept, charged = plan_of(4.0, 4.0, 4.0), dict[tuple[str, int], tuple[str, bytes]](), 0
    for step, (kind, run, number, digest) in enumerate(steps):
        try:
            if kind == "accept":
                ledger.accept(run, plan)
            elif kind == "reserve":
                ledger.reserve(run, number, digest, Event(4.0))
                charged += 1
            elif kind == "release":
                payload = kept.get((run, number), (digest, b"%d" % step))[1]
                ledger.release(run, number, digest, payload)
                kept[run, number] = (digest, payload)
            elif kind == "finish":
                ledger.finish(run)
            else:
                ledger.close()
                ledger = Ledger(path, KEY, budget)
        except (BudgetError, ReplayError, NotReadyError):
            pass
        assert ledger.epsilon() == epsilon([Event(4.0, 1.0, charged)], DELTA) <= budget.epsilon
        for (known, at), (digest_of, payload) in kept.items():
            assert ledger.replay(known, at, digest_of) == payload
    ledger.verify()
    ledger.close()
