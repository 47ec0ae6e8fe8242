"""An evaluation is a release like any other: charged, noised, gated, stored, and asked for once."""

import dataclasses
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from client.agent import mechanisms
from client.agent.jobs import Jobs
from client.agent.people import SitePeople
from client.agent.service import AgentService
from client.agent.training import Clock, Training
from client.policy import SitePolicy
from client.privacy.entropy import OsEntropy
from client.privacy.gate import Gate
from client.privacy.ledger import Ledger
from client.privacy.reconcile import Sent, uncharged
from common import wire
from common.errors import (
    AggregationError,
    BudgetError,
    NotReadyError,
    PlanError,
    ReplayError,
    WireError,
)
from common.models.tail import BIAS, WEIGHT, Tail
from common.moments.names import THRESHOLD, evaluation_sum
from common.privacy import accountant
from common.privacy.cells import cells_of, rates
from common.privacy.plan import MomentMechanism, PrivacyPlan, Round
from common.trust.charter import array_digests, shape_of
from common.trust.heads import SignedHead
from protos.gen import agent_pb2 as pb
from simulations.stub import InProcessStub
from tests.fakes import TRUNK
from tests.small_site import (
    FEDERATION,
    RUN,
    D,
    K,
    Site,
    accepted,
    evaluation_plan,
    initial,
    judged,
    mean_plan,
    offer,
)

EVALUATION = evaluation_plan().mechanisms[0]
SUM = evaluation_sum("after")
MEAN = MomentMechanism(kind="mean", sigma=3.0, clip=1.0, name="mean")


def plan(*mechanisms: Any, **terms: Any) -> PrivacyPlan:
    return evaluation_plan(**({"mechanisms": mechanisms} if mechanisms else {}), **terms)


def request(seed: int = 2, **arrays: Any) -> dict[str, Any]:
    return {**judged(seed), **arrays}


