"""The weather: every fault happens, from one seed, and only where it was asked for."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, RecordDict

from common import wire
from simulations.faults import CORRUPTIONS, FaultyGrid, Odds, PowerCut, Weather, corrupt
from simulations.trial import MortalLedger, Trial
from tests.fakes import fake_site, reply

SITES, TIMEOUT = 5, 100.0


def grid(odds: Odds, seed: int = 1) -> FaultyGrid:
    site = fake_site(lambda m, a: reply(m, {"b": np.full(2, m.metadata.dst_node_id, np.float32)}))
    return FaultyGrid(site, SITES, {}, Weather(odds, seed))


def asked(group: str = "1") -> list[Message]:
    record = ArrayRecord({"a": Array(np.zeros(3, np.float32))})
    content = RecordDict({wire.ARRAYS: record, wire.CONFIG: ConfigRecord({wire.ROUND: 1})})
    return [Message(content, n, "train", group_id=group) for n in range(2, 2 + SITES)]


def exchange(on: FaultyGrid, group: str = "1") -> list[tuple[int, str]]:
    replies = on.send_and_receive(asked(group), timeout=TIMEOUT)
    return [(r.metadata.src_node_id, r.metadata.group_id) for r in replies]


def count(on: FaultyGrid, what: str) -> int:
    return sum(c.what == what for c in on.crossings)


def test_fair_weather_is_an_ordinary_grid() -> None:
    fair = grid(Odds())
    assert exchange(fair) == [(n, "1") for n in range(2, 2 + SITES)]
    assert [count(fair, w) for w in ("sent", "asked", "left", "arrived")] == [SITES] * 4
    assert fair.now < TIMEOUT


def test_what_is_lost_does_not_arrive_and_the_centre_waits_to_the_end() -> None:
    lossy = grid(Odds(drop=0.4))
    arrived = exchange(lossy)
    assert len(arrived) < SITES
    assert count(lossy, "asked") < SITES
    assert lossy.now == TIMEOUT


def test_what_is_late_arrives_in_a_later_exchange_with_its_own_label() -> None:
    slow = grid(Odds(late=0.5))
    labels = [{label for _, label in exchange(slow, str(n))} for n in range(1, 6)]
    assert any(str(n + 1) not in seen or len(seen) > 1 for n, seen in enumerate(labels))
    assert any(min(seen, default="9") < str(n + 1) for n, seen in enumerate(labels))


def test_what_goes_twice_reaches_site_and_centre_twice() -> None:
    doubled = grid(Odds(twice=1.0))
    exchange(doubled)
    exchange(doubled)
    assert count(doubled, "asked") > SITES * 2
    assert count(doubled, "arrived") > SITES * 2


def test_replies_overtake_each_other_only_where_they_may() -> None:
    orders = [exchange(grid(Odds(reorder=True), seed)) for seed in range(4)]
    assert all(sorted(order) == sorted(orders[0]) for order in orders)
    assert len({tuple(order) for order in orders}) > 1


def test_the_centre_dies_before_it_sends_or_while_it_waits() -> None:
    steps = set()
    for seed in range(12):
        dying = grid(Odds(centre=0.5), seed)
        try:
            exchange(dying)
        except PowerCut as cut:
            steps.add((str(cut), count(dying, "asked") > 0, count(dying, "arrived")))
    assert steps == {("centre, before sending", False, 0), ("centre, while waiting", True, 0)}


def test_an_agent_dies_at_each_of_its_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: set[str] = set()
    real = Weather.cut

    def noted(self: Weather, chance: float, step: str) -> None:
        try:
            real(self, chance, step)
        except PowerCut:
            steps.add(step)
            raise

    monkeypatch.setattr(Weather, "cut", noted)
    for seed in range(6):
        Trial(seed=seed, folder=tmp_path / str(seed), odds=Odds(agent=0.1)).run()
    assert steps == {
        "before the charge",
        "after the charge, before the noise",
        "after the noise, before the bytes are stored",
        "after the bytes are stored, before the reply",
    }


def test_a_dead_agent_leaves_its_ledger_as_it_was_on_the_disk(tmp_path: Path) -> None:
    trial = Trial(seed=1, folder=tmp_path, odds=Odds())
    trial.run()
    before = {p.name: p.read_bytes() for p in tmp_path.glob("site-0.db*")}
    with trial.as_it_is_on_the_disk(0):
        for path in tmp_path.glob("site-0.db*"):
            path.write_bytes(b"changed")
    assert {p.name: p.read_bytes() for p in tmp_path.glob("site-0.db*")} == before
    assert MortalLedger.__mro__[1].__name__ == "Ledger"  # production's own settings


@pytest.mark.parametrize("kind", sorted(CORRUPTIONS))
def test_what_is_corrupt_is_not_what_was_sent(kind: str) -> None:
    grid(Odds())  # a message can be made in a run only
    [message, *_] = asked()
    answer = reply(message, {"b": np.ones(2, np.float32)})
    whole = answer.content
    kinds = list(CORRUPTIONS)
    assert corrupt(answer, iter_of([kinds.index(kind), 0]))
    assert answer.content is not whole
    changed, before = answer.content.array_records[wire.ARRAYS], whole.array_records[wire.ARRAYS]
    same = set(changed) == set(before) and changed["b"].data == before["b"].data
    assert not same


def test_an_error_has_nothing_to_corrupt() -> None:
    grid(Odds())
    from flwr.app import Error

    answer = Message(Error(1000, "NOT_READY"), reply_to=asked()[0])
    assert not corrupt(answer, lambda count: 0)


def test_weather_is_drawn_from_its_seed_alone() -> None:
    def told(seed: int) -> list[list[float]]:
        weather = Weather(Odds(drop=0.3, late=0.3, twice=0.3, reorder=True), seed)
        return [weather.ways(TIMEOUT) for _ in range(50)]

    assert told(1) == told(1)
    assert told(1) != told(2)


def iter_of(numbers: Iterable[int]):  # type: ignore[no-untyped-def]
    left = iter(numbers)
    return lambda count: next(left)
