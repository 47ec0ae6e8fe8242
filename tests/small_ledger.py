"""One small ledger: its key and budget, plans of given noise, and rounds already spent."""

from client.privacy.ledger import Budget, Ledger
from common.privacy.plan import MomentMechanism, PrivacyPlan

KEY = b"k" * 32
DELTA = 1e-5
BUDGET = Budget(8.0, DELTA)


def plan_of(*sigmas: float, people: int = 100) -> PrivacyPlan:
    mechanisms = tuple(
        MomentMechanism(kind="mean", sigma=sigma, clip=1.0, name=f"m{i}")
        for i, sigma in enumerate(sigmas)
    )
    return PrivacyPlan(mechanisms=mechanisms, people=people, delta=DELTA)


PLAN = plan_of(4.0, 3.0, 5.0)


def spend(ledger: Ledger, run: str, plan: PrivacyPlan, rounds: int) -> None:
    ledger.accept(run, plan)
    for number in range(1, rounds + 1):
        ledger.reserve(run, number, f"d{number}", plan.rounds[number - 1].event)
        ledger.release(run, number, f"d{number}", f"payload {run} {number}".encode())
