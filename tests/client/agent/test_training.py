"""The order is the guarantee: policy, ledger, noise, gate, store; and every way to break it."""

import dataclasses
import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.agent import mechanisms
from client.agent.people import SitePeople
from client.agent.training import Clock, Training
from client.privacy.entropy import OsEntropy
from client.privacy.gate import Gate
from client.privacy.ledger import Ledger
from client.privacy.reconcile import Sent, uncharged
from common import wire
from common.errors import (
    BudgetError,
    ConfigError,
    GateError,
    MascaronError,
    NotReadyError,
    PlanError,
    ReplayError,
    TrunkError,
    WireError,
)
from common.moments.names import FRAME_BIAS, FRAME_WEIGHT
from common.privacy import accountant
from common.privacy.plan import MomentMechanism, PrivacyPlan
from simulations.entropy import SeededEntropy
from simulations.federation import LaboratoryLedger, LaboratoryPolicy
from tests.small_site import (
    RUN,
    Arrays,
    D,
    K,
    Site,
    features,
    frame,
    long_plan,
    mean_plan,
    noiseless,
    tail,
)

SUM = "moments.mean.sum"


def accepted(site: Site, plan: PrivacyPlan) -> Training:
    room = site.training()
    assert room.accept(RUN, plan.to_json()) == plan.digest
    return room


def request(number: int) -> Arrays:
    return frame() if number < 3 else tail()


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
    room.accept("r2", mean_plan().to_json())
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
        room.accept(RUN, long_plan().to_json())
    assert set(room.train(RUN, 1, frame())) == {SUM}


def refused(site: Site, plan: str, error: type[MascaronError]) -> None:
    room = site.training()
    with pytest.raises(error):
        room.accept(RUN, plan)
    with pytest.raises(NotReadyError):
        room.train(RUN, 1, frame())
    assert site.kinds() == []


def test_a_plan_over_the_budget_is_refused_whole(site: Site) -> None:
    cheap = MomentMechanism(kind="mean", sigma=9.0, clip=1.0, name="mean")
    dear = MomentMechanism(kind="scatter", sigma=0.05, clip=1.0, name="scatter")
    refused(site, mean_plan(mechanisms=(cheap, dear)).to_json(), BudgetError)


def test_plans_together_may_not_exceed_the_budget(site: Site) -> None:
    room = site.training()
    with pytest.raises(BudgetError):
        for number in range(100):
            room.accept(f"r{number}", mean_plan().to_json())
    assert 1 < len(site.kinds()) < 100


def test_the_centres_delta_does_not_make_a_plan_cheaper(site: Site) -> None:
    dear = MomentMechanism(kind="mean", sigma=0.42, clip=1.0, name="mean")
    assert accountant.epsilon((dear.event,), 9e-3) < site.policy.epsilon
    refused(site, mean_plan(mechanisms=(dear,), delta=9e-3).to_json(), BudgetError)


def test_a_plan_for_another_trunk_is_refused(site: Site) -> None:
    refused(site, mean_plan(trunk="u" * 64).to_json(), TrunkError)


@pytest.mark.parametrize(
    "plan", [noiseless(mean_plan()), mean_plan(noise="distributed", honest_sites=2, cohort=2)]
)
def test_only_a_laboratory_lets_a_site_add_less_than_all_the_noise(
    site: Site, plan: PrivacyPlan
) -> None:
    refused(site, plan.to_json(), PlanError)
    site.restart()
    (site.folder / "ledger.db").unlink()
    (site.folder / "ledger.db.head").unlink()
    site.policy = LaboratoryPolicy(epsilon=50.0, delta=1e-4)
    if plan.noise == "none":  # costs infinitely much, and no budget of a site holds that
        with pytest.raises(BudgetError):
            site.training().accept(RUN, plan.to_json())
    else:
        assert set(accepted(site, plan).train(RUN, 1, frame())) == {SUM}


