"""What a charter means: noise, epsilon and bytes in numbers, and in words for whoever decides."""

import math
import time
from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from common.privacy.accountant import epsilon
from common.privacy.cells import expected_error
from common.privacy.plan import EvaluationMechanism, GradientMechanism, Mechanism, PrivacyPlan
from common.privacy.statement import heads_of, statement
from common.trust.charter import CharterTerms
from server import phases
from server.runs.members import words_of

SITES = (3, 16, 64)  # that the noise of an average is told for
PLAIN = {
    "mean": "the average position of the people's faces",
    "scatter": "how much pictures of one and the same person differ",
    "moments": "average position and spread of the people's faces",
    "gradient": "small steps of training",
    "evaluation": "how often people match their own pictures, and strangers pass for them",
}


def meaning(
    terms: CharterTerms, initial: Mapping[str, NDArray[Any]], admitted: int = 0
) -> dict[str, Any]:
    """What ``terms`` would cost and give, as JSON; ``admitted`` sites are in the roster now."""
    plan = terms.plan
    sites = max(plan.cohort, admitted)
    told = statement(plan, {f"site {n + 1}": plan.events() for n in range(sites)})
    sent = bytes_of(plan, initial)
    facts: dict[str, Any] = {
        "run": terms.run,
        "plan": plan.digest,
        "expires": time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(terms.expires)),
        "cohort": plan.cohort,
        "rounds": len(plan.rounds),
        "people": plan.people,
        "noise": plan.noise,
        "delta": plan.delta,
        "epsilon_if_disjoint": told["epsilon_if_disjoint"],
        "epsilon_if_at_every_site": told["epsilon_if_at_every_site"],
        "sites_counted": sites,
        "bytes_a_site_sends": sum(sent.values()),
        "releases": {m.name: _release(plan, m, sent[m.name]) for m in plan.mechanisms},
    }
    words = _words(terms, facts)
    if terms.members:
        facts["secure_sums"], more = words_of(terms, initial)
        words += more
    return {**facts, "in_plain_words": [*words, told["in_plain_words"], told["trust"]]}


def bytes_of(plan: PrivacyPlan, initial: Mapping[str, NDArray[Any]]) -> dict[str, int]:
    """Bytes of arrays that a site sends for each mechanism, over all its rounds."""
    sent = dict.fromkeys((m.name for m in plan.mechanisms), 0)
    for current in plan.rounds:
        shapes = (shape for shape, _ in phases.expected(current, initial).values())
        sent[current.mechanism.name] += 4 * sum(math.prod(shape) for shape in shapes)
    return sent


def noise_in_clips(plan: PrivacyPlan, mechanism: Mechanism, sites: int) -> float:
    """Standard deviation in one number of the average over all people of ``sites`` sites, in the
    most that one person contributes. Independent noises of n sites add up to sqrt(n) of one."""
    counted = plan.people
    rate = mechanism.rate if isinstance(mechanism, GradientMechanism) else 1.0
    return math.sqrt(sites) * plan.site_sigma(mechanism) / (sites * rate * counted)


def error_of_rate(plan: PrivacyPlan, mechanism: EvaluationMechanism, sites: int) -> float:
    """The standard error that noise gives a rate over the declared people of ``sites`` sites, at
    most: a share of all pairs, such as 0.01 for one point in a hundred."""
    deviation = math.sqrt(sites) * plan.site_sigma(mechanism) * mechanism.clip
    return expected_error(sites * plan.people, deviation)


def _release(plan: PrivacyPlan, mechanism: Mechanism, sent: int) -> dict[str, Any]:
    counts = (1, *SITES)
    told = {
        "what": PLAIN[mechanism.kind],
        "sigma": mechanism.sigma,
        "clip": mechanism.clip,
        "rounds": mechanism.rounds,
        "bytes": sent,
        "noise_of_average_in_clips": {str(n): noise_in_clips(plan, mechanism, n) for n in counts},
    }
    if isinstance(mechanism, EvaluationMechanism):
        told["standard_error"] = {str(n): error_of_rate(plan, mechanism, n) for n in counts}
    if isinstance(mechanism, GradientMechanism) and mechanism.adversarial_steps:
        told["adversarial"] = {
            "steps": mechanism.adversarial_steps,
            "eps": mechanism.adversarial_eps,
            "on": mechanism.adversarial_on,
        }
    if isinstance(mechanism, GradientMechanism) and mechanism.heads:
        told["heads"] = heads_of(mechanism)
    return told