def test_it_is_charged_before_the_noise_and_stored_before_it_leaves(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def noted(name: str, method: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            seen.append(name)
            return method(*args, **kwargs)

        return call

    class Noted(OsEntropy):
        def normal(self, n: int) -> np.ndarray:
            return np.asarray(noted("noise", super().normal)(n))

    site.entropy = Noted()
    rows = noted("faces", mechanisms.evaluations)
    monkeypatch.setattr(mechanisms, "evaluations", rows)
    monkeypatch.setattr(Gate, "check", noted("gate", Gate.check))
    for name in ("replay", "reserve", "release"):
        monkeypatch.setattr(Ledger, name, noted(name, getattr(Ledger, name)))
    left = accepted(site, plan()).evaluate(RUN, 1, request())
    assert seen == ["replay", "reserve", "faces", "noise", "gate", "release"]
    assert {name: (a.shape, a.dtype.name) for name, a in left.items()} == {SUM: ((6,), "float32")}
    assert uncharged(site.ledger.entries(), [Sent(RUN, 1, wire.dump(left))]) == ()
    cost = accountant.epsilon(plan().events(), 1e-4)
    assert site.ledger.epsilon() == pytest.approx(cost)


def test_a_repeat_gets_the_same_bytes_also_after_a_restart_and_costs_nothing(site: Site) -> None:
    first = wire.dump(accepted(site, plan()).evaluate(RUN, 1, request()))
    spent = site.ledger.epsilon()
    for _ in range(2):
        assert wire.dump(site.training().evaluate(RUN, 1, request())) == first
        site.restart()
    assert site.ledger.epsilon() == spent
    assert site.kinds() == ["accept", "reserve", "release"]


@pytest.mark.parametrize(
    "changed",
    [{"seed": 3}, {THRESHOLD: np.array([0.2, 0.71], "f4")}, {BIAS: np.zeros(K, np.float32)}],
)
def test_probing_with_other_contents_is_refused_and_free(
    site: Site, changed: dict[str, Any]
) -> None:
    room = accepted(site, plan())
    room.evaluate(RUN, 1, request())
    with pytest.raises(ReplayError):
        room.evaluate(RUN, 1, request(**changed))
    assert site.kinds() == ["accept", "reserve", "release"]


def test_each_further_evaluation_costs_as_much_again_until_nothing_is_left(site: Site) -> None:
    dear = plan(dataclasses.replace(EVALUATION, sigma=1.3))
    room, runs = site.training(), []
    with pytest.raises(BudgetError):
        for number in range(100):
            room.accept(offer(dear, f"probe-{number}"))
            runs.append(wire.dump(room.evaluate(f"probe-{number}", 1, request())))
    assert len(set(runs)) == len(runs) >= 2
    spent = [event for event in dear.events() for _ in runs]
    assert site.ledger.epsilon() == pytest.approx(accountant.epsilon(spent, 1e-4), abs=0.02)
    assert site.ledger.epsilon() <= site.policy.epsilon


def test_a_round_of_the_other_kind_is_refused_and_charges_nobody(site: Site) -> None:
    room = accepted(site, plan(MEAN, EVALUATION))
    with pytest.raises(PlanError, match="another kind"):
        room.evaluate(RUN, 1, request())
    with pytest.raises(PlanError, match="another kind"):
        room.train(RUN, 2, request())
    with pytest.raises(PlanError, match="no round"):
        room.evaluate(RUN, 3, request())
    with pytest.raises(NotReadyError):
        room.evaluate("another", 1, request())
    assert site.kinds() == ["accept"]


HOSTILE: dict[str, dict[str, Any]] = {
    "a tail of NaN": {WEIGHT: np.full((K, D), np.nan, np.float32)},
    "an endless bias": {BIAS: np.full(K, np.inf, np.float32)},
    "a threshold below every cosine": {THRESHOLD: np.array([-2, 0], "f4")},
    "a threshold of NaN": {THRESHOLD: np.array([np.nan, 0], "f4")},
    "more thresholds than the plan has": {THRESHOLD: np.zeros(3, np.float32)},
    "a million thresholds": {THRESHOLD: np.zeros(10**6, np.float32)},
    "no thresholds": {THRESHOLD: np.zeros(0, np.float32)},
    "thresholds in a table": {THRESHOLD: np.zeros((2, 1), np.float32)},
    "doubles": {THRESHOLD: np.zeros(2)},
    "huge K": {WEIGHT: np.zeros((2049, D), np.float32), BIAS: np.zeros(2049, np.float32)},
    "no coordinates": {WEIGHT: np.zeros((0, D), np.float32), BIAS: np.zeros(0, np.float32)},
    "another trunk": {WEIGHT: np.zeros((K, D + 1), np.float32)},
    "labels": {"labels": np.zeros(5, np.float32)},
}


@pytest.mark.parametrize("kind", sorted(HOSTILE))
def test_a_hostile_request_is_refused_before_anybody_pays(site: Site, kind: str) -> None:
    room = accepted(site, plan())
    with pytest.raises(WireError):
        room.evaluate(RUN, 1, request(**HOSTILE[kind]))
    assert site.kinds() == ["accept"]


def test_a_plan_of_more_thresholds_than_there_can_be_is_no_plan() -> None:
    text = plan().to_json().replace('"thresholds":2', '"thresholds":1000000000')
    with pytest.raises(PlanError, match="thresholds"):
        PrivacyPlan.from_json(text)


def test_an_operator_may_forbid_evaluations(site: Site) -> None:
    site.policy = dataclasses.replace(site.policy, tensors=("moments.", "gradient."))
    with pytest.raises(PlanError, match=SUM):
        accepted(site, plan())
    site.policy = SitePolicy(epsilon=8.0, delta=1e-4)
    site.policy.check(plan(), TRUNK)


def test_other_public_people_than_the_charters_are_refused(site: Site) -> None:
    room = site.training()
    room._charters._facts = dataclasses.replace(room._charters._facts, public="a" * 64)
    with pytest.raises(PlanError, match="other public people"):
        room.accept(offer(plan(public="b" * 64)))
    room.accept(offer(plan(public="a" * 64)))


def test_an_answer_leaves_at_the_plans_slot(site: Site) -> None:
    times, slept = iter([100.0, 101.0]), list[float]()
    clock = Clock(now=lambda: next(times), sleep=slept.append)
    room = site.training(partial(Training, clock=clock))
    room.accept(offer(plan(release_slot=60.0)))
    room.evaluate(RUN, 1, request())
    assert slept == [59.0]


def test_under_shared_noise_it_leaves_in_a_secure_sum_only(site: Site) -> None:
    shared = plan(noise="distributed", cohort=3, honest_sites=3)
    with pytest.raises(AggregationError):
        accepted(site, shared)


def test_its_size_in_a_secure_sum_follows_from_the_plan_alone() -> None:
    shapes = {name: shape_of(digest) for name, digest in array_digests(initial()).items()}
    current = Round(1, EVALUATION, range(1))
    assert mechanisms.size_of(current, shapes) == cells_of(2)
    assert mechanisms.size_of(current, {}) == cells_of(2)


def test_a_release_tells_the_rates_of_the_sites_people_and_nothing_but_noise_on_top() -> None:
    rng = np.random.default_rng(5)
    person = np.repeat(np.arange(60), rng.integers(1, 5, 60))
    centre = rng.standard_normal((60, D))
    features = (centre[person] + 0.3 * rng.standard_normal((len(person), D))).astype(np.float32)
    public = rng.standard_normal((50, D)).astype(np.float32)
    asked = request()
    current = Round(1, EVALUATION, range(1))
    terms = mechanisms.Terms(1e-6, OsEntropy(), 5)
    people = SitePeople(features, person)
    told = rates(mechanisms.release(current, asked, people, public, terms)[SUM], 1e-6)
    assert told.people.value == pytest.approx(60, abs=1e-3)
    shown = Tail(asked[WEIGHT], asked[BIAS])
    matched = [_own_share(shown.embed(bag), 0.7) for bag in people.bags() if len(bag) > 1]
    assert told.own[1] is not None
    assert told.own[1].value == pytest.approx(float(np.mean(matched)), abs=1e-4)


def _own_share(points: np.ndarray, threshold: float) -> float:
    unit = points / np.linalg.norm(points, axis=1, keepdims=True)
    cosines = (unit @ unit.T)[np.triu_indices(len(unit), 1)]
    return float((cosines >= np.float32(threshold)).mean())


# Through the service, as a courier asks.


def asking(arrays: dict[str, Any], **words: Any) -> pb.EvaluateRequest:
    told = {"protocol": wire.PROTOCOL, "run": RUN, "round": 1, **words}
    message = pb.EvaluateRequest(**told)
    for name, array in arrays.items():
        encoded = wire.encode(array)
        message.tensors.add(name=name, dtype=encoded.dtype, shape=encoded.shape, data=encoded.data)
    return message


def refusal(stub: Any, message: pb.EvaluateRequest) -> str:
    with pytest.raises(grpc.RpcError) as caught:
        stub.Evaluate(message)
    return str(dict(caught.value.trailing_metadata())["reason"])


@pytest.mark.parametrize("jobs", [None, Jobs()])
def test_a_courier_gets_the_released_sum_and_the_ledgers_head(site: Site, jobs: Any) -> None:
    stub = InProcessStub(AgentService(accepted(site, plan()), jobs))
    told = stub.Evaluate(asking(request()))
    assert [tensor.name for tensor in told.tensors] == [SUM]
    assert told.people == site.policy.declared_people
    assert '"sequence":3' in told.head.replace("\\", "")
    assert stub.Evaluate(asking(request())) == told
    assert refusal(stub, asking(request(3))) == "REPLAY_MISMATCH"


def test_without_a_run_it_says_public_constants_and_takes_nothing(site: Site) -> None:
    stub = InProcessStub(AgentService(accepted(site, plan())))
    constants = pb.EvaluateResponse(people=site.policy.declared_people)
    assert stub.Evaluate(pb.EvaluateRequest(protocol=wire.PROTOCOL)) == constants
    assert refusal(stub, asking(request(), run="")) == "INVALID_REQUEST"
    assert refusal(stub, asking({}, run="")) == "INVALID_REQUEST"
    assert site.kinds() == ["accept"]


def test_the_wrong_call_for_a_round_is_refused_by_name(site: Site) -> None:
    stub = InProcessStub(AgentService(accepted(site, plan(MEAN, EVALUATION)), Jobs()))
    assert refusal(stub, asking(request(), round=1)) == "PLAN_REFUSED"
    train = pb.TrainRequest.FromString(asking(request(), round=2).SerializeToString())
    with pytest.raises(grpc.RpcError) as caught:
        stub.Train(train)
    assert dict(caught.value.trailing_metadata()) == {"reason": "PLAN_REFUSED"}


def test_a_newer_head_than_the_ledgers_ends_evaluations_too(site: Site, tmp_path: Path) -> None:
    stub = InProcessStub(AgentService(accepted(site, plan()), Jobs()))
    newer = SignedHead(federation=FEDERATION, site="north", sequence=9, mac="0" * 64)
    asked = asking(request(), head=newer.sign(site.identity).to_json())
    assert refusal(stub, asked) == "ROLLBACK_DETECTED"
    assert refusal(stub, asking(request())) == "ROLLBACK_DETECTED"
    assert site.kinds() == ["accept"]


def test_a_mean_is_still_trained_as_before(site: Site) -> None:
    room = accepted(site, mean_plan())
    with pytest.raises(PlanError):
        room.evaluate(RUN, 1, request())
