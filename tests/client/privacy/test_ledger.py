"""The ledger keeps what it was told, charges before it answers, and notices every change."""

import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import client
from client.privacy.ledger import Budget, Ledger
from common.errors import (
    BudgetError,
    LedgerError,
    MascaronError,
    NotReadyError,
    PlanError,
    ReplayError,
)
from common.privacy.accountant import Event, epsilon
from common.privacy.plan import GradientMechanism, MomentMechanism, PrivacyPlan

KEY = b"k" * 32
ROOT = Path(client.__file__).parents[1]
DELTA = 1e-5
BUDGET = Budget(8.0, DELTA)


def plan_of(*sigmas: float, people: int = 100) -> PrivacyPlan:
    mechanisms = tuple(
        MomentMechanism(kind="mean", sigma=sigma, clip=1.0, name=f"m{i}")
        for i, sigma in enumerate(sigmas)
    )
    return PrivacyPlan(mechanisms=mechanisms, people=people, delta=DELTA)


PLAN = plan_of(4.0, 3.0, 5.0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    with Ledger(path, KEY, BUDGET) as opened:
        yield opened


def spend(ledger: Ledger, run: str, plan: PrivacyPlan, rounds: int) -> None:
    ledger.accept(run, plan)
    for number in range(1, rounds + 1):
        ledger.reserve(run, number, f"d{number}", plan.rounds[number - 1].event)
        ledger.release(run, number, f"d{number}", f"payload {run} {number}".encode())


def test_a_round_is_charged_when_reserved_and_replayed_when_released(ledger: Ledger) -> None:
    promised = ledger.accept("run", PLAN)
    assert promised == epsilon(PLAN.events(), DELTA)
    assert ledger.epsilon() == 0
    ledger.reserve("run", 1, "request", Event(4.0))
    assert ledger.epsilon() == epsilon([Event(4.0)], DELTA)
    assert ledger.replay("run", 1, "request") is None
    ledger.release("run", 1, "request", b"bytes")
    ledger.release("run", 1, "request", b"bytes")
    assert ledger.replay("run", 1, "request") == b"bytes"
    assert ledger.epsilon() == epsilon([Event(4.0)], DELTA)


def test_everything_is_there_after_reopening(path: Path) -> None:
    with Ledger(path, KEY, BUDGET) as ledger:
        spend(ledger, "run", PLAN, 2)
        before = ledger.entries(), ledger.epsilon(), ledger.head(), ledger.events()
    with Ledger(path, KEY, BUDGET) as ledger:
        assert (ledger.entries(), ledger.epsilon(), ledger.head(), ledger.events()) == before
        assert ledger.replay("run", 2, "d2") == b"payload run 2"
        ledger.verify()
        assert ledger.accept("run", PLAN) == epsilon(PLAN.events(), DELTA)
        ledger.reserve("run", 3, "d3", Event(5.0))


def test_only_the_owner_can_read_the_files(ledger: Ledger, path: Path) -> None:
    ledger.accept("run", PLAN)
    assert {p.stat().st_mode & 0o777 for p in path.parent.iterdir()} == {0o600}


@pytest.mark.parametrize("digest, payload", [("other", b"bytes"), ("request", b"other")])
def test_another_request_or_other_bytes_for_a_released_round_are_refused(
    ledger: Ledger, digest: str, payload: bytes
) -> None:
    ledger.accept("run", PLAN)
    ledger.reserve("run", 1, "request", Event(4.0))
    ledger.release("run", 1, "request", b"bytes")
    with pytest.raises(ReplayError):
        ledger.release("run", 1, digest, payload)
    with pytest.raises(ReplayError):
        ledger.replay("run", 1, "other")
    with pytest.raises(ReplayError):
        ledger.reserve("run", 1, digest, Event(4.0))
    assert ledger.replay("run", 1, "request") == b"bytes"


def test_a_reserved_round_belongs_to_its_first_request(ledger: Ledger) -> None:
    ledger.accept("run", PLAN)
    ledger.reserve("run", 1, "request", Event(4.0))
    with pytest.raises(ReplayError):
        ledger.reserve("run", 1, "other", Event(4.0))
    with pytest.raises(ReplayError):
        ledger.release("run", 1, "other", b"bytes")
    with pytest.raises(ReplayError):
        ledger.replay("run", 1, "other")


def test_a_run_keeps_its_first_plan(ledger: Ledger) -> None:
    assert ledger.accept("run", PLAN) == ledger.accept("run", PLAN)
    with pytest.raises(ReplayError):
        ledger.accept("run", plan_of(4.0, 3.0))
    assert len(ledger.entries()) == 1


def test_a_crash_before_the_release_charges_the_repeat_again(path: Path) -> None:
    with Ledger(path, KEY, BUDGET) as ledger:
        ledger.accept("run", PLAN)
        ledger.reserve("run", 1, "request", Event(4.0))
    with Ledger(path, KEY, BUDGET) as ledger:
        with pytest.raises(NotReadyError):
            ledger.release("run", 1, "request", b"from before the crash")
        ledger.reserve("run", 1, "request", Event(4.0))
        assert ledger.events() == (Event(4.0, 1.0, 2),)
        ledger.release("run", 1, "request", b"bytes")


@pytest.mark.parametrize(
    "number, event, error",
    [
        (1, Event(40.0), PlanError),
        (1, Event(4.0, 0.5), PlanError),
        (1, Event(4.0, 1.0, 2), PlanError),
        (2, Event(4.0), PlanError),
        (0, Event(4.0), PlanError),
        (-1, Event(5.0), PlanError),
        (4, Event(4.0), PlanError),
    ],
)
def test_what_the_plan_does_not_say_is_not_reserved(
    ledger: Ledger, number: int, event: Event, error: type[MascaronError]
) -> None:
    ledger.accept("run", PLAN)
    with pytest.raises(error):
        ledger.reserve("run", number, "d", event)
    assert ledger.epsilon() == 0


def test_nothing_is_reserved_or_released_without_a_plan(ledger: Ledger) -> None:
    with pytest.raises(NotReadyError):
        ledger.reserve("run", 1, "d", Event(4.0))
    with pytest.raises(NotReadyError):
        ledger.release("run", 1, "d", b"")
    ledger.accept("run", PLAN)
    with pytest.raises(NotReadyError):
        ledger.release("run", 1, "d", b"")


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


def test_a_finished_run_is_over(ledger: Ledger) -> None:
    spend(ledger, "run", PLAN, 1)
    ledger.finish("run")
    with pytest.raises(ReplayError):
        ledger.reserve("run", 2, "d2", Event(3.0))
    with pytest.raises(ReplayError):
        ledger.accept("run", PLAN)
    with pytest.raises(ReplayError):
        ledger.finish("run")
    assert ledger.replay("run", 1, "d1") == b"payload run 1"
    with pytest.raises(NotReadyError):
        ledger.finish("never")


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


@pytest.mark.parametrize("run", ["", "a" * 257, "line\nbreak", "\ud800", "\0"])
def test_unprintable_runs_are_refused(ledger: Ledger, run: str) -> None:
    with pytest.raises(PlanError):
        ledger.accept(run, PLAN)


def test_a_second_agent_on_the_same_ledger_is_refused(ledger: Ledger, path: Path) -> None:
    with pytest.raises(LedgerError, match="another agent"):
        Ledger(path, KEY, BUDGET)
    reader, writer = os.pipe()
    child = os.fork()
    if not child:  # neither the inherited object nor a new one works in another process
        answers = [_refused(lambda: ledger.accept("run", PLAN))]
        answers.append(_refused(lambda: Ledger(path, KEY, BUDGET)))
        os.write(writer, bytes(answers))
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reader, 8) == bytes([True, True])
    os.close(reader)
    os.close(writer)
    ledger.accept("run", PLAN)


