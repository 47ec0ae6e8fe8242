"""How many malicious sites each rule of a charter stands: runs of one pool, in features only.

Honest sites run the site's own code (`client.agent.mechanisms.release`), replies go through the
centre's own filter (`Validating`, with the norm bound of `phases.longest`) into the rule, and what
comes out is absorbed by the centre's own code. What is judged is what a new site would get: the
tail made of the released moments without any people of its own, and the tail of the gradient rounds
by itself. An own part, which never leaves a site, softens what is measured here.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord, Message, MetricRecord, RecordDict
from flwr.serverapp.strategy import Strategy
from numpy.typing import NDArray

from client.agent.mechanisms import Terms, release
from client.agent.people import SitePeople
from common import wire
from common.metrics.intervals import Doubles, estimate
from common.metrics.verification import Pairs, threshold_at_far
from common.models.tail import BIAS, WEIGHT, Tail
from common.moments.matching import site_tail
from common.moments.own import own_part
from common.moments.posterior import shared_parts
from common.moments.reference import Reference
from common.privacy.plan import GradientMechanism, PrivacyPlan, Round
from server import phases
from server.moments import pools_of
from server.strategies.choice import StrategyChoice
from server.strategies.named import Optimiser, Standing, averaging
from server.strategies.validating import Expected, Validating
from simulations.entropy import SeededEntropy
from simulations.evidence.malice import Bags, Malice, Seen
from simulations.flower import identify_task

FMR = 1e-2
MOMENTUM = 0.9  # of the centre, as charters have it by default
PHASES = ("moments", "gradients")
POOL = "all"
RUN = 1  # of Flower, outside of which no message is made

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Arena:
    """One dealing of people to sites, and who judges what comes of it.

    ``trigger`` (D,) is what the sticker of a backdoor adds to a feature.
    """

    plan: PrivacyPlan
    initial: Arrays
    reference: Reference
    sites: Sequence[Bags]
    public: NDArray[np.float32]  # (M, D) features
    tested: NDArray[np.float32]  # (N, D) features of people no site has
    pairs: Pairs  # of tested
    weights: Doubles  # (B, P) of tested people
    trigger: NDArray[np.float64]
    seed: int


@dataclass(frozen=True, eq=False, slots=True)
class Outcome:
    """TAR at FMR 1e-2 and under B resamples of people, and how often two strangers who both wear
    the trigger are taken for one person."""

    tar: float
    draws: Doubles
    triggered: float


@dataclass(frozen=True, eq=False, slots=True)
class Ran:
    """What each phase came to, and how many replies the centre's own checks refused."""

    phases: dict[str, Outcome]
    refused: int


