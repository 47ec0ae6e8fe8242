"""What the ledger's rows add up to: spent, promised, reserved, released. Rules without a disk."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from client.privacy.chain import LedgerEntry
from common.errors import LedgerError, NotReadyError, PlanError, ReplayError
from common.privacy.accountant import Event, canonical
from common.privacy.plan import PrivacyPlan

Key = tuple[str, int]  # run and round


@dataclass(frozen=True, slots=True)
class Accepted:
    """What a run is bound to: its plan, the very charter it came in, and its initial arrays.

    ``charter`` is a digest, ``arrays`` has one for each array; empty where no charter was signed.
    ``members`` are the sites of its pool whose secure sums it is part of.
    """

    plan: PrivacyPlan
    charter: str = ""
    arrays: Mapping[str, str] = field(default_factory=dict)
    members: tuple[str, ...] = ()


@dataclass(slots=True)
class Promise:
    """An accepted plan: what each round costs, and which rounds are paid already."""

    digest: str
    charter: str
    phases: tuple[tuple[Event, int], ...]  # the event of a round, and how many rounds in a row
    open: bool = True
    reserved: set[int] = field(default_factory=set)
    overdrawn: bool = False  # a round was charged twice, so the plan's price no longer holds

    def event(self, number: int) -> Event:
        """What round ``number`` (from 1) costs; PlanError outside the plan."""
        first = 1
        for event, count in self.phases:
            if first <= number < first + count:
                return event
            first += count
        raise PlanError(f"the plan has no round {number}")

    def left(self) -> Iterable[Event]:
        """What the rounds never reserved will cost; nothing once the run is finished."""
        steps: Counter[Event] = Counter()
        for event, count in self.phases if self.open else ():
            steps[event] += count
        steps.subtract(self.event(number) for number in self.reserved if self.open)
        return (Event(e.sigma, e.rate, e.steps * count) for e, count in steps.items() if count)


class Account:
    """The state that follows from the rows, row by row."""

    def __init__(self, entries: Iterable[LedgerEntry] = ()) -> None:
        self._spent: Counter[tuple[float, float]] = Counter()
        self._charged: Counter[tuple[float, float]] = Counter()  # since the year began
        self.year: int | None = None  # None: no budget was ever refreshed
        self._promises: dict[str, Promise] = {}
        self._digests: dict[Key, str] = {}
        self._releases: dict[Key, LedgerEntry] = {}
        for entry in entries:
            try:
                self.apply(entry)
            except (KeyError, TypeError, ValueError, PlanError) as error:
                raise LedgerError(f"row {entry.sequence} makes no sense: {error}") from None

    def apply(self, entry: LedgerEntry) -> None:
        """Takes one more row into account."""
        key = entry.run, entry.round
        if entry.kind == "accept":
            detail = json.loads(entry.detail)
            rounds = tuple((Event(s, q, steps), count) for s, q, steps, count in detail["phases"])
            charter = detail.get("charter", "")
            self._promises[entry.run] = Promise(entry.digest, charter, rounds)
        elif entry.kind == "reserve":
            sigma, rate, steps = json.loads(entry.detail)
            self._spent[sigma, rate] += steps
            self._charged[sigma, rate] += steps
            promise = self._promises[entry.run]
            promise.overdrawn |= entry.round in promise.reserved
            promise.reserved.add(entry.round)
            self._digests[key] = entry.digest
        elif entry.kind == "release":
            self._releases[key] = entry
        elif entry.kind == "masked":
            if self._digests[key] != entry.digest:
                raise ValueError("masked bytes of another request")
        elif entry.kind == "finish":
            self._promises[entry.run].open = False
        elif entry.kind == "year":
            self._begin(int(entry.detail))
        else:
            raise ValueError("unknown kind of row")

    def spent(self) -> tuple[Event, ...]:
        """Everything ever reserved, over all runs and years: what a person has lost at most."""
        return canonical(Event(*key, steps) for key, steps in self._spent.items())

    def charged(self) -> tuple[Event, ...]:
        """What counts against the budget: all that was spent, or since the last year began."""
        return canonical(Event(*key, steps) for key, steps in self._charged.items())

    def promised(self) -> tuple[Event, ...]:
        """What all open plans may still reserve."""
        return canonical(e for promise in self._promises.values() for e in promise.left())

    def protected(self, against: str) -> tuple[Event, ...]:
        """What run ``against`` may not use up: the promises to other runs that kept to theirs."""
        others = (p for run, p in self._promises.items() if run != against and not p.overdrawn)
        return canonical(event for promise in others for event in promise.left())

    def _begin(self, year: int) -> None:
        if self.year is not None:
            if year <= self.year:
                raise ValueError("years go one way")
            self._charged.clear()  # not the first time: nobody knows when that was spent
        self.year = year

    def known(self, run: str, digest: str, charter: str) -> bool:
        """Whether this very plan and charter are accepted; ReplayError if the run has others or
        is over."""
        promise = self._promises.get(run)
        if promise is None:
            return False
        if promise.digest != digest:
            raise ReplayError("the run was accepted with another plan")
        if promise.charter != charter:
            raise ReplayError("the run was accepted with another charter")
        if not promise.open:
            raise ReplayError("the run is finished")
        return True

    def holds(self, charter: str) -> bool:
        """Whether a run was accepted under this very charter."""
        return any(promise.charter == charter for promise in self._promises.values())

    def planned(self, run: str, number: int) -> Event:
        """What ``number`` of an open ``run`` costs; NotReadyError without an accepted plan."""
        promise = self._promises.get(run)
        if promise is None:
            raise NotReadyError("no plan was accepted for this run")
        if not promise.open:
            raise ReplayError("the run is finished")
        return promise.event(number)

    def first(self, run: str, number: int) -> bool:
        """Whether round ``number`` of an accepted run was never reserved."""
        return number not in self._promises[run].reserved

    def released(self, run: str, number: int, digest: str) -> LedgerEntry | None:
        """The release row of a round, if any; ReplayError if the round is another request's."""
        if self._digests.get((run, number), digest) != digest:
            raise ReplayError(f"round {number} was asked before with other contents")
        return self._releases.get((run, number))


def accept_detail(accepted: Accepted) -> str:
    """What is charged of a plan, in a form that outlives later versions of plans, and the rest."""
    plan = accepted.plan
    phases = [[m.event.sigma, m.event.rate, m.event.steps, m.rounds] for m in plan.mechanisms]
    detail: dict[str, object] = {"phases": phases, "plan": plan.to_json()}
    if accepted.charter:
        detail |= {"charter": accepted.charter, "arrays": dict(accepted.arrays)}
    if accepted.members:
        detail |= {"members": list(accepted.members)}
    return json.dumps(detail)


@lru_cache(maxsize=16)
def accepted_of(detail: str) -> Accepted:
    """What ``accept_detail`` was made of."""
    table = json.loads(detail)
    plan = PrivacyPlan.from_json(table["plan"])
    members = tuple(table.get("members", ()))
    return Accepted(plan, table.get("charter", ""), table.get("arrays", {}), members)


def reserve_detail(event: Event) -> str:
    """One event as a row stores it; floats survive JSON exactly."""
    return json.dumps([event.sigma, event.rate, event.steps])
