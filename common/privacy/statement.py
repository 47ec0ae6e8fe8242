"""The privacy statement: what a run cost whom, on whose honesty it rests, and what it left out.

Written for the people concerned and their data-protection officer, as JSON that a release
carries along.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from common.privacy.accountant import Event, epsilon
from common.privacy.plan import GradientMechanism, Mechanism, PrivacyPlan

_TRUST = {
    "local": (
        "Each site adds all the noise itself before anything leaves. The guarantee holds against "
        "everybody outside the site: the centre, the other sites, and whoever gets the model."
    ),
    "distributed": (
        "Each site adds a share of the noise and only the sum over the sites is seen. The "
        "guarantee holds as long as at least {honest} sites add their share honestly and nobody, "
        "the centre included, sees a single site's contribution. A secure sum sees to that while "
        "at most {colluders} of the sites in it work together with the centre."
    ),
    "none": "No noise is added. There is no privacy guarantee; this is a laboratory run.",
}

_SEEN = {
    "local": "everything that left the sites",
    "distributed": "the sums over the sites, and no single site's contribution,",
}

EXCLUDED = (
    "that a site takes part, when it answers, and the camera type it declares",
    "whether a site refuses or fails a round",
    "how long a round takes, unless the plan sets a release slot",
    "people used to choose settings (development people)",
    "a person enrolled under two identities, or two people in one picture: the unit is one "
    "person with all pictures under one identity",
    "what a site keeps and uses at its own door without sending it",
    "the low-order rounding of floating-point noise beyond the release grid",
)


def statement(
    plan: PrivacyPlan,
    spent: Mapping[str, Sequence[Event]],
    *,
    entropy: str = "os",
    development_people: int = 0,
) -> dict[str, Any]:
    """The statement for one plan and the lifetime spend of each site (``Ledger.events()``).

    ``epsilon_if_disjoint`` is the loss of a person who is at one site only, the worst site;
    ``epsilon_if_at_every_site`` that of one who is at all of them. null means no guarantee.
    """
    claim = plan.noise != "none" and entropy == "os"
    loss = {site: epsilon(events, plan.delta) for site, events in spent.items()}
    everywhere = epsilon(_everywhere(plan, spent), plan.delta)
    return {
        "schema": 1,
        "claim": "differential privacy" if claim else "none (laboratory)",
        "unit": f"one {plan.unit}, with all pictures",
        "adjacency": plan.adjacency,
        "in_plain_words": _in_plain_words(plan, max(loss.values(), default=0.0), claim=claim),
        "noise": plan.noise,
        "honest_sites": plan.honest_sites,
        "trust": _TRUST[plan.noise].format(
            honest=plan.honest_sites, colluders=plan.cohort - plan.honest_sites
        ),
        "entropy": entropy,
        "delta": plan.delta,
        "epsilon_of_plan": _number(epsilon(plan.events(), plan.delta)),
        "epsilon_spent": {site: _number(value) for site, value in loss.items()},
        "epsilon_if_disjoint": _number(max(loss.values(), default=0.0)),
        "epsilon_if_at_every_site": _number(everywhere),
        "declared_people": plan.people,
        "development_people": development_people,
        "mechanisms": [_mechanism(m) for m in plan.mechanisms],
        "excluded": list(EXCLUDED),
        "plan": plan.digest,
    }


def _mechanism(mechanism: Mechanism) -> dict[str, Any]:
    """What a reader is told of one mechanism, with the attack that it trains against."""
    told = {
        key: getattr(mechanism, key) for key in ("name", "kind", "sigma", "clip", "rounds")
    }  # fmt: skip
    if isinstance(mechanism, GradientMechanism) and mechanism.adversarial_steps:
        told["adversarial"] = {
            "steps": mechanism.adversarial_steps,
            "eps": mechanism.adversarial_eps,
            "on": mechanism.adversarial_on,
        }
    if isinstance(mechanism, GradientMechanism) and mechanism.heads:
        told["heads"] = heads_of(mechanism)
    return told


def heads_of(mechanism: GradientMechanism) -> dict[str, Any]:
    """How much each head counts beside identity, how fast it learns where the plan says so of it,
    and which attributes are learnt."""
    told: dict[str, Any] = {"identity": mechanism.identity}
    told |= {head.kind: head.weight for head in mechanism.heads}
    rates = {head.kind: head.learning_rate for head in mechanism.heads if head.learning_rate}
    names = [name for head in mechanism.heads for name in head.names]
    return {
        **told,
        **({"learning_rates": rates} if rates else {}),
        **({"names": names} if names else {}),
    }


def _everywhere(plan: PrivacyPlan, spent: Mapping[str, Sequence[Event]]) -> tuple[Event, ...]:
    """What one person loses who is at every site.

    With local noise the sites' releases are separate and compose. Under one shared noise the m
    contributions add up in the same sum: m times the sensitivity, and the person is in a sampled
    step when any of the m coins falls right. A sum of up to m clips costs no more than m clips
    at once.
    """
    if plan.noise != "distributed":
        return tuple(event for events in spent.values() for event in events)
    most: Counter[tuple[float, float]] = Counter()
    for events in spent.values():
        mine: Counter[tuple[float, float]] = Counter()
        for event in events:
            mine[event.sigma, event.rate] += event.steps
        most |= mine  # the maximum, entry by entry
    sites = max(1, len(spent))
    return tuple(
        Event(sigma / sites, 1 - (1 - rate) ** sites, steps)
        for (sigma, rate), steps in most.items()
    )


def _in_plain_words(plan: PrivacyPlan, worst: float, *, claim: bool) -> str:
    if not claim or not math.isfinite(worst):
        return "Nothing is promised to the people in this run."
    return (
        f"Whoever sees {_SEEN[plan.noise]} can tell whether one given person's pictures "
        f"were used hardly better than by guessing: the odds change by a factor of at most "
        f"e^{worst:.3g} = {math.exp(min(worst, 700.0)):.3g}, except with probability about "
        f"{plan.delta:g}."
    )


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
