"""How a search pays for the people it is tried on: not at all, trial by trial, or as a selection.

What a trial released cannot be taken back, so it is charged before it is run, on the disk, and a
trial that was stopped halfway stays charged. The ledger is the one that production sites keep.
"""

import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from client.privacy.account import Account
from client.privacy.ledger import Ledger
from common.errors import BudgetError, PlanError
from common.privacy.accountant import Event, epsilon, renyi
from common.privacy.plan import MomentMechanism, PrivacyPlan
from common.privacy.selection import ORDERS, Runs, selection_epsilon

SLACK = 0.998  # of the noise a run is priced at: settings of one price differ by rounding alone
MARGIN = 1e-3  # of a budget, left aside by a selection
FILLED = 1e-6  # relative error of the noise that fills a ledger up

Events = tuple[Event, ...]


class Payment(Protocol):
    """What stands between a search and the people."""

    @property
    def kind(self) -> str:
        """free, every trial, or selection."""

    def begin(self, study: str) -> None:
        """Called once before the first trial, and again when the search goes on."""

    def afford(self, plan: PrivacyPlan, repetitions: int) -> None:
        """Raises ``BudgetError`` unless a whole trial can be paid; charges nothing."""

    def pay(self, run: str, plan: PrivacyPlan) -> None:
        """Returns once ``plan`` may be run; ``BudgetError`` if it may not."""

    def spent(self) -> float:
        """Epsilon of everything these people have lost, earlier runs included."""


@dataclass(frozen=True, slots=True)
class Free:
    """Public or invented people: nobody loses anything."""

    kind: str = "free"

    def begin(self, study: str) -> None:
        """Nothing to do."""

    def afford(self, plan: PrivacyPlan, repetitions: int) -> None:
        """Always."""

    def pay(self, run: str, plan: PrivacyPlan) -> None:
        """Nothing to pay."""

    def spent(self) -> float:
        return 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class EveryTrial:
    """Every trial is charged in full, whatever chose its setting and whatever became of it.

    Guarantee: what all trials released, and everything the ledger held before, is (spent(),
    delta)-DP under adding or removing one person, also for whoever sees all of it.
    """

    ledger: Ledger
    kind: str = "every trial"

    def begin(self, study: str) -> None:
        """Nothing is charged before a trial is."""

    def afford(self, plan: PrivacyPlan, repetitions: int) -> None:
        budget = self.ledger.budget
        cost = trials_epsilon(plan.events(), repetitions, past_of(self.ledger), budget.delta)
        if not cost <= budget.epsilon:
            raise BudgetError(f"epsilon would be {cost:.4g} of {budget.epsilon:.4g}")

    def pay(self, run: str, plan: PrivacyPlan) -> None:
        """Reserves every release of ``plan``; on the disk when it returns."""
        self.ledger.accept(run, plan)
        for release in plan.rounds:
            self.ledger.reserve(run, release.number, plan.digest, release.event)
        self.ledger.finish(run)

    def spent(self) -> float:
        return self.ledger.epsilon()


@dataclass(frozen=True, kw_only=True, slots=True)
class Selected:
    """The best of a secret number of independent runs, and nothing else, is ever let out.

    Each costs ``once``, all repetitions together. Guarantee: see ``selection_epsilon``. Its price
    is no list of Gaussian releases, which is all that a ledger adds up, so it takes whatever the
    ledger has left, and nothing is charged to that ledger any more.
    Leaks: how long a search takes tells how many runs there were. Whoever stops one because of
    what it has found so far chooses differently from what the price is for.
    """

    ledger: Ledger
    runs: Runs
    once: Events
    repetitions: int
    sampler: str
    kind: str = "selection"

    def price(self) -> float:
        """Epsilon of the ledger's past and of the best run; ``PlanError`` for a sampler that
        looks at other runs."""
        delta, past = self.ledger.budget.delta, past_of(self.ledger)
        return selection_epsilon(self._once, delta, self.runs, sampler=self.sampler, before=past)

    def begin(self, study: str) -> None:
        """Charges the whole search, once; ``BudgetError`` if it does not fit."""
        run = f"selection {study}"
        known = {entry.kind for entry in self.ledger.entries() if entry.run == run}
        if "reserve" in known:
            return
        accepted = self.ledger.accepted(run)
        plan = accepted.plan if accepted else self._filling()
        self.ledger.accept(run, plan)
        self.ledger.reserve(run, 1, plan.digest, plan.rounds[0].event)
        self.ledger.finish(run)

    def afford(self, plan: PrivacyPlan, repetitions: int) -> None:
        """Paid already."""

    def pay(self, run: str, plan: PrivacyPlan) -> None:
        """Raises ``PlanError`` if a run would cost more than what was charged; costs no more."""
        repeated = (replace(e, steps=e.steps * self.repetitions) for e in plan.events())
        if np.any(renyi(repeated, ORDERS) > renyi(self._once, ORDERS)):
            raise PlanError("a setting costs more than the default one; that is not a knob to turn")

    def spent(self) -> float:
        """The budget: a selection takes all of it."""
        return self.ledger.budget.epsilon

    @property
    def _once(self) -> Events:
        return tuple(replace(event, sigma=event.sigma * SLACK) for event in self.once)

    def _filling(self) -> PrivacyPlan:
        budget, cost = self.ledger.budget, self.price()
        if not cost <= budget.epsilon * (1 - MARGIN):
            raise BudgetError(f"epsilon would be {cost:.4g} of {budget.epsilon:.4g}")
        past = past_of(self.ledger)
        sigma = _least(lambda s: epsilon((*past, Event(s)), budget.delta) <= budget.epsilon)
        fills = MomentMechanism(kind="mean", name="selection", sigma=sigma, clip=1.0)
        return PrivacyPlan(mechanisms=(fills,), people=1, delta=budget.delta)


def trials_epsilon(events: Iterable[Event], trials: int, before: Events, delta: float) -> float:
    """What ``trials`` of these ``events`` would come to, after what was released ``before``."""
    repeated = (replace(event, steps=event.steps * trials) for event in events)
    return epsilon((*before, *repeated), delta)


def past_of(ledger: Ledger) -> Events:
    """Everything that was ever charged, and what open runs may still reserve."""
    return (*ledger.events(), *Account(ledger.entries()).promised())


def new_study() -> str:
    """A name that no other search has, for the ledger's rows."""
    return secrets.token_hex(8)


def _least(fits: Callable[[float], bool]) -> float:
    """The smallest noise multiplier that fits, within ``FILLED``."""
    low, high = 0.0, 1.0
    while not fits(high):
        low, high = high, 2 * high
    while high - low > FILLED * high:
        middle = (low + high) / 2
        low, high = (low, middle) if fits(middle) else (middle, high)
    return high
