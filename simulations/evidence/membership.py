"""Can anybody tell from a final model who trained it: with protection, and without.

Many small federations are run, each on people chosen by coins; each is attacked with all others as
the attacker's shadows. The attacker has the very pictures that were trained on, the public people,
and the plan: more than anybody outside would.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from common.attacks.bounds import guesses_of, one_run_bound
from common.attacks.membership import area, caught_at, empirical_epsilon, lira, rmia
from common.models.studio import Progress
from common.models.tail import Tail
from simulations.evidence.federations import Federations, first

CHANCE = 0.025  # that the empirical epsilon of one of the two attacks is too high
RATES = {"1e-2": 1e-2, "1e-3": 1e-3}
NEGATIVES, SCALE = 256, 16.0
PROVED = ("empirical_epsilon", "one_run_epsilon")
GUESSED = 0.2  # share of people guessed about in one run

Bags = list[NDArray[np.float32]]
Make = Callable[[NDArray[np.bool_], int], Tail]  # of who is in, and a seed


@dataclass(frozen=True, kw_only=True)
class MembershipPlan:
    """What is attacked: one model of ``shadows`` + 1 after the other, for each of ``epsilons``."""

    epsilons: tuple[float, ...] = (8.0, 2.0)
    shadows: int = 15
    few: int = 48  # people of the unprotected arm, of whom half are in
    seed: int = 0


def attack_membership(
    federations: Federations, asked: MembershipPlan, progress: Progress
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Figures of every arm, and what failed: an attack that proves more than was claimed."""
    few = first(federations, asked.few)
    arms: list[tuple[str, float | None, Federations, Make]] = [
        ("unprotected", None, few, few.unprotected),
        ("without", None, federations, lambda who, seed: federations.released(who, None, seed)),
    ]
    for number, epsilon in enumerate(asked.epsilons):
        name = f"with_{epsilon:g}" if number else "with"
        arms.append((name, epsilon, federations, _private(federations, epsilon)))
    step = progress.start("federations to attack", len(arms) * (asked.shadows + 1))
    told: dict[str, Any] = {}
    for number, (name, claimed, people, make) in enumerate(arms):
        rng = np.random.default_rng([asked.seed, number])
        told[name] = {"epsilon": claimed, **_attacked(people, make, asked, rng, step)}
    failed = tuple(
        f"{name}: {kind} says at least epsilon {arm[kind]:.3g}"
        for name, arm in told.items()
        for kind in PROVED
        if arm["epsilon"] is not None and arm[kind] > arm["epsilon"]
    )
    figures = {
        "delta": federations.delta,
        "shadows": asked.shadows,
        **told,
    }
    if told["unprotected"]["auc_ci95"][0] <= 0.5:
        blind = "unprotected: the attack finds nobody, so what it finds elsewhere says nothing"
        failed = (*failed, blind)
    return figures, failed


def signal(tail: Tail, bags: Bags, negatives: NDArray[np.float32]) -> NDArray[np.float64]:
    """How well ``tail`` knows each person, (N,): minus the loss that gradients would lower.

    Own pictures attract and public ones repel, as in ``client.privacy.objective.BagContrast``.
    """
    public = _units(tail, negatives)
    return np.array([_known(_units(tail, bag), public) for bag in bags])


def _private(federations: Federations, epsilon: float) -> Make:
    return lambda who, seed: federations.released(who, epsilon, seed)


def _attacked(
    people: Federations,
    make: Make,
    asked: MembershipPlan,
    rng: np.random.Generator,
    step: Callable[[int], None],
) -> dict[str, Any]:
    bags = [people.features[people.person == i] for i in range(people.people)]
    public, negatives = _public(people)
    members = rng.random((asked.shadows + 1, len(bags))) < 0.5
    signals, population = [], []
    for number, inside in enumerate(members):
        tail = make(inside, asked.seed * 1000 + number)
        signals.append(signal(tail, bags, negatives))
        population.append(signal(tail, public, negatives))
        step(1)
    seen, others = np.stack(signals), np.stack(population)
    # How well a model knows anybody at all is no news about one person.
    found = {
        "lira": _figures(lira(seen - others.mean(axis=1, keepdims=True), members), members, people),
        "rmia": _figures(rmia(seen, members, others), members, people),
    }
    best = max(found, key=lambda name: float(found[name]["auc"]))
    most = {key: max(one[key] for one in found.values()) for key in PROVED}
    return {**found[best], **most, "attack": best, "people": len(bags), **found}


def _figures(
    scores: NDArray[np.float64], members: NDArray[np.bool_], people: Federations
) -> dict[str, Any]:
    areas = np.array([area(*pair) for pair in zip(scores, members, strict=True)])
    student = float(stdtrit(len(areas) - 1, 0.975))
    width = student * float(areas.std(ddof=1)) / math.sqrt(len(areas))
    one_run = guesses_of(scores[0], members[0], GUESSED)
    return {
        "auc": float(areas.mean()),
        "auc_ci95": [float(areas.mean() - width), float(areas.mean() + width)],
        "tpr_at_fpr": {
            name: caught_at(scores.ravel(), members.ravel(), rate) for name, rate in RATES.items()
        },
        "empirical_epsilon": empirical_epsilon(scores, members, people.delta, CHANCE),
        "one_run_epsilon": one_run_bound(one_run, people.delta, CHANCE),
        "one_run_ceiling": one_run_bound(one_run.perfect, people.delta, CHANCE),
    }


def _public(people: Federations) -> tuple[Bags, NDArray[np.float32]]:
    """The public people in two parts: a population to compare with, and negatives."""
    seen = people.views.randomised[:, 0]
    numbers = np.unique(people.views.person)
    bags = [seen[people.views.person == number] for number in numbers[::2]]
    negatives = seen[np.isin(people.views.person, numbers[1::2])]
    return [bag for bag in bags if len(bag) > 1], negatives[:NEGATIVES]


def _units(tail: Tail, features: NDArray[np.float32]) -> NDArray[np.float64]:
    points = tail.embed(features).astype(np.float64)
    return np.asarray(points / np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1e-12))


def _known(own: NDArray[np.float64], public: NDArray[np.float64]) -> float:
    repel = np.log(np.exp(SCALE * (own @ public.T)).sum(axis=1))  # cosines: no overflow
    margins = SCALE * (own @ own.T) - repel[:, None]
    pairs = ~np.eye(len(own), dtype=bool)
    return -float(np.logaddexp(0, -margins[pairs]).mean())
