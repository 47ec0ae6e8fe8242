"""An evaluation at the centre: asked with bytes that last, read, kept, and looked at by nothing."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import Message

from common import wire
from common.errors import CohortError, RunError
from common.models.tail import BIAS, WEIGHT
from common.moments.names import THRESHOLD, asked_name, evaluation_sum
from common.privacy.cells import person_cells
from common.privacy.plan import EvaluationMechanism, GradientMechanism, PrivacyPlan
from common.trust.keys import SigningKey
from server.charter import Charter, EarlyStop
from server.checkpoint import RunState, read_checkpoint
from server.evaluating import Judge
from server.monitor import FMRS, PublicMonitor, rates_of
from server.strategies.rounds import RoundLoop
from simulations.grid import InProcessGrid
from simulations.signing import sign
from tests.fakes import TRUNK, fake_site, refusal, reply

KEY = SigningKey.generate()
INITIAL = {
    WEIGHT: np.eye(3, dtype=np.float32),
    BIAS: np.zeros(3, np.float32),
    "frame.weight": np.eye(3, dtype=np.float32),
    "frame.bias": np.zeros(3, np.float32),
}
LAST = EvaluationMechanism(sigma=0.5, thresholds=1, name="after")
SUM = evaluation_sum("after")
STEPS = GradientMechanism(sigma=1.0, clip=1.0, rate=0.5, rounds=3)


def plan(*mechanisms: Any, **terms: Any) -> PrivacyPlan:
    told = {"people": 10, "delta": 1e-4, "trunk": TRUNK, "cohort": 2, "pooling": "all", **terms}
    return PrivacyPlan(mechanisms=mechanisms or (LAST,), **told)


def monitor(people: int = 40) -> PublicMonitor:
    rng = np.random.default_rng(4)
    person = np.repeat(np.arange(people), 2)
    centre = rng.standard_normal((people, 3))[person]
    return PublicMonitor(
        (centre + 0.1 * rng.standard_normal((len(person), 3))).astype("f4"), person
    )


class Sites:
    """Answers with ten people each, nine of whose ten pairs match; notes what it was asked."""

    def __init__(self, silent: bool = False) -> None:
        self.silent = silent
        self.asked: list[tuple[str, dict[str, np.ndarray]]] = []

    def __call__(self, message: Message, arrays: dict[str, np.ndarray]) -> Message:
        self.asked.append((message.metadata.message_type, arrays))
        if self.silent:
            return refusal(message)
        if THRESHOLD in arrays:
            cells = 8 * person_cells([0.9], [0.01]) + 2 * person_cells(None, [0.01])
            return reply(message, {SUM: cells.astype(np.float32)})
        trained = {n: a for n, a in arrays.items() if n.startswith("tail.")}
        return reply(message, {f"gradient.{n}": np.full_like(a, 0.5) for n, a in trained.items()})


def loop(folder: Path, sites: Any, asked: PrivacyPlan, **how: Any) -> RoundLoop:
    watching = how.pop("monitor", monitor())
    charter = Charter(run="r1", plan=asked, momentum=0.0, **how)
    grid = InProcessGrid(fake_site(sites), 3, {})
    return RoundLoop(grid, charter, sign(charter, INITIAL, KEY), folder, monitor=watching)


def test_sites_are_asked_to_evaluate_and_their_sums_become_rates(tmp_path: Path) -> None:
    sites = Sites()
    state = loop(tmp_path, sites, plan()).run(RunState(plan=plan().digest), INITIAL)
    assert {kind for kind, _ in sites.asked} == {"evaluate"}
    assert set(sites.asked[0][1]) == {WEIGHT, BIAS, THRESHOLD}
    [entry] = state.history
    told = entry["evaluation"]["pools"]["all"]
    assert (entry["sites"], told["sites"]) == (3, 3)
    assert told["people"]["value"] == pytest.approx(30)
    assert told["paired"]["value"] == pytest.approx(24)
    assert told["own"][0]["value"] == pytest.approx(0.9)
    assert told["public"][0]["value"] == pytest.approx(0.01, abs=1e-6)
    deviation = np.sqrt(3) * 0.5 * LAST.clip
    assert told["people"]["error"] == pytest.approx(2 * np.sqrt(2) * deviation)
    kept = read_checkpoint(tmp_path, plan().digest)
    assert kept is not None
    assert kept.history == json.loads(json.dumps(state.history))


def test_the_threshold_is_that_of_public_people_under_the_tail_that_is_sent(
    tmp_path: Path,
) -> None:
    sites = Sites()
    state = loop(tmp_path, sites, plan(STEPS, LAST)).run(RunState(), INITIAL)
    kind, asked = sites.asked[-1]
    assert kind == "evaluate"
    np.testing.assert_array_equal(asked[WEIGHT], state.pools["all"][WEIGHT])
    points = asked[WEIGHT] @ monitor()._features.T + asked[BIAS][:, None]
    unit = (points / np.linalg.norm(points, axis=0)).astype(np.float64)
    person = monitor()._person
    strangers = (unit.T @ unit)[person[:, None] < person]
    assert (strangers >= asked[THRESHOLD][0]).mean() == pytest.approx(1e-2, abs=1e-3)


def test_a_run_broken_off_while_it_evaluates_asks_again_with_the_same_bytes(
    tmp_path: Path,
) -> None:
    silent, digest = Sites(silent=True), plan().digest
    with pytest.raises(CohortError):
        loop(tmp_path, silent, plan()).run(RunState(plan=digest), INITIAL)
    state = read_checkpoint(tmp_path, digest)
    assert state is not None
    assert state.round == 0
    again = Sites()
    other = monitor(60)  # whatever has changed meanwhile, the request has not
    done = loop(tmp_path, again, plan(), monitor=other).run(state, INITIAL)
    assert done.round == 1
    for (_, one), (_, two) in zip(silent.asked, again.asked, strict=True):
        assert wire.dump(one) == wire.dump(two)


def test_an_evaluation_leaves_the_tail_and_early_stopping_alone(tmp_path: Path) -> None:
    judged = plan(dataclasses.replace(STEPS, rounds=6), LAST)

    class Wild(Sites):
        def __call__(self, message: Message, arrays: dict[str, np.ndarray]) -> Message:
            if THRESHOLD in arrays:
                return reply(message, {SUM: np.full(4, 50.0, np.float32)})
            return super().__call__(message, arrays)

    stop = EarlyStop(patience=2)
    with_it = loop(tmp_path / "a", Wild(), judged, early_stop=stop).run(RunState(), INITIAL)
    alone = plan(dataclasses.replace(STEPS, rounds=6))
    without = loop(tmp_path / "b", Sites(), alone, early_stop=stop).run(RunState(), INITIAL)
    for name in (WEIGHT, BIAS):
        assert with_it.pools["all"][name].tobytes() == without.pools["all"][name].tobytes()
    assert [e.get("public") for e in with_it.history[:-1]] == [e["public"] for e in without.history]
    assert "public" not in with_it.history[-1]
    assert len(without.history) < 6  # it did stop early


@pytest.mark.parametrize("people", [None, 5])
def test_without_public_people_enough_nobody_is_asked_for_anything(
    tmp_path: Path, people: int | None
) -> None:
    sites, there = Sites(), None if people is None else monitor(people)
    with pytest.raises(RunError, match="public people beside the charter are enough for 0"):
        loop(tmp_path, sites, plan(STEPS, LAST), monitor=there).run(RunState(), INITIAL)
    assert not sites.asked
    assert read_checkpoint(tmp_path, plan(STEPS, LAST).digest) is None


def test_more_thresholds_than_public_people_are_good_for_are_refused() -> None:
    greedy = plan(EvaluationMechanism(sigma=1.0, thresholds=3))
    with pytest.raises(RunError, match="at 3 thresholds"):
        Judge(plan=greedy, initial=INITIAL, yardstick=monitor(200)).check()
    Judge(plan=plan(STEPS), initial=INITIAL, yardstick=None).check()


def test_rates_are_offered_as_far_as_there_are_public_pairs() -> None:
    for people, pictures, rates in ((45, 1, 0), (46, 1, 1), (142, 1, 2), (2, 500, 2)):
        person = np.repeat(np.arange(people), pictures)
        assert rates_of(person) == FMRS[:rates], people
    assert rates_of(np.zeros(1000, np.int64)) == ()


def test_a_tail_that_tells_nobody_apart_has_a_threshold_that_sites_accept() -> None:
    blind = {**INITIAL, WEIGHT: np.eye(1, 3, dtype=np.float32).repeat(3, axis=0)}
    judge = Judge(plan=plan(), initial=blind, yardstick=monitor())
    [pool] = judge.prepared(plan().rounds[0], {"all": blind}).values()
    assert (np.abs(pool[asked_name("after", THRESHOLD)]) <= 1).all()


def test_a_count_lost_in_the_noise_is_told_as_null(tmp_path: Path) -> None:
    def nobody(message: Message, arrays: dict[str, np.ndarray]) -> Message:
        return reply(message, {SUM: np.array([0.1, 0, -0.2, 0.1], np.float32)})

    state = loop(tmp_path, nobody, plan()).run(RunState(), INITIAL)
    told = state.history[0]["evaluation"]["pools"]["all"]
    assert told["own"] == told["public"] == [None]


def test_a_site_that_sends_nonsense_does_not_enter_the_figures(tmp_path: Path) -> None:
    honest = Sites()

    def some(message: Message, arrays: dict[str, np.ndarray]) -> Message:
        if message.metadata.dst_node_id == 2:
            return reply(message, {SUM: np.full(4, 1e9, np.float32)})
        return honest(message, arrays)

    state = loop(tmp_path, some, plan()).run(RunState(), INITIAL)
    told = state.history[0]["evaluation"]["pools"]["all"]
    assert told["sites"] == 2
    assert told["people"]["value"] == pytest.approx(20)