def configured(name: str, malicious: int, sites: int) -> StrategyChoice:
    """Rule ``name`` set up for so many malicious of ``sites``, or for as many as it can promise.

    Krum needs 2 f + 3 sites, bulyan 4 f + 3; what is cut off at either end is their share.
    """
    most = {"krum": (sites - 3) // 2, "multikrum": (sites - 3) // 2, "bulyan": (sites - 3) // 4}
    expected = max(malicious, 1)
    return StrategyChoice(
        name=name,
        malicious=min(expected, most.get(name, expected)),
        trim=min(expected / sites, 0.49),
    )


def attacked(arena: Arena, choice: StrategyChoice, malice: Malice | None, malicious: int) -> Ran:
    """A whole run under ``choice`` in which the first ``malicious`` sites do ``malice``."""
    identify_task(RUN)
    people = [SitePeople(*_labelled(bags)) for bags in _spoiled(arena, malice, malicious)]
    shared, refused = phases.opening(arena.initial, arena.plan), 0
    entropy = [SeededEntropy(arena.seed, 7, number) for number in range(len(people))]
    for current in arena.plan.rounds:
        asked = phases.request(current, shared)
        sigma = arena.plan.site_sigma(current.mechanism)
        sent = [
            release(current, asked, site, arena.public, Terms(sigma, e, arena.plan.people))
            for site, e in zip(people, entropy, strict=True)
        ]
        bound = phases.longest(current, shared, arena.plan)
        if malice is not None and malice.update is not None:
            sent = _replaced(sent, malice, malicious, bound)
        shared, dropped = _round(arena, choice, current, shared, sent)
        refused += dropped
    tails = {"moments": _of_moments(arena, shared), "gradients": Tail(shared[WEIGHT], shared[BIAS])}
    return Ran({phase: judged(arena, tail) for phase, tail in tails.items()}, refused)


def judged(arena: Arena, tail: Tail) -> Outcome:
    """TAR of ``tail`` on the tested people, and what the trigger does to it."""
    embeddings = tail.embed(arena.tested)
    found = estimate(embeddings, arena.pairs, arena.weights, [FMR])
    threshold = threshold_at_far(np.sort(arena.pairs.score(embeddings).impostor), FMR)
    worn = tail.embed((arena.tested + arena.trigger).astype(np.float32))
    level = np.float32(np.inf if threshold is None else threshold)
    triggered = float(np.mean(arena.pairs.score(worn).impostor >= level))
    return Outcome(float(found.tar[0]), found.draws[0], triggered)


def _spoiled(arena: Arena, malice: Malice | None, malicious: int) -> Iterator[Bags]:
    for number, bags in enumerate(arena.sites):
        if malice is None or malice.people is None or number >= malicious:
            yield bags
        else:
            rng = np.random.default_rng([arena.seed, 8, number])
            yield malice.people(bags, arena.trigger, rng)


def _labelled(bags: Bags) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    return np.concatenate(bags), np.repeat(np.arange(len(bags)), [len(bag) for bag in bags])


def _replaced(sent: list[Arrays], malice: Malice, malicious: int, bound: float) -> list[Arrays]:
    """``sent`` with the updates of the malicious in the place of their honest ones."""
    assert malice.update is not None
    rows = np.stack([np.concatenate([a.ravel() for a in arrays.values()]) for arrays in sent])
    rows = rows.astype(np.float64)
    for number in range(malicious):
        seen = Seen(own=rows[number], honest=rows[malicious:], malicious=malicious, bound=bound)
        sent[number] = _shaped(malice.update(seen), sent[number])
    return sent


def _shaped(row: NDArray[np.float64], like: Arrays) -> Arrays:
    ends = np.cumsum([array.size for array in like.values()])[:-1]
    parts = zip(like.items(), np.split(row, ends), strict=True)
    return {name: part.reshape(array.shape).astype(np.float32) for (name, array), part in parts}


def _round(
    arena: Arena, choice: StrategyChoice, current: Round, shared: Arrays, sent: Sequence[Arrays]
) -> tuple[Arrays, int]:
    """The shared arrays after the centre has averaged ``sent``, and how many it refused."""
    bound = phases.longest(current, shared, arena.plan)
    expected = Expected(phases.expected(current, shared), bound)
    weights = {node: 1 for node in range(1, len(sent) + 1)}
    filtered = Validating(_rule(arena, choice, current, shared), expected, weights)
    average, _ = filtered.aggregate_train(current.number, map(_reply, weights, sent))
    dropped = sum(filtered.refused.values())
    if average is None:
        return shared, dropped
    arrays = {name: array.numpy() for name, array in average.items()}
    if isinstance(filtered.inner, Optimiser):
        return {**shared, **arrays}, dropped
    good = len(filtered.accepted)
    pooled = phases.Pooled(
        sites=good,
        people=good * arena.plan.people,
        momentum=MOMENTUM,
        noise_factor=choice.noise_factor(good),
    )
    return phases.absorb(current, shared, arrays, pooled), dropped


def _rule(arena: Arena, choice: StrategyChoice, current: Round, shared: Arrays) -> Strategy:
    """As the centre's round loop chooses: an adaptive optimiser is for gradients only."""
    mechanism = current.mechanism
    if not (choice.adaptive and isinstance(mechanism, GradientMechanism)):
        return averaging(choice)
    past = arena.plan.rounds[: current.number]
    number = sum(isinstance(r.mechanism, GradientMechanism) for r in past)
    rates = mechanism.learning_rates
    return Optimiser(choice, Standing(shared=shared, number=number, learning_rates=rates))


def _reply(node: int, arrays: Arrays) -> Message:
    record = ArrayRecord({name: Array(array) for name, array in arrays.items()})
    content = RecordDict({wire.ARRAYS: record, wire.METRICS: MetricRecord({wire.WEIGHT: 1})})
    asked = Message(RecordDict(), node, "train")
    return Message(content, reply_to=asked)


def _of_moments(arena: Arena, shared: Arrays) -> Tail:
    """What a site without people of its own makes of the released moments."""
    sums = {POOL: {name: array for name, array in shared.items() if name.startswith("moments.")}}
    moments = tuple(m for m in arena.plan.mechanisms if not isinstance(m, GradientMechanism))
    plan = dataclasses.replace(arena.plan, mechanisms=moments)
    parts = shared_parts(arena.reference, pools_of(sums, plan), {POOL: len(arena.sites)})
    return site_tail(arena.reference, own_part(arena.reference, []), parts[POOL])
