"""Federations in bad weather keep every rule, and a rule that is broken on purpose is noticed."""

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from flwr.app import Message
from numpy.typing import NDArray

from client.agent.training import Training
from client.privacy.ledger import Ledger
from common.moments.names import sum_name
from server.strategies.rounds import RoundLoop
from server.strategies.validating import Validating
from simulations.faults import Odds
from simulations.invariants import broken, survivors
from simulations.trial import Aftermath, Trial

FAIR = Odds()
ROUGH = Odds(drop=0.15, late=0.15, twice=0.3, corrupt=0.15, reorder=True)
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 (a folder of our own)
SEEDS = 200
MANY = 10_000


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    for name in ("flwr", "client", "server"):
        caplog.set_level(logging.CRITICAL, name)  # for one test: others read these logs


def trial(seed: int, **how: Any) -> Aftermath:
    with TemporaryDirectory(dir=MEMORY) as folder:
        return Trial(seed=seed, folder=Path(folder), **how).run()


def test_every_rule_holds_after_two_hundred_storms() -> None:
    seen = weathered(range(SEEDS))
    for what in ("finished", "given up", "broken", "UNAVAILABLE", "PRIVACY_BUDGET_EXHAUSTED"):
        assert seen[what] >= 5, seen  # the storm was one


def test_every_rule_holds_where_the_first_and_the_last_tail_are_evaluated() -> None:
    seen = weathered(range(40), evaluated=True)
    for what in ("finished", "given up", "broken", "UNAVAILABLE"):
        assert seen[what] >= 2, seen


@pytest.mark.slow
def test_every_rule_holds_after_ten_thousand_storms() -> None:
    assert weathered(range(SEEDS, SEEDS + MANY))["finished"] > MANY / 4


def weathered(seeds: range, **how: Any) -> Counter[str]:
    """What was met with under ``seeds``, each of which keeps every rule."""
    seen: Counter[str] = Counter()
    for seed in seeds:
        left = trial(seed, **how)
        assert broken(left) == [], f"seed {seed}"
        seen["finished" if left.finished else "given up"] += 1
        for c in left.crossings:
            seen["broken"] += c.broken
            if c.what == "left" and c.message.has_error():
                seen[str(c.message.error.reason)] += 1
    return seen


@pytest.mark.parametrize("seed", range(4))
def test_the_same_seed_gives_the_same_run_and_another_seed_another(seed: int) -> None:
    one = trial(seed).hash
    assert trial(seed).hash == one
    assert trial(seed + 100).hash != one


@pytest.mark.parametrize("seed", range(6))
def test_a_run_whose_centre_died_ends_as_if_it_had_not(seed: int) -> None:
    evaluated = seed % 2 == 1
    fair = trial(seed, odds=FAIR, evaluated=evaluated)
    died = trial(seed, odds=Odds(centre=0.25, twice=0.3), evaluated=evaluated)
    assert fair.finished
    assert died.finished
    assert died.stops == ()
    assert len(died.crossings) > len(fair.crossings)
    assert fair.state is not None
    assert died.state is not None
    assert died.state.history == fair.state.history
    for pool, arrays in fair.state.pools.items():
        for name, array in arrays.items():
            assert died.state.pools[pool][name].tobytes() == array.tobytes()
    assert {n: b.epsilon for n, b in died.books.items()} == {
        n: b.epsilon for n, b in fair.books.items()
    }


def test_in_fair_weather_everybody_is_counted_and_charged_once() -> None:
    left = trial(3, odds=FAIR)
    for number in range(1, len(left.charter.plan.rounds) + 1):
        assert set(survivors(left, number)) == set(left.pool_of)
    rounds = len(left.charter.plan.rounds)
    for books in left.books.values():
        assert [e.kind for e in books.entries] == ["accept", *["reserve", "release"] * rounds]


# Mutants: one rule of the centre or of the agent is taken out, and the checker has to say so.


def caught(*words: str, seeds: int = 12, **how: Any) -> bool:
    """Whether one of ``words`` is said about a trial with one of the first seeds."""
    found = (fault for seed in range(seeds) for fault in broken(trial(seed, **how)))
    return any(word in fault for fault in found for word in words)


def test_a_centre_that_lets_duplicates_pass_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not caught("sites were counted", odds=ROUGH)
    real = Validating.aggregate_train

    def passing(self: Validating, number: int, replies: Any) -> Any:
        good = [r for r in replies if self._fault(r) is None]
        return self.inner.aggregate_train(number, good) if good else real(self, number, [])

    monkeypatch.setattr(Validating, "aggregate_train", passing)
    assert caught("sites were counted", odds=ROUGH)


def test_a_centre_that_takes_late_replies_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def everything(self: RoundLoop, messages: list[Message], group: str) -> list[Message]:
        asked = {m.metadata.dst_node_id for m in messages}
        replies = self.grid.send_and_receive(messages, timeout=self.charter.timeout)
        return [r for r in replies if r.metadata.src_node_id in asked]

    late = Odds(late=0.1)  # more of it would lose a pool, which stops a run
    assert not caught("round 4", "sum over exactly", odds=late, gradient=1.0)
    monkeypatch.setattr(RoundLoop, "_exchange", everything)
    assert caught("round 4", "sum over exactly", odds=late, gradient=1.0, seeds=40)


def test_a_centre_that_takes_broken_replies_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    real = Validating._content_fault

    def lax(self: Validating, content: Any) -> str | None:
        fault = real(self, content)
        return None if fault == "norm" else fault

    monkeypatch.setattr(Validating, "_content_fault", lax)
    assert caught("sum over exactly", odds=Odds(corrupt=0.2), seeds=40)


class Uncharged(Training):
    """Releases without asking its ledger."""

    def _train(self, run: str, number: int, arrays: Mapping[str, NDArray[Any]]) -> Any:
        size = {1: 3, 2: 6}.get(number)
        if size is None:
            return super()._train(run, number, arrays)
        name = sum_name("mean" if number == 1 else "scatter")
        return {name: self._entropy.normal(size).astype(np.float32)}


def test_an_agent_that_does_not_charge_is_noticed() -> None:
    assert caught("without being charged", odds=FAIR, training=Uncharged)
    assert caught("charged only", odds=FAIR, training=Uncharged)


def test_an_agent_that_draws_anew_for_a_repeat_is_noticed() -> None:
    twice = Odds(twice=0.5)
    assert not caught("different releases", odds=twice)
    assert caught("different releases", odds=twice, training=Uncharged)


@pytest.mark.parametrize("kind", ["reserve", "release"])
def test_a_ledger_that_was_edited_is_noticed(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real: Callable[..., None] = Ledger.verify

    def edited(self: Ledger) -> None:
        self._database.execute("UPDATE entries SET digest = '' WHERE kind = ?", (kind,))
        real(self)

    monkeypatch.setattr(Ledger, "verify", edited)
    assert caught("does not verify", seeds=1, odds=FAIR)


def test_a_run_that_ends_early_without_a_word_is_noticed() -> None:
    left = trial(0, odds=FAIR)
    assert left.state is not None
    left.state.round -= 1
    assert "the run says it is finished" in " ".join(broken(left))