def _words(terms: CharterTerms, facts: Mapping[str, Any]) -> list[str]:
    plan = terms.plan
    trained = [m for m in plan.mechanisms if not isinstance(m, EvaluationMechanism)]
    first = (trained or plan.mechanisms)[0]
    noise = {n: f"{100 * noise_in_clips(plan, first, n):.2g} %" for n in SITES}
    worst = facts["epsilon_if_at_every_site"]
    words = [
        f"Each site answers {facts['rounds']} times, {facts['bytes_a_site_sends']:,} bytes in all. "
        "No picture, no feature and no name is among them.",
        f"A round counts only if at least {plan.cohort} sites answer within {terms.timeout:g} s; "
        "otherwise the run pauses.",
        "Noise hides every single person: averaged over "
        + ", ".join(f"{n} sites it is {noise[n]}" for n in SITES)
        + f", in every number, of the most that one person can add to {PLAIN[first.kind]}. "
        "Less noise is a better model, so more sites help, and so do more people at each.",
        f"Epsilon {facts['epsilon_if_disjoint']:.3g} is what a person at one site risks"
        + (
            f"; whoever is at all {facts['sites_counted']} sites risks {worst:.3g}."
            if worst
            else "."
        ),
    ]
    if plan.pooling == "camera_type":
        words.append(
            "Only sites with the same declared camera type are averaged together: a site that is "
            "alone with its camera type gains next to nothing."
        )
    if any(isinstance(m, GradientMechanism) for m in plan.mechanisms):
        words.append(
            "Gradient rounds take budget from the averages, which have always paid better in what "
            "we measured (docs/utility.md); --rounds 0 leaves them out."
        )
    words += [*_words_of_attacks(plan), *_words_of_heads(plan)]
    return [*words, *_words_of_evaluations(plan)]


def _words_of_attacks(plan: PrivacyPlan) -> list[str]:
    """What gradient rounds are trained against."""
    return [
        f"Gradient rounds also train on attacked {m.adversarial_on}, moved within "
        f"{m.adversarial_eps:g} in {m.adversarial_steps} steps against each person's own loss. "
        "That costs no privacy; what it brings is in docs/robustness.md."
        for m in plan.mechanisms
        if isinstance(m, GradientMechanism) and m.adversarial_steps
    ]


def _words_of_heads(plan: PrivacyPlan) -> list[str]:
    """What heads learn from, and what they make easier to read."""
    kinds = dict.fromkeys(head.kind for head in plan.heads)
    names = dict.fromkeys(name for head in plan.heads for name in head.names)
    if not kinds:
        return []
    named = f" ({', '.join(names)})" if names else ""
    return [
        f"The same rounds train heads for {', '.join(kinds)}{named} on labels of the sites' own "
        "pictures. One person's losses are summed before they are clipped once, so the heads cost "
        "no further epsilon. Only sites that switch these kinds on take part, with labels people "
        "agreed to; whoever has such a head reads these things from any face."
    ]


def _words_of_evaluations(plan: PrivacyPlan) -> list[str]:
    """What figures about the sites' people cost, and how good they will be."""
    judged = [m for m in plan.mechanisms if isinstance(m, EvaluationMechanism)]
    if not judged:
        return []
    last, alone = judged[-1], epsilon([m.event for m in judged], plan.delta)
    errors = ", ".join(f"{100 * error_of_rate(plan, last, n):.2g} points at {n}" for n in SITES)
    return [
        f"{'The tail is' if len(judged) == 1 else 'First and last tail are'} judged on the sites' "
        "own people, as a release that is paid for: how many of a person's own pairs of pictures "
        "match, and how many public strangers pass, at the threshold that "
        f"{'1 %' if last.thresholds == 1 else '1 % and 0.1 %'} of public pairs reach. By itself "
        f"that would cost epsilon {alone:.3g}. Expect a standard error from noise of at most "
        f"{errors} sites with {plan.people} people each, if all have two pictures. Nothing is "
        "trained on it. Sites need the very public pictures that this charter was proposed with."
    ]
