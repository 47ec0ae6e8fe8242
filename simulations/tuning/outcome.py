"""What a search tells when it is done: the best setting, what it cost, and on whose account."""

from typing import Any

from common.bundle import VERSION
from simulations.tuning.charging import EveryTrial, Payment, Selected
from simulations.tuning.contest import Contest
from simulations.tuning.study import Found, How, Tried

SCHEMA = 1


def outcome(contest: Contest, payment: Payment, how: How, found: Found) -> dict[str, Any]:
    """The result as JSON.

    A selection tells nothing of any run but the best, nor how many there were: that is what its
    price is for.
    """
    asked, private = contest.asked, isinstance(payment, EveryTrial | Selected)
    people = contest.people()
    selected = isinstance(payment, Selected)
    told: dict[str, Any] = {
        "schema": SCHEMA,
        "kind": "tuning",
        "version": VERSION,
        "name": asked.name,
        "search": asked.identity,
        "scenario": asked.scenario.name,
        "epsilon": asked.epsilon,
        "delta": asked.scenario.delta,
        "noise": asked.noise,
        "entropy": contest.laboratory.given.entropy,
        "sampler": how.sampler,
        "payment": payment.kind,
        "ended": found.ended,
        "development_people": people["choose"],
        "report_people": people["report"],
        "best": _told(found.best),
        "default": _told(found.default),
        "report": _report(contest, found),
        "spent": {"epsilon": payment.spent() if private else 0.0, "delta": asked.scenario.delta},
        "statement": statement(payment, found),
    }
    if not selected:
        told["trials"] = [_told(tried) for tried in found.tried]
    return told


def statement(payment: Payment, found: Found) -> str:
    """One sentence for the people who were trained on, and one on who is not covered by it."""
    judges = (
        "Development people chose it and report people judge it, without noise: what they are told "
        "to have scored is not covered by any of this."
    )
    if isinstance(payment, EveryTrial):
        budget = payment.ledger.budget
        return (
            f"Every trial was charged before it was run, those that were stopped too: everything "
            f"these people's ledger holds costs one person epsilon {payment.spent():.4g} at delta "
            f"{budget.delta:g} (that person's pictures taken away, everybody else's place kept), "
            f"whoever sees all {len(found.tried)} trials. {judges}"
        )
    if isinstance(payment, Selected):
        budget = payment.ledger.budget
        return (
            f"The best of a random number of independent runs was let out and nothing of the "
            f"others; with all that these people's ledger held before, that costs one person at "
            f"most epsilon {budget.epsilon:.4g} at delta {budget.delta:g} (that person's pictures "
            f"taken away, everybody else's place kept; Papernot and Steinke 2022), as long as "
            f"nobody learns how many runs there were. {judges}"
        )
    return "Public or invented people only: nobody's privacy was spent."


def _report(contest: Contest, found: Found) -> dict[str, Any]:
    named = {"best": found.best, "default": found.default}
    there = {name: tried for name, tried in named.items() if tried}
    return contest.report(
        {name: (tried.setting, found.tails[tried.number]) for name, tried in there.items()}
    )


def _told(tried: Tried | None) -> dict[str, Any] | None:
    if tried is None:
        return None
    return {
        "setting": dict(tried.setting),
        "score": round(tried.score, 6),
        "state": tried.state,
    }
