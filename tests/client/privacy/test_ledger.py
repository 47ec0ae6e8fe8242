"""The ledger keeps what it was told, charges before it answers, and holds every run to its plan."""

from pathlib import Path

import numpy as np
import pytest

from client.privacy.ledger import Ledger
from common.errors import MascaronError, NotReadyError, PlanError, ReplayError
from common.privacy.accountant import Event, epsilon
from tests.small_ledger import BUDGET, DELTA, KEY, PLAN, plan_of, spend


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


@pytest.mark.parametrize("run", ["", "a" * 257, "line\nbreak", "\ud800", "\0"])
def test_unprintable_runs_are_refused(ledger: Ledger, run: str) -> None:
    with pytest.raises(PlanError):
        ledger.accept(run, PLAN)


def test_rounds_of_any_integer_type_are_stored_as_they_are_read(path: Path) -> None:
    with Ledger(path, KEY, BUDGET) as ledger:
        ledger.accept("run", PLAN)
        ledger.reserve("run", True, "request", Event(4.0))
        ledger.release("run", np.int64(1), "request", b"bytes")  # type: ignore[arg-type]
    with Ledger(path, KEY, BUDGET) as ledger:
        assert ledger.replay("run", 1, "request") == b"bytes"
