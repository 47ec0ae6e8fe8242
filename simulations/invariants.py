"""What must hold after any run, whatever the weather was: each rule, and what broke it in words.

Everything is worked out anew from what crossed the grid. Nothing here asks the agent or the centre
what they think happened.
"""

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
from flwr.app import Message
from numpy.typing import NDArray

from client.privacy.reconcile import Sent, uncharged
from common import wire
from common.models.tail import BIAS, WEIGHT
from common.moments.names import (
    GRADIENT,
    count_name,
    evaluation_count,
    evaluation_sum,
    sum_name,
)
from common.privacy.accountant import epsilon
from common.privacy.plan import EvaluationMechanism, GradientMechanism, Round
from simulations.trial import Aftermath

TOLERANCE = 1e-4  # of the largest entry: float32 sums in another order
ROUNDING = 1e-9  # of an epsilon
WORK = ("train", "evaluate")  # Flower's types of messages that make a site release something

Arrays = dict[str, NDArray[np.float64]]


def broken(left: Aftermath) -> list[str]:
    """Every rule that does not hold, in words; empty after a run as it should be."""
    return [
        *_wrong_books(left),
        *_wrong_counts(left),
        *_wrong_pools(left),
        *_wrong_end(left),
    ]


def survivors(left: Aftermath, number: int) -> dict[int, Arrays]:
    """By node, what had to enter round ``number``: in time, whole, asked for, each site once."""
    label = str(number)
    asked = [c for c in left.crossings if c.what == "sent" and c.message.metadata.group_id == label]
    if not asked:
        return {}
    last = max(c.exchange for c in asked)  # an earlier one was broken off and never counted
    nodes = {c.node for c in asked if c.exchange == last}
    good: dict[int, Arrays] = {}
    for arrived in (c for c in left.crossings if c.what == "arrived" and c.exchange == last):
        reply = arrived.message
        timely = reply.metadata.group_id == label and not arrived.broken
        if timely and reply.has_content() and arrived.node in nodes - good.keys():
            good[arrived.node] = {n: a.astype(np.float64) for n, a in _arrays(reply).items()}
    return good


def _wrong_books(left: Aftermath) -> Iterator[str]:
    """Charged before it left, once for the same bytes, and the chain of the ledger whole."""
    plan, released = left.charter.plan, _released(left)
    for node, books in left.books.items():
        if books.fault:
            yield f"node {node}: the ledger does not verify: {books.fault}"
        sent = [
            Sent(left.charter.run, number, payload)
            for (sender, number), payloads in released.items()
            for payload in payloads
            if sender == node
        ]
        for one in uncharged(books.entries, sent):
            yield f"node {node}: round {one.round} left without being charged first"
        cost = epsilon((plan.rounds[s.round - 1].event for s in sent), plan.delta)
        if cost > books.epsilon + ROUNDING:
            yield f"node {node}: released for {cost:.6g}, charged only {books.epsilon:.6g}"
    for (node, number), payloads in released.items():
        if len(payloads) > 1:
            yield f"node {node}: {len(payloads)} different releases of round {number}"


def _released(left: Aftermath) -> dict[tuple[int, int], set[bytes]]:
    """By node and round, the different bytes that left the site."""
    released: dict[tuple[int, int], set[bytes]] = defaultdict(set)
    for c in left.crossings:
        told = c.message.metadata
        if c.what == "left" and told.message_type in WORK and c.message.has_content():
            released[c.node, int(told.group_id)].add(wire.dump(_arrays(c.message)))
    return released


def _wrong_counts(left: Aftermath) -> Iterator[str]:
    """As many sites counted as gave a good reply in time."""
    for entry in left.state.history if left.state else ():
        number, counted = int(entry["round"]), int(entry["sites"])
        good = len(survivors(left, number))
        if counted != good:
            yield f"round {number}: {counted} sites were counted, {good} good replies came in time"


def _wrong_pools(left: Aftermath) -> Iterator[str]:
    """Every pool is the sum over exactly the survivors, gradients stepped by their mean."""
    if left.state is None:
        return
    for pool, arrays in left.state.pools.items():
        for name, expected in _pool(left, pool).items():
            if name not in arrays:
                yield f"pool {pool}: {name} is missing"
            elif not _near(np.asarray(arrays[name], np.float64), expected):
                yield f"pool {pool}: {name} is not the sum over exactly those who answered in time"


def _pool(left: Aftermath, pool: str) -> Arrays:
    """What the checkpoint of ``pool`` has to hold after its last round."""
    expected: Arrays = {}
    tail = {name: np.asarray(left.initial[name], np.float64) for name in (WEIGHT, BIAS)}
    velocity = {name: np.zeros_like(array) for name, array in tail.items()}
    done = left.state.round if left.state else 0
    for current in left.charter.plan.rounds[:done]:
        everybody = survivors(left, current.number)
        replies = {n: a for n, a in everybody.items() if left.pool_of[n] == pool}
        if not replies:
            continue
        if isinstance(current.mechanism, GradientMechanism):
            _step(current, list(replies.values()), left.charter.momentum, (tail, velocity))
        else:
            evaluated = isinstance(current.mechanism, EvaluationMechanism)
            named = (evaluation_sum, evaluation_count) if evaluated else (sum_name, count_name)
            total, count = (name(current.mechanism.name) for name in named)
            expected[total] = sum((a[total] for a in replies.values()), start=np.zeros(()))
            people = sum(left.people_of[node] for node in replies)
            expected[count] = np.array([people, len(replies)], np.float64)
    return {**expected, **tail}


def _step(
    current: Round, replies: list[Arrays], momentum: float, moving: tuple[Arrays, Arrays]
) -> None:
    assert isinstance(current.mechanism, GradientMechanism)
    tail, velocity = moving
    for name in tail:
        mean = np.mean([arrays[GRADIENT + name] for arrays in replies], axis=0)
        velocity[name] = momentum * velocity[name] + mean
        tail[name] = tail[name] - current.mechanism.learning_rate * velocity[name]


def _wrong_end(left: Aftermath) -> Iterator[str]:
    """A run ends after its last round, or says why it stopped."""
    done = left.state.round if left.state else 0
    if left.finished and done != len(left.charter.plan.rounds):
        yield f"the run says it is finished after round {done}"
    if not left.finished and not left.stops:
        yield "the run stopped and nobody was told why"
    if not all(left.stops):
        yield "the run stopped without a word"


def _arrays(message: Message) -> dict[str, NDArray[np.generic]]:
    record = message.content.array_records[wire.ARRAYS]
    return {name: array.numpy() for name, array in record.items()}


def _near(found: NDArray[np.float64], expected: NDArray[np.float64]) -> bool:
    if found.shape != expected.shape:
        return False
    scale = max(1.0, float(np.abs(expected).max(initial=0.0)))
    return bool((np.abs(found - expected) <= TOLERANCE * scale).all())
