"""Bad weather for a federation inside one process: everything that goes wrong comes from one seed.

Messages and replies are lost, come late, twice, in another order or broken; agents and the centre
die at named steps. Time is virtual: nobody sleeps, and the same seed gives the same run.
"""

import copy
import heapq
import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from common import wire
from simulations.flower import stamp
from simulations.grid import InProcessGrid

TIMEOUT = 3600.0  # virtual seconds, where the centre names none
USUAL = 0.4  # of the timeout: what one way takes at most when it is not late
LATE = 4.0  # times the timeout: what one way takes at most when it is


class PowerCut(BaseException):
    """The process that was doing this is no more. Nothing that handles errors may handle it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Odds:
    """The chance of each fault, by message, reply or step; 0 everywhere is fair weather."""

    drop: float = 0.0  # one way of a message or reply
    late: float = 0.0  # one way takes longer than the centre waits
    twice: float = 0.0  # one way is travelled twice
    corrupt: float = 0.0  # one way breaks the content visibly
    reorder: bool = False  # what is under way overtakes
    agent: float = 0.0  # each step of an agent
    centre: float = 0.0  # each time the centre sends, and each time it waits


STORM = Odds(drop=0.06, late=0.06, twice=0.1, corrupt=0.06, reorder=True, agent=0.04, centre=0.05)


class Weather:
    """Draws what happens next. One seed, one sequence: two runs that ask alike are told alike."""

    def __init__(self, odds: Odds, *seed: int) -> None:
        self.odds, self._rng = odds, np.random.default_rng(list(seed))

    def strikes(self, chance: float) -> bool:
        """Whether something of this chance happens now."""
        return bool(self._rng.random() < chance)

    def cut(self, chance: float, step: str) -> None:
        """Raises ``PowerCut`` at ``step``, or not."""
        if self.strikes(chance):
            raise PowerCut(step)

    def ways(self, timeout: float) -> list[float]:
        """How long each copy that arrives takes, in virtual seconds; empty where all are lost."""
        copies = 2 if self.strikes(self.odds.twice) else 1
        return [self._way(timeout) for _ in range(copies) if not self.strikes(self.odds.drop)]

    def breaks(self) -> bool:
        """Whether the content breaks on this way."""
        return self.strikes(self.odds.corrupt)

    def choose(self, count: int) -> int:
        """A number below ``count``."""
        return int(self._rng.integers(count))

    def _way(self, timeout: float) -> float:
        if self.strikes(self.odds.late):
            return timeout * float(self._rng.uniform(1.0, LATE))
        return timeout * USUAL * (float(self._rng.random()) if self.odds.reorder else 0.5)


@dataclass(frozen=True, kw_only=True, eq=False, slots=True)
class Crossing:
    """One message or reply at the moment it left or arrived."""

    what: str  # "sent", "asked" (at the site), "left" (the site), "arrived" (at the centre)
    time: float  # virtual seconds
    exchange: int  # of the centre, during which this happened; from 1
    node: int
    message: Message  # as it was then: a copy nobody changes
    broken: bool = False


@dataclass(order=True)
class _Flight:
    time: float
    number: int
    message: Message = field(compare=False)
    broken: bool = field(compare=False)
    home: bool = field(compare=False)  # a reply


class FaultyGrid(InProcessGrid):
    """The grid in ``weather``. ``crossings`` has everything that crossed it, in order.

    The centre is handed every reply that arrives while it waits, also one to an earlier message,
    which Flower would hold back: it has to see for itself. Raises ``PowerCut`` where the centre
    dies; what is under way then still arrives, and the next exchange may receive it.
    """

    def __init__(
        self, app: ClientApp, sites: int, run_config: dict[str, object], weather: Weather
    ) -> None:
        super().__init__(app, sites, run_config)
        self.weather, self.now = weather, 0.0
        self.crossings: list[Crossing] = []
        self._flights: list[_Flight] = []
        self._numbers, self._exchange = itertools.count(1), 0

    def push_messages(self, messages: Iterable[Message]) -> list[str]:
        raise NotImplementedError("a reply is waited for: use send_and_receive")

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> list[Message]:
        seconds = timeout or TIMEOUT
        self._exchange += 1
        self.weather.cut(self.weather.odds.centre, "centre, before sending")
        waiting = set()
        for message in messages:
            stamped = stamp(message, f"message-{next(self._numbers)}")
            waiting.add(stamped.metadata.message_id)
            self._note("sent", stamped)
            self._depart(stamped, seconds, home=False)
        received = list(self._arrivals(waiting, self.now + seconds, seconds))
        self.weather.cut(self.weather.odds.centre, "centre, while waiting")
        for flight in received:
            self._note("arrived", flight.message, flight.broken)
        return [flight.message for flight in received]

    def _arrivals(self, waiting: set[str], deadline: float, timeout: float) -> Iterator[_Flight]:
        """What reaches the centre until the deadline, or until every message has an answer."""
        while waiting and self._flights and self._flights[0].time <= deadline:
            flight = heapq.heappop(self._flights)
            self.now = flight.time
            if flight.home:
                waiting.discard(flight.message.metadata.reply_to_message_id)
                yield flight
            else:
                self._visit(flight, timeout)
        if waiting:
            self.now = deadline

    def _visit(self, flight: _Flight, timeout: float) -> None:
        """A message at its site, and the reply on its way."""
        self._note("asked", flight.message, flight.broken)
        reply = self._answer(copy.copy(flight.message))
        self._note("left", reply)
        self._depart(reply, timeout, home=True)

    def _depart(self, message: Message, timeout: float, *, home: bool) -> None:
        for seconds in self.weather.ways(timeout):
            carried, broken = copy.copy(message), self.weather.breaks()
            if broken:
                broken = corrupt(carried, self.weather.choose)
            number = next(self._numbers)
            flight = _Flight(self.now + seconds, number, carried, broken, home)
            heapq.heappush(self._flights, flight)

    def _note(self, what: str, message: Message, broken: bool = False) -> None:
        told = message.metadata
        node = told.dst_node_id if what in ("sent", "asked") else told.src_node_id
        self.crossings.append(
            Crossing(
                what=what,
                time=self.now,
                exchange=self._exchange,
                node=node,
                message=copy.copy(message),
                broken=broken,
            )
        )


def corrupt(message: Message, choose: Callable[[int], int]) -> bool:
    """Breaks the content of ``message`` so that whoever checks it can see; False if it has none.

    A flipped bit that leaves a number as good as any other is for TLS to catch, not for a check.
    """
    if not message.has_content():
        return False
    content = message.content
    arrays, config = content.array_records.get(wire.ARRAYS), content.config_records.get(wire.CONFIG)
    if arrays is not None:
        # An agent bounds no request: what is computed from public arrays is clipped anyway.
        kinds = [kind for kind in CORRUPTIONS if kind != "norm" or wire.METRICS in content]
        message.content = _broken(content, arrays, kinds[choose(len(kinds))], choose)
    elif config is not None:
        broken = ConfigRecord(dict(config))
        broken[wire.VERSION] = -1
        broken[wire.CHARTER_DIGEST] = "0" * 64
        if isinstance(said := broken.get(wire.PAYLOAD), bytes) and said:
            broken[wire.PAYLOAD] = said[: choose(len(said))]
        rest = {key: record for key, record in content.items() if key != wire.CONFIG}
        message.content = RecordDict({**rest, wire.CONFIG: broken})
    return True


def _broken(
    content: RecordDict, arrays: ArrayRecord, kind: str, choose: Callable[[int], int]
) -> RecordDict:
    name = sorted(arrays)[choose(len(arrays))]
    changed = {key: arrays[key] for key in arrays}
    changed.update(CORRUPTIONS[kind](name, changed.pop(name)))
    records = {key: content[key] for key in content}
    records[wire.ARRAYS] = ArrayRecord(changed)
    if wire.METRICS in records:  # what a reply claims to weigh must not matter
        records[wire.METRICS] = MetricRecord({wire.WEIGHT: 10**9})
    return RecordDict(records)


def _filled(array: Array, value: float) -> Array:
    return Array(np.full(array.shape, value, np.float32))


def _cut_short(array: Array) -> Array:
    short = copy.copy(array)
    object.__setattr__(short, "data", array.data[: len(array.data) // 2])
    return short


CORRUPTIONS: dict[str, Callable[[str, Array], dict[str, Array]]] = {
    "bytes": lambda name, array: {name: _cut_short(array)},
    "dtype": lambda name, array: {name: Array(np.zeros(array.shape, np.float64))},
    "shape": lambda name, array: {name: Array(np.zeros((*array.shape, 2), np.float32))},
    "nan": lambda name, array: {name: _filled(array, np.nan)},
    "norm": lambda name, array: {name: _filled(array, 1e30)},
    "name": lambda name, array: {name + ".": array},
    "missing": lambda name, array: {},
    "extra": lambda name, array: {name: array, "extra": array},
}