def test_more_rounds_than_the_operator_allows_are_refused(site: Site) -> None:
    site.policy = dataclasses.replace(site.policy, rounds=3)
    refused(site, long_plan().to_json(), PlanError)


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '{"people": 1}', "x" * 10_000, "\x00"])
def test_what_is_no_plan_is_refused(site: Site, text: str) -> None:
    refused(site, text, PlanError)


@pytest.mark.parametrize(("epsilon", "delta"), [(0, 1e-4), (51, 1e-4), (1, 0), (1, 0.5)])
def test_a_policy_that_protects_nobody_cannot_be_made(epsilon: float, delta: float) -> None:
    from client.policy import SitePolicy

    with pytest.raises(ConfigError):
        SitePolicy(epsilon=epsilon, delta=delta)


def test_an_agent_with_more_budget_than_its_policy_or_repeatable_noise_cannot_be_made(
    site: Site,
) -> None:
    generous = site.policy
    assert site.ledger.budget.epsilon == generous.epsilon  # opened under it
    for smaller in ({"epsilon": 4.0}, {"delta": 1e-5}):
        site.policy = dataclasses.replace(generous, **smaller)
        with pytest.raises(ConfigError, match="budget"):
            site.training()
    site.policy = generous
    site.entropy = SeededEntropy(1)
    with pytest.raises(ConfigError, match="operating system"):
        site.training()


class Unjournaled(Ledger):
    """Waits for the disk, which a power cut in the middle of a write leaves torn."""

    _settings = ("journal_mode = MEMORY", "synchronous = FULL")


@pytest.mark.parametrize("kind", [LaboratoryLedger, Unjournaled])
def test_an_agent_refuses_a_ledger_that_a_power_cut_may_shorten(
    site: Site, kind: type[Ledger]
) -> None:
    with kind(site.folder / "lab.db", bytes(32), site.ledger.budget) as ledger:
        site._ledger, kept = ledger, site._ledger
        with pytest.raises(ConfigError, match="power cut"):
            site.training()
        site._ledger = kept
    assert site.ledger.durable


# What the site holds changes neither the shape of an answer nor whether there is one.

HOLDINGS: dict[str, tuple[np.ndarray, np.ndarray]] = {
    "nobody": (np.empty((0, D), np.float32), np.empty(0, np.int64)),
    "one picture": (features(1, 1), np.zeros(1, np.int64)),
    "one-picture people": (features(4, 1), np.arange(4)),
    "many": (features(40, 2), np.repeat(np.arange(40), 2)),
    "nan": (np.full((4, D), np.nan, np.float32), np.repeat(np.arange(2), 2)),
    "infinite": (np.full((4, D), np.inf, np.float32), np.repeat(np.arange(2), 2)),
    "huge": (np.full((4, D), 3e38, np.float32), np.repeat(np.arange(2), 2)),
}


@pytest.mark.parametrize("held", sorted(HOLDINGS))
def test_whoever_is_at_a_site_it_answers_alike_and_charges_alike(site: Site, held: str) -> None:
    site.features, site.person = HOLDINGS[held]
    room = accepted(site, long_plan())
    for number in range(1, 5):
        left = room.train(RUN, number, request(number))
        for array in left.values():
            assert np.isfinite(array).all()
    assert site.kinds() == ["accept", *["reserve", "release"] * 4]
    cost = accountant.epsilon(long_plan().events(), 1e-4)
    assert site.ledger.epsilon() == pytest.approx(cost, abs=0.01)


def test_a_broken_person_counts_as_zero_and_nobody_else_changes(site: Site) -> None:
    whole = moment(site, features(4, 2))
    broken = features(5, 2)
    broken[:8] = features(4, 2)
    broken[9, 0] = np.nan
    np.testing.assert_allclose(moment(site, broken, "r2"), whole, atol=1e-6)


