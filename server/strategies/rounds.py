"""The centre's own round loop: describe, accept, then every round of the plan, with checkpoints.

flwr's ``Strategy.start`` always counts from round 1, cannot resume and has no early stop; this loop
is those three things around any flwr strategy. Sites are pooled by the camera type they declared:
each pool has its own shared arrays and its own average.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from flwr.app import Array, ArrayRecord, ConfigRecord, Message, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp.strategy import Strategy
from numpy.typing import NDArray

from common import wire
from common.errors import RunError
from common.privacy.plan import GradientMechanism, Round
from server import phases
from server.charter import Charter
from server.checkpoint import PoolArrays, RunState, write_checkpoint
from server.strategies.named import Optimiser, Standing, averaging
from server.strategies.validating import Expected, Validating

log = logging.getLogger(__name__)

MOST_PEOPLE = 1_000_000  # a site may declare


class Monitor(Protocol):
    """A figure on public people: higher is better. Early stopping may look at nothing else."""

    def score(self, arrays: Mapping[str, NDArray[Any]]) -> float: ...


@dataclass(slots=True)
class Roster:
    """The nodes of a run that accepted its plan, by pool; weights are public constants.

    ``people`` is what each node's operator declared.
    """

    pools: dict[str, list[int]] = field(default_factory=dict)
    people: dict[int, int] = field(default_factory=dict)

    @property
    def nodes(self) -> list[int]:
        return sorted(node for nodes in self.pools.values() for node in nodes)

    def weights(self, pool: str) -> dict[int, int]:
        return dict.fromkeys(self.pools[pool], 1)


@dataclass(slots=True)
class RoundLoop:
    """Runs ``charter`` over ``grid``; ``folder`` holds the checkpoint after every round.

    The strategy of a pool is built anew for every round: all it remembers is in the pool's arrays.
    """

    grid: Grid
    charter: Charter
    folder: Path
    monitor: Monitor | None = None
    refused: dict[str, int] = field(default_factory=dict)

    def run(self, state: RunState, initial: PoolArrays) -> RunState:
        """Goes on from ``state`` to the end of the plan and returns the last state.

        Raises ``RunError`` if fewer sites than the cohort minimum accept, or answer a round, or
        if a pool has fewer than its distributed noise or its strategy needs, or if ``state`` was
        made with another strategy.
        """
        plan, strategy = self.charter.plan, self.charter.strategy.to_json()
        if state.round and state.strategy not in ("", strategy):
            raise RunError("the checkpoint was made with another strategy; do not resume it")
        state.strategy = strategy
        roster = self._enlist()
        for pool in roster.pools:
            state.pools.setdefault(pool, phases.opening(initial))
        for number in range(state.round + 1, len(plan.rounds) + 1):
            current = plan.rounds[number - 1]
            gradient = isinstance(current.mechanism, GradientMechanism)
            if not (gradient and self._stopped(state)):  # else neither asked for nor charged
                self._round(current, roster, state)
                if self.monitor and gradient:
                    _note_score(self.monitor, state)
            state.round = number
            write_checkpoint(self.folder, state)
        return state

    def _stopped(self, state: RunState) -> bool:
        """Whether early stopping has spoken; read from the history, so it outlives a restart."""
        stop = self.charter.early_stop
        if stop is None:
            return False
        best, waited = float("-inf"), 0
        for score in (entry["public"] for entry in state.history if "public" in entry):
            better = score >= best + stop.least_gain
            best, waited = (score, 0) if better else (best, waited + 1)
            if waited >= stop.patience:
                return True
        return False

    def _enlist(self) -> Roster:
        plan, roster = self.charter.plan, Roster()
        described = self._ask("query.describe", {}, list(self.grid.get_node_ids()))
        willing = {
            node: str(facts.get(wire.CAMERA_TYPE, ""))
            for node, facts in described.items()
            if facts.get(wire.VERSION) == wire.PROTOCOL
            and facts.get(wire.TRUNK) == plan.trunk
            and _declared(facts) is not None
        }
        offer = {wire.PLAN: plan.to_json()}
        accepted = self._ask("query.accept", offer, sorted(willing))
        for node, answer in sorted(accepted.items()):
            if answer.get(wire.PLAN_DIGEST) == plan.digest:
                pool = willing[node] if plan.pooling == "camera_type" else "all"
                roster.pools.setdefault(pool, []).append(node)
                roster.people[node] = _declared(described[node]) or 0
        if len(roster.nodes) < plan.cohort:
            raise RunError(
                f"{len(roster.nodes)} sites accepted the plan, the cohort minimum is {plan.cohort}"
            )
        self._check_pools({pool: len(nodes) for pool, nodes in roster.pools.items()}, "enlisting")
        return roster

    def _ask(self, kind: str, config: dict[str, str], nodes: list[int]) -> dict[int, ConfigRecord]:
        record = ConfigRecord({wire.VERSION: wire.PROTOCOL, wire.RUN: self.charter.run})
        record.update(config)
        content = RecordDict({wire.CONFIG: record})
        ttl = self.charter.timeout
        asked = [Message(content, n, kind, ttl=ttl, group_id=kind) for n in nodes]
        answers = {}
        for reply in self._exchange(asked, kind):
            node = reply.metadata.src_node_id
            if reply.has_error():
                reason = reply.error.reason if reply.error.reason in wire.REASONS else "error"
                log.warning("node %d refused %s: %s", node, kind, reason)
            elif wire.CONFIG in reply.content.config_records:
                answers[node] = reply.content.config_records[wire.CONFIG]
        return answers

    def _round(self, current: Round, roster: Roster, state: RunState) -> None:
        number = current.number
        replies = self._train(current, roster, state)
        pooled: dict[str, int] = {}
        after = dict(state.pools)
        for pool, nodes in roster.pools.items():
            sent = state.pools[pool]
            bound = phases.longest(current, sent, self.charter.plan)
            expected = Expected(phases.expected(current, sent), bound)
            strategy = Validating(self._strategy(current, sent), expected, roster.weights(pool))
            members = set(nodes)
            mine = [r for r in replies if r.metadata.src_node_id in members]
            average, _ = strategy.aggregate_train(number, mine)
            for reason, count in strategy.refused.items():
                self.refused[reason] = self.refused.get(reason, 0) + count
            good = len(mine) - sum(strategy.refused.values())
            pooled[pool] = good
            if average is not None:
                arrays = {name: array.numpy() for name, array in average.items()}
                if isinstance(strategy.inner, Optimiser):
                    after[pool] = {**sent, **arrays}
                else:
                    people = sum(roster.people[node] for node in strategy.accepted)
                    after[pool] = phases.absorb(current, sent, arrays, self._pooled(good, people))
        self._check_pools(pooled, f"round {number}")
        state.pools, answered = after, sum(pooled.values())
        state.history.append(
            {"round": number, "mechanism": current.mechanism.name, "sites": answered}
        )
        if answered < self.charter.plan.cohort:
            raise RunError(
                f"round {number}: {answered} sites answered, "
                f"the cohort minimum is {self.charter.plan.cohort}"
            )

    def _strategy(self, current: Round, shared: PoolArrays) -> Strategy:
        """What turns the replies to ``current`` into one; moments know no optimiser."""
        choice, mechanism = self.charter.strategy, current.mechanism
        if not (choice.adaptive and isinstance(mechanism, GradientMechanism)):
            return averaging(choice)
        past = self.charter.plan.rounds[: current.number]
        number = sum(isinstance(r.mechanism, GradientMechanism) for r in past)
        rate = mechanism.learning_rate
        return Optimiser(choice, Standing(shared=shared, number=number, learning_rate=rate))

    def _pooled(self, sites: int, people: int) -> phases.Pooled:
        return phases.Pooled(
            sites=sites,
            people=people,
            momentum=self.charter.momentum,
            noise_factor=self.charter.strategy.noise_factor(sites),
        )

    def _check_pools(self, sites: Mapping[str, int], when: str) -> None:
        """Raises ``RunError`` for a pool with fewer ``sites`` than noise or strategy need."""
        plan = self.charter.plan
        told = self.charter.strategy.too_few(sites)
        if told:
            raise RunError(f"{when}: {told}")
        if plan.noise == "distributed" and min(sites.values(), default=0) < plan.honest_sites:
            raise RunError(f"a pool has fewer than the {plan.honest_sites} sites its noise needs")

    def _train(self, current: Round, roster: Roster, state: RunState) -> list[Message]:
        number = current.number
        config = ConfigRecord(
            {wire.VERSION: wire.PROTOCOL, wire.RUN: self.charter.run, wire.ROUND: number}
        )
        messages = []
        for pool, nodes in roster.pools.items():
            arrays = phases.request(current, state.pools[pool])
            record = ArrayRecord({name: Array(array) for name, array in arrays.items()})
            content = RecordDict({wire.ARRAYS: record, wire.CONFIG: config})
            messages += [
                Message(content, node, "train", ttl=self.charter.timeout, group_id=str(number))
                for node in nodes
            ]
        return self._exchange(messages, str(number))

    def _exchange(self, messages: list[Message], group: str) -> list[Message]:
        """Replies to ``messages``, all of ``group``; others come late and are stale.

        So is whatever a node says that was not asked this time.
        """
        timely, asked = [], {message.metadata.dst_node_id for message in messages}
        for reply in self.grid.send_and_receive(messages, timeout=self.charter.timeout):
            told = reply.metadata
            if told.group_id == group and told.src_node_id in asked:
                timely.append(reply)
            else:
                self.refused["stale"] = self.refused.get("stale", 0) + 1
        return timely


def _note_score(monitor: Monitor, state: RunState) -> None:
    """Writes the mean score over the pools into the history."""
    scores = [monitor.score(arrays) for arrays in state.pools.values()]
    state.history[-1]["public"] = sum(scores) / len(scores)


def _declared(facts: ConfigRecord) -> int | None:
    """The people a site declared, or None where it declared none that can be meant."""
    people = facts.get(wire.PEOPLE)
    return people if isinstance(people, int) and 1 <= people <= MOST_PEOPLE else None
