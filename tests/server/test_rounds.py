"""The centre's loop: what hostile or missing replies do to a run (nothing), and how it goes on."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, Message, MetricRecord, RecordDict

from common import wire
from common.errors import RunError
from common.privacy.plan import GradientMechanism, MomentMechanism, PrivacyPlan
from common.trust.keys import SigningKey
from server.charter import Charter, EarlyStop
from server.checkpoint import RunState, read_checkpoint
from server.strategies.choice import NAMES, StrategyChoice
from server.strategies.rounds import RoundLoop
from simulations.grid import InProcessGrid
from simulations.signing import sign
from tests.fakes import TRUNK, fake_site, refusal, reply

INITIAL = {
    "tail.weight": np.ones((2, 3), np.float32),
    "tail.bias": np.zeros(2, np.float32),
    "frame.weight": np.ones((2, 3), np.float32),
    "frame.bias": np.zeros(2, np.float32),
}
FRAMED = {**INITIAL, "frame.weight": np.array([[1, 0, 2], [0, 1, 1]], np.float32)}
SUM, KEY = "moments.mean.sum", SigningKey.generate()


def plan(rounds: int = 0, cohort: int = 2) -> PrivacyPlan:
    mean = MomentMechanism(kind="mean", sigma=1.0, clip=1.0, name="mean")
    steps = GradientMechanism(sigma=1.0, clip=1.0, rate=0.5, rounds=max(rounds, 1))
    return PrivacyPlan(
        mechanisms=(mean, steps) if rounds else (mean,),
        people=10,
        delta=1e-4,
        trunk=TRUNK,
        cohort=cohort,
        pooling="all",
    )


def good(message: Message, arrays: dict[str, np.ndarray]) -> Message:
    if "frame.weight" in arrays:
        return reply(message, {SUM: np.array([1, 2], np.float32)})
    trained = {n: a for n, a in arrays.items() if n.startswith("tail.")}
    return reply(message, {f"gradient.{n}": np.full_like(a, 0.5) for n, a in trained.items()})


def loop(folder: Path, train: Callable[..., Message], sites: int = 3, **how: object) -> RoundLoop:
    charter = Charter(run="r1", plan=how.pop("plan", plan()), momentum=0.0, **how)  # type: ignore[arg-type]
    return rounds(InProcessGrid(fake_site(train), sites, {}), charter, folder)


def rounds(grid: InProcessGrid, charter: Charter, folder: Path) -> RoundLoop:
    return RoundLoop(grid, charter, sign(charter, dict(INITIAL), KEY), folder)


def test_a_moment_is_summed_over_the_sites_of_a_pool(tmp_path: Path) -> None:
    state = loop(tmp_path, good).run(RunState(), INITIAL)
    np.testing.assert_allclose(state.pools["all"][SUM], [3, 6])
    np.testing.assert_array_equal(state.pools["all"]["moments.mean.count"], [30, 3])


def test_sites_are_pooled_by_the_camera_type_they_declare(tmp_path: Path) -> None:
    charter = Charter(run="r1", plan=PrivacyPlan.from_json(by_type(plan())))
    site = fake_site(good, lambda i: "grey" if i else "colour")
    state = rounds(InProcessGrid(site, 3, {}), charter, tmp_path).run(RunState(), INITIAL)
    assert {p: float(a["moments.mean.count"][1]) for p, a in state.pools.items()} == {
        "colour": 1.0,
        "grey": 2.0,
    }


@pytest.mark.parametrize("declared", [0, -3, 10**7, "many"])
def test_a_site_that_declares_no_sensible_number_is_not_asked(
    tmp_path: Path, declared: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.fakes.PEOPLE", declared)
    with pytest.raises(RunError, match="0 sites accepted"):
        loop(tmp_path, good).run(RunState(), INITIAL)


def test_a_gradient_round_steps_every_tail(tmp_path: Path) -> None:
    state = loop(tmp_path, good, plan=plan(rounds=2)).run(RunState(), INITIAL)
    np.testing.assert_allclose(state.pools["all"]["tail.weight"], 0.0)
    assert state.round == 3


def test_public_negatives_are_moved_to_where_the_pool_released_its_mean(tmp_path: Path) -> None:
    shifts: list[np.ndarray] = []

    def train(message: Message, arrays: dict[str, np.ndarray]) -> Message:
        if "negatives.shift" in arrays:
            shifts.append(arrays["negatives.shift"])
        return good(message, arrays)

    loop(tmp_path, train, plan=plan(rounds=1)).run(RunState(), FRAMED)
    assert len(shifts) == 3
    # The pool released [3, 6] over 30 people: a mean of [.1, .2] in the frame.
    np.testing.assert_allclose(FRAMED["frame.weight"] @ shifts[0], [0.1, 0.2], atol=1e-6)


def test_without_a_released_mean_negatives_stay_where_they_are(tmp_path: Path) -> None:
    shifts: list[np.ndarray] = []

    def train(message: Message, arrays: dict[str, np.ndarray]) -> Message:
        shifts.append(arrays["negatives.shift"])
        return good(message, arrays)

    steps = PrivacyPlan.from_json(plan(rounds=1).to_json())
    only = dataclasses.replace(steps, mechanisms=steps.mechanisms[1:])
    loop(tmp_path, train, plan=only).run(RunState(), FRAMED)
    assert all((shift == 0).all() for shift in shifts)


HOSTILE: dict[str, Callable[[Message, dict[str, np.ndarray]], Message]] = {
    "wrong shape": lambda m, a: reply(m, {SUM: np.ones(5, np.float32)}),
    "wrong dtype": lambda m, a: reply(m, {SUM: np.ones(2, np.float64)}),
    "nan": lambda m, a: reply(m, {SUM: np.array([np.nan, 1], np.float32)}),
    "infinite": lambda m, a: reply(m, {SUM: np.array([np.inf, 1], np.float32)}),
    "huge": lambda m, a: reply(m, {SUM: np.array([2000, 1], np.float32)}),
    "huge beyond measure": lambda m, a: reply(m, {SUM: np.full(2, 3e38, np.float32)}),
    "extra array": lambda m, a: reply(m, {SUM: np.ones(2, np.float32), "x": np.ones(1, "f4")}),
    "missing array": lambda m, a: reply(m, {}),
    "extra metric": lambda m, a: reply(m, {SUM: np.ones(2, "f4")}, **{wire.WEIGHT: 1, "age": 3}),
    "no metric": lambda m, a: reply(m, {SUM: np.ones(2, "f4")}, other=1),
    "error": lambda m, a: refusal(m),
    "lying bytes": lambda m, a: lying(m),
    "raises": lambda m, a: 1 / 0,  # type: ignore[return-value]
}


@pytest.mark.parametrize("kind", sorted(HOSTILE))
def test_a_malformed_reply_neither_stops_a_run_nor_enters_the_average(
    tmp_path: Path, kind: str
) -> None:
    def train(message: Message, arrays: dict[str, np.ndarray]) -> Message:
        hostile = message.metadata.dst_node_id == 3
        return (HOSTILE[kind] if hostile else good)(message, arrays)

    run = loop(tmp_path, train)
    state = run.run(RunState(), INITIAL)
    np.testing.assert_allclose(state.pools["all"][SUM], [2, 4])
    np.testing.assert_array_equal(state.pools["all"]["moments.mean.count"], [20, 2])
    assert sum(run.refused.values()) == 1


@pytest.mark.parametrize("weight", [-5, 0, 1e12])
def test_the_weight_a_reply_claims_is_ignored(tmp_path: Path, weight: float) -> None:
    def train(message: Message, arrays: dict[str, np.ndarray]) -> Message:
        if message.metadata.dst_node_id == 3:
            return reply(message, {SUM: np.array([4, 8], np.float32)}, **{wire.WEIGHT: weight})
        return good(message, arrays)

    state = loop(tmp_path, train).run(RunState(), INITIAL)
    np.testing.assert_allclose(state.pools["all"][SUM], [6, 12])


def test_too_few_sites_stop_a_run_with_a_clear_word(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="3 sites accepted the plan, the cohort minimum is 4"):
        loop(tmp_path, good, plan=plan(cohort=4)).run(RunState(), INITIAL)
    with pytest.raises(RunError, match="0 sites answered"):
        loop(tmp_path, lambda m, a: refusal(m)).run(RunState(), INITIAL)


def test_a_run_goes_on_from_its_checkpoint_to_the_same_end(tmp_path: Path) -> None:
    whole = loop(tmp_path / "whole", good, plan=plan(rounds=4)).run(RunState(), INITIAL)
    asked: list[int] = []

    def failing(message: Message, arrays: dict[str, np.ndarray]) -> Message:
        number = int(message.content.config_records[wire.CONFIG][wire.ROUND])  # type: ignore[arg-type]
        asked.append(number)
        return good(message, arrays) if number < 4 else refusal(message)

    digest = plan(rounds=4).digest
    with pytest.raises(RunError):
        loop(tmp_path, failing, plan=plan(rounds=4)).run(RunState(plan=digest), INITIAL)
    state = read_checkpoint(tmp_path, digest)
    assert state is not None
    assert state.round == 3
    asked.clear()
    resumed = loop(tmp_path, good, plan=plan(rounds=4)).run(state, INITIAL)
    for name, array in whole.pools["all"].items():
        np.testing.assert_array_equal(resumed.pools["all"][name], array)


def test_a_checkpoint_of_another_plan_is_refused(tmp_path: Path) -> None:
    loop(tmp_path, good).run(RunState(plan=plan().digest), INITIAL)
    with pytest.raises(RunError, match="another plan"):
        read_checkpoint(tmp_path, plan(rounds=2).digest)


def test_gradient_rounds_stop_early_when_public_people_gain_nothing(tmp_path: Path) -> None:
    class Flat:
        def score(self, arrays: object) -> float:
            return 0.5

    run = loop(tmp_path, good, plan=plan(rounds=9), early_stop=EarlyStop(patience=2))
    run.monitor = Flat()
    state = run.run(RunState(), INITIAL)
    assert [h["mechanism"] for h in state.history] == ["mean"] + ["gradient"] * 3
    assert state.round == 10  # the plan is over: what was left out is not to be made up for


def test_a_run_that_stopped_early_and_was_broken_off_stays_stopped(tmp_path: Path) -> None:
    state = loop(tmp_path, good, plan=plan(rounds=3)).run(RunState(), INITIAL)
    for entry in state.history[1:]:
        entry["public"] = 0.5
    resumed = loop(tmp_path, good, plan=plan(rounds=9), early_stop=EarlyStop(patience=2))
    assert [h["round"] for h in resumed.run(state, INITIAL).history] == [1, 2, 3, 4]


def test_shared_noise_needs_its_sites_in_every_pool(tmp_path: Path) -> None:
    shared = dataclasses.replace(plan(), pooling="camera_type", noise="distributed", honest_sites=2)

    def run(types: str, answers: Callable[..., Message] = good) -> RunState:
        site = fake_site(answers, lambda i: types[i])
        grid = InProcessGrid(site, len(types), {})
        return rounds(grid, Charter(run="r1", plan=shared), tmp_path / types).run(
            RunState(), INITIAL
        )

    assert set(run("aabb").pools) == {"a", "b"}
    with pytest.raises(RunError, match="fewer than the 2 sites"):
        run("aaab")

    def last_one_fails(message: Message, arrays: dict[str, np.ndarray]) -> Message:
        return refusal(message) if message.metadata.dst_node_id == 6 else good(message, arrays)

    with pytest.raises(RunError, match="fewer than the 2 sites"):
        run("aaabb", last_one_fails)
    assert read_checkpoint(tmp_path / "aaabb", shared.digest) is None


def by_type(pooled: PrivacyPlan) -> str:
    return pooled.to_json().replace('"pooling":"all"', '"pooling":"camera_type"')


def lying(message: Message) -> Message:
    array = Array(np.ones(2, np.float32))
    object.__setattr__(array, "data", b"not an array")
    content = RecordDict(
        {wire.ARRAYS: ArrayRecord({SUM: array}), wire.METRICS: MetricRecord({wire.WEIGHT: 1})}
    )
    return Message(content, reply_to=message)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("pooling", ["all", "camera_type"])
def test_a_broken_off_run_of_any_strategy_ends_as_an_unbroken_one(
    tmp_path: Path, name: str, pooling: Literal["all", "camera_type"]
) -> None:
    steps = GradientMechanism(sigma=1.0, clip=1.0, rate=0.5, rounds=4)
    pulled = dataclasses.replace(steps, steps_per_round=2, proximal=0.1)  # as fedprox asks
    offered = dataclasses.replace(
        plan(), mechanisms=(*plan().mechanisms, pulled), cohort=7, pooling=pooling
    )
    charter = Charter(run="r1", plan=offered, strategy=StrategyChoice(name=name))

    def start(folder: Path, state: RunState, last: int) -> RunState:
        grid = InProcessGrid(fake_site(various(last), lambda i: "ab"[i % 2]), 14, {})
        return rounds(grid, charter, folder).run(state, FRAMED)

    whole = start(tmp_path / "whole", RunState(plan=offered.digest), 5)
    with pytest.raises(RunError):
        start(tmp_path, RunState(plan=offered.digest), 3)
    state = read_checkpoint(tmp_path, offered.digest)
    assert state is not None
    assert state.round == 3
    resumed = start(tmp_path, state, 5)
    assert set(resumed.pools) == ({"all"} if pooling == "all" else {"a", "b"})
    for pool, arrays in whole.pools.items():
        assert {n: a.tobytes() for n, a in arrays.items()} == {
            n: a.tobytes() for n, a in resumed.pools[pool].items()
        }
        assert not np.array_equal(arrays["tail.weight"], FRAMED["tail.weight"])
        remembers = {n.split(".")[0] for n in arrays} & {"velocity", "optimiser"}
        assert remembers == {"optimiser" if name in ("fedadam", "fedyogi") else "velocity"}


def test_a_checkpoint_of_another_strategy_is_not_gone_on_from(tmp_path: Path) -> None:
    digest = plan().digest
    loop(tmp_path, good).run(RunState(plan=digest), INITIAL)
    state = read_checkpoint(tmp_path, digest)
    assert state is not None
    median = loop(tmp_path, good, strategy=StrategyChoice(name="fedmedian"), plan=plan(cohort=3))
    with pytest.raises(RunError, match="another strategy"):
        median.run(state, INITIAL)


def test_a_pool_too_small_for_its_strategy_stops_a_run_before_it_begins(tmp_path: Path) -> None:
    asked: list[Message] = []

    def train(message: Message, arrays: dict[str, np.ndarray]) -> Message:
        asked.append(message)
        return good(message, arrays)

    pooled = PrivacyPlan.from_json(by_type(plan()))
    charter = Charter(run="r1", plan=pooled, strategy=StrategyChoice(name="krum"))
    grid = InProcessGrid(fake_site(train, lambda i: "a" if i < 5 else "b"), 9, {})
    with pytest.raises(RunError, match="needs 5 sites in every pool, 'b' has 4"):
        rounds(grid, charter, tmp_path).run(RunState(), INITIAL)
    assert not asked


def test_a_pool_that_shrinks_below_its_strategys_need_stops_a_run(tmp_path: Path) -> None:
    def train(message: Message, arrays: dict[str, np.ndarray]) -> Message:
        return refusal(message) if message.metadata.dst_node_id == 4 else good(message, arrays)

    pooled = PrivacyPlan.from_json(by_type(plan()))
    choice = StrategyChoice(name="fedtrimmedavg")
    run = loop(tmp_path, train, 5, plan=pooled, strategy=choice)
    with pytest.raises(RunError, match=r"round 1: fedtrimmedavg with .* needs 5 sites"):
        run.run(RunState(), INITIAL)
    assert read_checkpoint(tmp_path, pooled.digest) is None


def test_the_optimiser_takes_the_place_of_the_momentum_and_counts_gradient_rounds(
    tmp_path: Path,
) -> None:
    choice = StrategyChoice(name="fedadam")
    charter = Charter(run="r1", plan=plan(rounds=1), momentum=0.9, strategy=choice)
    grid = InProcessGrid(fake_site(good), 3, {})
    state = rounds(grid, charter, tmp_path).run(RunState(), INITIAL)
    arrays = state.pools["all"]
    np.testing.assert_allclose(arrays[SUM], [3, 6])  # a sum of moments is not optimised
    first, second = 0.1 * -0.5, 0.01 * 0.5**2  # of the first gradient round, not of round 2
    rate = 1e-3 * np.sqrt(1 - 0.99**2) / (1 - 0.9**2)
    moved = rate * first / (np.sqrt(second) + 1e-3)
    np.testing.assert_allclose(arrays["tail.weight"], 1 + moved, rtol=1e-6)


def test_a_robust_moment_says_how_much_noise_it_carries(tmp_path: Path) -> None:
    run = loop(tmp_path, good, 5, plan=plan(cohort=5), strategy=StrategyChoice(name="krum"))
    krum = run.run(RunState(), INITIAL).pools["all"]
    np.testing.assert_allclose(krum[SUM], [5, 10])
    assert krum["moments.mean.noise"] == 5
    plain = loop(tmp_path, good).run(RunState(), INITIAL).pools["all"]
    assert plain["moments.mean.noise"] == 1


def various(last: int) -> Callable[..., Message]:
    """Sites that answer differently by node and round, and fail after round ``last``."""

    def train(message: Message, arrays: dict[str, np.ndarray]) -> Message:
        number = int(message.content.config_records[wire.CONFIG][wire.ROUND])  # type: ignore[arg-type]
        if number > last:
            return refusal(message)
        rng = np.random.default_rng([message.metadata.dst_node_id, number])
        if "frame.weight" in arrays:
            return reply(message, {SUM: rng.random(2, np.float32)})
        trained = {n: a for n, a in arrays.items() if n.startswith("tail.")}
        return reply(
            message, {f"gradient.{n}": rng.random(a.shape, np.float32) for n, a in trained.items()}
        )

    return train
