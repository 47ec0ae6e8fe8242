"""The order is the guarantee: policy, ledger, noise, gate, store; also in repeats and crashes."""

import dataclasses
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import pytest

from client.agent import mechanisms
from client.agent.training import Clock, Training
from client.privacy.entropy import OsEntropy
from client.privacy.gate import Gate
from client.privacy.ledger import Ledger
from client.privacy.reconcile import Sent, uncharged
from common import wire
from common.errors import BudgetError, GateError, NotReadyError, PlanError, ReplayError
from common.privacy import accountant
from tests.small_site import (
    RUN,
    SUM,
    Site,
    accepted,
    frame,
    long_plan,
    mean_plan,
    offer,
    request,
)


def test_the_ledger_is_charged_before_noise_and_bytes_are_stored_before_they_leave(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def noted(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            seen.append(name)
            return method(*args, **kwargs)

        return call

    class Noted(OsEntropy):
        def normal(self, n: int) -> np.ndarray:
            return np.asarray(noted("noise", super().normal)(n))

    site.entropy = Noted()
    monkeypatch.setattr(type(site.policy), "check", noted("policy", type(site.policy).check))
    monkeypatch.setattr(Gate, "check", noted("gate", Gate.check))
    for name in ("accept", "replay", "reserve", "release"):
        monkeypatch.setattr(Ledger, name, noted(name, getattr(Ledger, name)))
    accepted(site, mean_plan()).train(RUN, 1, frame())
    assert seen == ["policy", "accept", "replay", "reserve", "noise", "gate", "release"]


def test_exactly_the_gates_entries_leave_in_every_round(site: Site) -> None:
    plan = long_plan()
    room = accepted(site, plan)
    for current in plan.rounds:
        shared = request(current.number)
        left = room.train(RUN, current.number, shared)
        entries = mechanisms.entries(current, shared, plan.people)
        assert [(n, a.shape, a.dtype.name) for n, a in left.items()] == sorted(
            (e.name, e.shape, e.dtype) for e in entries
        )
        sent = Sent(RUN, current.number, wire.dump(left))
        assert uncharged(site.ledger.entries(), [sent]) == ()
    assert site.ledger.epsilon() == pytest.approx(accountant.epsilon(plan.events(), 1e-4), abs=0.01)


def test_a_repeat_gets_the_same_bytes_and_is_not_charged(site: Site) -> None:
    room = accepted(site, long_plan())
    first = wire.dump(room.train(RUN, 1, frame()))
    spent = site.ledger.epsilon()
    assert wire.dump(room.train(RUN, 1, frame())) == first
    site.restart()
    room = accepted(site, long_plan())
    assert wire.dump(room.train(RUN, 1, frame())) == first
    assert site.ledger.epsilon() == spent


def test_a_restarted_agent_goes_on_with_the_plan_in_its_ledger(site: Site) -> None:
    first = wire.dump(accepted(site, long_plan()).train(RUN, 1, frame()))
    site.restart()
    room = site.training()
    assert wire.dump(room.train(RUN, 1, frame())) == first
    assert set(room.train(RUN, 2, frame())) == {"moments.scatter.sum"}
    assert site.kinds() == ["accept", "reserve", "release", "reserve", "release"]


def test_a_restarted_agent_holds_its_plan_against_the_policy_of_today(site: Site) -> None:
    accepted(site, long_plan())
    site.restart()
    site.policy = dataclasses.replace(site.policy, rounds=3)
    with pytest.raises(PlanError, match="this site allows 3"):
        site.training().train(RUN, 1, frame())
    assert site.kinds() == ["accept"]


def test_the_same_round_with_other_contents_is_refused(site: Site) -> None:
    room = accepted(site, mean_plan())
    room.train(RUN, 1, frame())
    before = site.kinds()
    with pytest.raises(ReplayError):
        room.train(RUN, 1, frame(seed=3))
    assert site.kinds() == before


def test_two_runs_of_one_request_carry_different_noise(site: Site) -> None:
    room = accepted(site, mean_plan())
    room.accept(offer(mean_plan(), "r2"))
    one, other = (room.train(run, 1, frame())[SUM] for run in (RUN, "r2"))
    assert not np.allclose(one, other)


@pytest.mark.parametrize("number", [0, 2, 10**6])
def test_a_round_outside_the_plan_is_refused(site: Site, number: int) -> None:
    with pytest.raises(PlanError, match="no round"):
        accepted(site, mean_plan()).train(RUN, number, frame())
    assert site.kinds() == ["accept"]


def test_a_round_before_its_plan_was_accepted_is_refused(site: Site) -> None:
    room = site.training()
    with pytest.raises(NotReadyError):
        room.train(RUN, 1, frame())
    accepted(site, mean_plan())
    with pytest.raises(NotReadyError):
        room.train("another", 1, frame())
    assert site.ledger.epsilon() == 0


def test_a_run_keeps_the_plan_it_was_accepted_with(site: Site) -> None:
    room = accepted(site, mean_plan())
    with pytest.raises(ReplayError):
        room.accept(offer(long_plan()))
    assert set(room.train(RUN, 1, frame())) == {SUM}


# A crash wastes budget; it never hides any.


def test_a_crash_after_the_charge_charges_again_and_never_under_counts(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.policy = dataclasses.replace(site.policy, epsilon=20.0)
    room = accepted(site, mean_plan())
    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "release", killed)
        with pytest.raises(KeyboardInterrupt):
            room.train(RUN, 1, frame())
    site.restart()
    once = accountant.epsilon(mean_plan().events(), 1e-4)
    assert site.ledger.epsilon() == pytest.approx(once)
    room = accepted(site, mean_plan())
    room.train(RUN, 1, frame())
    twice = accountant.epsilon(mean_plan().events() * 2, 1e-4)
    assert site.ledger.epsilon() == pytest.approx(twice)
    assert site.kinds() == ["accept", "reserve", "reserve", "release"]


def test_a_repeat_after_a_crash_with_other_contents_is_refused(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = accepted(site, mean_plan())
    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "release", killed)
        with pytest.raises(KeyboardInterrupt):
            room.train(RUN, 1, frame())
    with pytest.raises(ReplayError):
        room.train(RUN, 1, frame(seed=3))


def test_repeats_after_crashes_stop_at_the_budget(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = accepted(site, mean_plan())
    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "release", killed)
        with pytest.raises(BudgetError):
            for _ in range(1000):
                with pytest.raises(KeyboardInterrupt):
                    room.train(RUN, 1, frame())
    assert site.ledger.epsilon() <= site.policy.epsilon


def killed(*args: object) -> None:
    raise KeyboardInterrupt


def test_what_the_gate_refuses_was_charged_and_does_not_leave(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = accepted(site, mean_plan())
    with monkeypatch.context() as patch:
        patch.setattr(mechanisms, "release", lambda *a: {"features": site.features})
        with pytest.raises(GateError):
            room.train(RUN, 1, frame())
    assert site.kinds() == ["accept", "reserve"]


def test_two_requests_for_one_round_at_a_time_are_charged_once(site: Site) -> None:
    class Slow(OsEntropy):
        def normal(self, n: int) -> np.ndarray:
            time.sleep(0.1)
            return super().normal(n)

    site.entropy = Slow()
    room, gate = accepted(site, mean_plan()), threading.Barrier(4)

    def ask(_: int) -> bytes:
        gate.wait()
        return wire.dump(room.train(RUN, 1, frame()))

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(ask, range(4)))) == 1
    assert site.kinds() == ["accept", "reserve", "release"]


@pytest.mark.parametrize(("took", "held"), [(1.0, 59.0), (59.5, 0.5), (61.0, 59.0)])
def test_an_answer_leaves_at_the_plans_slot_whatever_it_took(
    site: Site, took: float, held: float
) -> None:
    times, slept = iter([100.0, 100.0 + took]), list[float]()
    clock = Clock(now=lambda: next(times), sleep=slept.append)
    room = site.training(partial(Training, clock=clock))
    room.accept(offer(mean_plan(release_slot=60.0)))
    assert set(room.train(RUN, 1, frame())) == {SUM}
    assert slept == [held]


def test_a_failure_leaves_at_the_slot_like_an_answer(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    times = iter([100.0, 101.0])
    clock = Clock(now=lambda: next(times), sleep=slept.append)
    room = site.training(partial(Training, clock=clock))
    room.accept(offer(mean_plan(release_slot=60.0)))
    monkeypatch.setattr(mechanisms, "release", lambda *a: {"features": site.features})
    with pytest.raises(GateError):
        room.train(RUN, 1, frame())
    assert slept == [59.0]