FORK = """
import os, sys
from pathlib import Path
from client.privacy.ledger import Budget, Ledger
from common.privacy.accountant import Event
from common.privacy.plan import MomentMechanism, PrivacyPlan

mechanism = MomentMechanism(kind="mean", sigma=9.0, clip=1.0, name="mean")
ledger = Ledger(Path(sys.argv[1]), b"k" * 32, Budget(8.0, 1e-5))
ledger.accept("run", PrivacyPlan(mechanisms=(mechanism,), people=9, delta=1e-5))
child = os.fork()
if child:
    os.waitpid(child, 0)
    ledger.reserve("run", 1, "request", Event(9.0))
    os._exit(0)  # as a crash would
"""


def test_a_forked_child_that_ends_takes_nothing_of_its_parents_ledger_along(path: Path) -> None:
    subprocess.run([sys.executable, "-c", FORK, str(path)], check=True, cwd=ROOT)
    with Ledger(path, KEY, BUDGET) as ledger:
        assert ledger.events() == (Event(9.0),)


def test_rounds_of_any_integer_type_are_stored_as_they_are_read(path: Path) -> None:
    with Ledger(path, KEY, BUDGET) as ledger:
        ledger.accept("run", PLAN)
        ledger.reserve("run", True, "request", Event(4.0))
        ledger.release("run", np.int64(1), "request", b"bytes")  # type: ignore[arg-type]
    with Ledger(path, KEY, BUDGET) as ledger:
        assert ledger.replay("run", 1, "request") == b"bytes"


