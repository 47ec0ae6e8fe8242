"""The audit of the mechanism that ships: is what it releases as private as it was charged for?

Canaries without faces go through sampler, clip, noise, ledger and gate. It costs no budget and
takes seconds, so it can be done before every release. What it proves is one-sided: a bound above
the claim refutes the claim, a bound below it proves nothing more than that bound.
"""

import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from client.privacy.reconcile import uncharged
from common.attacks.bounds import Guesses, f_dp_bound, guesses_of, one_run_bound
from common.attacks.separation import Separation, separation
from common.privacy.accountant import Event, canonical, epsilon
from common.privacy.calibrate import sigma_for
from simulations.evidence.canaries import Entropies, know_canaries
from simulations.evidence.inclusion import coins
from simulations.evidence.shipped import Audited, Site

CHANCE = 0.01  # that any interval of an audit is wrong, on either side
RARE = 1e-4  # chance of a false alarm of each other check
GUESSED = 0.2  # share of canaries guessed about: most for Gaussians of epsilon 2 to 8
RATE, STEPS, NOISIER = 0.25, 8, 1.5  # of the sampled release
COUNTED, OFTEN = 40, 60  # people and steps whose inclusion is counted


@dataclass(frozen=True, kw_only=True)
class Effort:
    """How many releases of each kind an audit makes, each about ``canaries`` people.

    By default the bound of an honest mechanism is above 0.85 of its claim at epsilon 8.
    """

    canaries: int = 512
    moments: int = 12
    gradients: int = 3
    secure_sums: int = 3
    sampled: bool = True  # whether DP-SGD with sampling is looked at as well


@dataclass(frozen=True, kw_only=True)
class Claim:
    """What one release is said to cost: ``epsilon`` at ``delta``."""

    epsilon: float = 8.0
    delta: float = 1e-5


@dataclass(frozen=True, kw_only=True)
class Findings:
    """Figures of an audit, and in words what did not hold."""

    figures: dict[str, Any]
    failed: tuple[str, ...]
    seconds: float  # of one core


def audit_mechanism(claim: Claim, effort: Effort, entropies: Entropies) -> Findings:
    """Audits what ships. ``entropies`` makes its sources: ``OsEntropy``, seeded ones in tests."""
    know_canaries()
    begun = time.process_time()
    sigma = sigma_for(claim.epsilon, claim.delta)
    site = Site(canaries=effort.canaries, sigma=sigma, delta=claim.delta, entropies=entropies)
    kinds = {
        name: getattr(site, name)(getattr(effort, name))
        for name in ("moments", "gradients", "secure_sums")
        if getattr(effort, name)
    }
    claimed = epsilon((Event(sigma),), claim.delta)
    figures, failed = _bounds(kinds, claimed, claim.delta)
    sampled, more = _sampled(claim, site) if effort.sampled else (None, [])
    repeats, same = _repeats(kinds)
    ledgers, unpaid = _reconciled(kinds, sigma)
    figures |= {"sampled": sampled, "repeats": repeats, "ledger": ledgers}
    figures["entropy"] = entropies().kind
    failed = [*failed, *more, *same, *unpaid]
    seconds = time.process_time() - begun
    return Findings(figures=figures, failed=tuple(failed), seconds=seconds)


def _bounds(
    kinds: Mapping[str, Audited], claimed: float, delta: float
) -> tuple[dict[str, Any], list[str]]:
    """Everything about releases without sampling."""
    told = {name: _gaussian(audited, delta, len(kinds)) for name, audited in kinds.items()}
    best = max(told, key=lambda name: told[name]["lower_bound"])
    scores = np.concatenate([audited.scores.ravel() for audited in kinds.values()])
    inside = np.concatenate([audited.inside.ravel() for audited in kinds.values()])
    guessed = _one_run(guesses_of(scores, inside, GUESSED), delta)
    lower = max([told[best]["lower_bound"], *(part["lower_bound"] for part in guessed.values())])
    failed = [
        f"{name}: at least epsilon {one['lower_bound']:.3g} where {claimed:.3g} is claimed"
        for name, one in (*told.items(), *guessed.items())
        if one["lower_bound"] > claimed
    ]
    failed += [
        f"{name}: the noise is not Gaussian, so the interval does not hold"
        for name, one in told.items()
        if one["normality"] < RARE
    ]
    figures = {
        "claimed_epsilon": claimed,
        "delta": delta,
        "confidence": 1 - CHANCE,
        "canaries": len(scores),
        "lower_bound": lower,
        "gaussian": {**told[best], "mechanism": best},
        "mechanisms": told,
        **guessed,
    }
    return figures, failed


