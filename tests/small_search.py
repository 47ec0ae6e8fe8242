"""A search whose federations are formulas: everything else, ledger and study, is what ships.

Run as a program it begins a search, says so in the middle of its third trial, and waits.
"""

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from client.privacy.ledger import Budget, Ledger
from common.models.tail import Tail
from common.privacy.accountant import Event
from common.privacy.plan import MomentMechanism, PrivacyPlan
from simulations.scenario import Scenario
from simulations.tuning.asked import Asked
from simulations.tuning.charging import EveryTrial, Payment
from simulations.tuning.space import Setting, read_space
from simulations.tuning.study import How, Study

DELTA = 1e-4
KEY = b"k" * 32
KNOBS = {"ridge": {"low": 1.0, "high": 1000.0, "log": True}, "own_tuning": [True, False]}
Ran = Callable[[Setting], None]


@dataclass
class Formula:
    """In place of a federation: the best ridge is 100, and own tuning is worth a point."""

    setting: Setting
    repetition: int
    plan: PrivacyPlan
    ran: Ran

    def run(self) -> tuple[float, list[Tail]]:
        self.ran(self.setting)
        off = abs(np.log10(self.setting["ridge"]) - 2)
        score = 0.9 - 0.1 * off + 0.01 * self.setting["own_tuning"] - 0.001 * self.repetition
        return score, [Tail(np.full((2, 3), off, np.float32), np.zeros(2, np.float32))]


@dataclass
class Formulas:
    """In place of a contest. ``sigma`` is the noise of every federation."""

    asked: Asked
    repetitions: int = 1
    sigma: float = 4.0
    ran: Ran = lambda setting: None
    laboratory: Any = field(
        default_factory=lambda: SimpleNamespace(identity=lambda scenario: "people")
    )

    def rehearsals(self, setting: Setting) -> Iterator[Formula]:
        for repetition in range(self.repetitions):
            yield Formula(setting, repetition, plan_of(self.sigma), self.ran)


def plan_of(sigma: float) -> PrivacyPlan:
    moment = MomentMechanism(kind="mean", name="mean", sigma=sigma, clip=1.0)
    return PrivacyPlan(mechanisms=(moment,), people=10, delta=DELTA)


def small_asked(**knobs: Any) -> Asked:
    scenario = Scenario(name="base", sites=2, epsilon=(8.0,))
    space = read_space(knobs or KNOBS, scenario, "small")
    return Asked(name="small", noise="local", trials=8, private=False, space=space)


def small_study(folder: Path, payment: Payment, trials: int = 8, **told: Any) -> Study:
    """A study of formulas; ``told`` are fields of ``Formulas``."""
    contest: Any = Formulas(small_asked(), **told)
    return Study(contest=contest, payment=payment, how=How(trials=trials), folder=folder)


def ledger_of(folder: Path, epsilon: float = 50.0) -> Ledger:
    folder.mkdir(parents=True, exist_ok=True)
    return Ledger(folder / "ledger.db", KEY, Budget(epsilon, DELTA))


def spent_by(runs: int, sigma: float = 4.0) -> tuple[Event, ...]:
    return (Event(sigma, 1.0, runs),) if runs else ()


if __name__ == "__main__":
    out, mark = Path(sys.argv[1]), Path(sys.argv[2])
    begun: list[Setting] = []

    def stuck(setting: Setting) -> None:
        begun.append(setting)
        if len(begun) == 5:
            mark.touch()
            time.sleep(600)

    with ledger_of(out) as ledger:
        payment = EveryTrial(ledger=ledger)
        small_study(out, payment, repetitions=2, ran=stuck).everything()