def _refused(call: Any) -> bool:
    try:
        call()
    except LedgerError:
        return True
    return False


def test_a_dropped_ledger_gives_its_lock_back(path: Path) -> None:
    first = Ledger(path, KEY, BUDGET)
    del first
    Ledger(path, KEY, BUDGET).close()


def test_a_closed_ledger_answers_nothing(path: Path) -> None:
    ledger = Ledger(path, KEY, BUDGET)
    ledger.close()
    ledger.close()
    with pytest.raises(LedgerError):
        ledger.epsilon()


def test_another_key_opens_nothing(path: Path) -> None:
    with Ledger(path, KEY, BUDGET) as ledger:
        spend(ledger, "run", PLAN, 1)
    with pytest.raises(LedgerError):
        Ledger(path, b"x" * 32, BUDGET)
    with pytest.raises(ValueError, match="key"):
        Ledger(path, b"short", BUDGET)


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


def test_an_error_while_writing_closes_the_ledger_until_it_is_read_again(path: Path) -> None:
    with Ledger(path, KEY, BUDGET) as ledger:
        ledger.accept("run", PLAN)
        pages = ledger._database.execute("PRAGMA page_count").fetchone()[0]
        ledger._database.execute(f"PRAGMA max_page_count = {pages}").fetchall()  # a full disk
        ledger.reserve("run", 1, "d", Event(4.0))
        with pytest.raises(LedgerError):
            ledger.release("run", 1, "d", b"x" * 100_000)
        with pytest.raises(LedgerError):
            ledger.replay("run", 1, "d")
    with Ledger(path, KEY, BUDGET) as ledger:
        assert ledger.events() == (Event(4.0),)
        assert ledger.replay("run", 1, "d") is None


def test_paths_that_cannot_hold_a_ledger_are_a_ledger_error(tmp_path: Path) -> None:
    (tmp_path / "folder.db").mkdir()
    (tmp_path / "text.db").write_text("this is not a database, though long enough to be one" * 9)
    (tmp_path / "link.db").symlink_to(tmp_path / "elsewhere.db")
    for name in ("missing/ledger.db", "folder.db", "text.db", "link.db"):
        with pytest.raises(LedgerError):
            Ledger(tmp_path / name, KEY, BUDGET)


def test_a_ledger_of_a_later_version_is_left_alone(path: Path) -> None:
    Ledger(path, KEY, BUDGET).close()
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version = 2")
    database.close()
    with pytest.raises(LedgerError, match="version 2"):
        Ledger(path, KEY, BUDGET)