def _gaussian(audited: Audited, delta: float, intervals: int) -> dict[str, Any]:
    found: Separation = separation(
        audited.scores[audited.inside], audited.scores[~audited.inside], CHANCE / intervals
    )
    return {
        "canaries": audited.scores.size,
        "lower_bound": found.epsilon(delta),
        **asdict(found),
    }


def _one_run(guesses: Guesses, delta: float) -> dict[str, Any]:
    bounds = {"one_run": one_run_bound, "f_dp": f_dp_bound}
    return {
        name: {
            "lower_bound": bound(guesses, delta, CHANCE / 2),
            "ceiling": bound(guesses.perfect, delta, CHANCE / 2),
            **asdict(guesses),
        }
        for name, bound in bounds.items()
    }


def _sampled(claim: Claim, site: Site) -> tuple[dict[str, Any], list[str]]:
    """DP-SGD with sampling: no Gaussian bound holds there, but counts of who was in do."""
    sigma = NOISIER * site.sigma
    noisier = Site(canaries=site.canaries, sigma=sigma, delta=site.delta, entropies=site.entropies)
    audited = noisier.gradients(1, RATE, STEPS)
    claimed = epsilon((Event(sigma, RATE, STEPS),), claim.delta)
    guesses = guesses_of(audited.scores.ravel(), audited.inside.ravel(), GUESSED)
    bound = _one_run(guesses, claim.delta)["one_run"]
    found = coins(site.counted(COUNTED, RATE, OFTEN), RATE)
    failed = []
    if bound["lower_bound"] > claimed:
        failed.append(f"sampled: at least epsilon {bound['lower_bound']:.3g} of {claimed:.3g}")
    if found.least < RARE:
        failed.append("sampled: people are not in a step by independent coins")
    about = {"rate": RATE, "steps": STEPS, "claimed_epsilon": claimed}
    return {**about, "one_run": bound, "inclusion": asdict(found)}, failed


def _repeats(kinds: Mapping[str, Audited]) -> tuple[dict[str, Any], list[str]]:
    """Whether two releases had the same noise: the largest correlation of what is left of them."""
    rows = np.concatenate([audited.scores - audited.inside for audited in kinds.values()])
    rows = rows - rows.mean(axis=1, keepdims=True)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    rows = rows / np.maximum(norms, np.finfo(np.float64).tiny)
    first, second = np.triu_indices(len(rows), 1)
    largest = float(np.abs((rows @ rows.T)[first, second]).max())
    bounded = min(largest, 1 - 1e-12)
    score = math.atanh(bounded) * math.sqrt(max(1, rows.shape[1] - 3))  # Fisher's
    chance = min(1.0, len(first) * math.erfc(score / math.sqrt(2)))
    failed = ["two releases have the same noise"] if chance < RARE else []
    return {"pairs": len(first), "largest_correlation": largest, "p": chance}, failed


def _reconciled(kinds: Mapping[str, Audited], sigma: float) -> tuple[dict[str, Any], list[str]]:
    """Whether everything that left a site was paid for, at the price of what was done."""
    messages = [message for audited in kinds.values() for message in audited.sent]
    unpaid = sum(len(uncharged(audited.entries, audited.sent)) for audited in kinds.values())
    wrong = [
        name
        for name, audited in kinds.items()
        if audited.sent and audited.charged != canonical([Event(sigma)] * len(audited.sent))
    ]
    failed = [f"{unpaid} messages left that no row of the ledger paid for"] if unpaid else []
    failed += [f"{name}: the ledger was charged for something else" for name in wrong]
    return {"messages": len(messages), "uncharged": unpaid}, failed