def moment(site: Site, held: np.ndarray, run: str = RUN) -> np.ndarray:
    """The mean release of people with two pictures each, without its noise."""

    class Silent(OsEntropy):
        def normal(self, n: int) -> np.ndarray:
            return np.zeros(n)

    site.entropy = Silent()
    site.features, site.person = held, np.repeat(np.arange(len(held) // 2), 2)
    room = site.training()
    room.accept(run, mean_plan().to_json())
    return np.asarray(room.train(run, 1, frame())[SUM])


@given(
    pictures=st.lists(st.integers(1, 4), min_size=1, max_size=5),
    scale=st.sampled_from([1e-3, 1.0, 1e3]),
    seed=st.integers(0, 99),
)
def test_a_person_moves_a_moment_by_at_most_the_clip(
    pictures: list[int], scale: float, seed: int
) -> None:
    plan = noiseless(long_plan())
    person = np.repeat(np.arange(len(pictures)), pictures)
    held = scale * features(len(person), 1, seed)
    for current in plan.rounds[:2]:
        terms = mechanisms.Terms(0.0, OsEntropy(), plan.people)
        sums = [
            next(iter(release(current, held[keep], person[keep], terms).values()))
            for keep in (person >= 0, person > 0)
        ]
        assert np.linalg.norm(sums[0] - sums[1]) <= current.mechanism.clip * (1 + 1e-5)


def release(current: Any, held: np.ndarray, person: np.ndarray, terms: Any) -> Arrays:
    people = SitePeople(held, person)
    return mechanisms.release(current, frame(), people, features(8, 1), terms)


# A malformed request is refused before anybody is charged for it.

Change = Callable[[Arrays], Arrays]
MALFORMED: dict[str, Change] = {
    "nothing": lambda a: {},
    "one missing": lambda a: {FRAME_WEIGHT: a[FRAME_WEIGHT]},
    "one more": lambda a: {**a, "extra": np.ones(1, np.float32)},
    "of another phase": lambda a: tail(),
    "flat": lambda a: {**a, FRAME_WEIGHT: a[FRAME_WEIGHT].ravel()},
    "transposed": lambda a: {**a, FRAME_WEIGHT: a[FRAME_WEIGHT].T},
    "no rows": lambda a: {FRAME_WEIGHT: np.empty((0, D), "f4"), FRAME_BIAS: np.empty(0, "f4")},
    "too many rows": lambda a: {
        FRAME_WEIGHT: np.zeros((2049, D), "f4"),
        FRAME_BIAS: np.zeros(2049, "f4"),
    },
    "a long bias": lambda a: {**a, FRAME_BIAS: np.zeros(K + 1, "f4")},
    "float64": lambda a: {**a, FRAME_BIAS: a[FRAME_BIAS].astype(np.float64)},
    "nan": lambda a: {**a, FRAME_BIAS: np.full(K, np.nan, np.float32)},
    "infinite": lambda a: {**a, FRAME_WEIGHT: np.full((K, D), np.inf, np.float32)},
}


@pytest.mark.parametrize("kind", sorted(MALFORMED))
def test_a_malformed_request_is_refused_and_charges_nobody(site: Site, kind: str) -> None:
    room = accepted(site, mean_plan())
    with pytest.raises(WireError):
        room.train(RUN, 1, MALFORMED[kind](frame()))
    assert site.kinds() == ["accept"]
    assert set(room.train(RUN, 1, frame())) == {SUM}


@pytest.mark.parametrize("size", [1e30, 3e38])
def test_absurd_coordinates_do_not_change_what_a_person_may_move(site: Site, size: float) -> None:
    room = accepted(site, long_plan())
    for number in range(1, 5):
        shared = {n: np.full_like(a, size) for n, a in request(number).items()}
        for array in room.train(RUN, number, shared).values():
            assert np.isfinite(array).all()


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
    room.accept(RUN, mean_plan(release_slot=60.0).to_json())
    assert set(room.train(RUN, 1, frame())) == {SUM}
    assert slept == [held]


def test_a_slot_longer_than_the_operator_allows_is_refused(site: Site) -> None:
    refused(site, mean_plan(release_slot=1e6).to_json(), PlanError)


def test_nothing_of_a_site_is_printed(site: Site) -> None:
    site.features[:] = 0.123456789
    room = site.training()
    for thing in (room, SitePeople(site.features, site.person)):
        assert "0.123" not in repr(thing)
        assert "15" not in repr(thing)
    assert math.isfinite(site.ledger.epsilon())
