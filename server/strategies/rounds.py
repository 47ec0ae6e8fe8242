"""The centre's own round loop: describe, accept, then every round of the plan, with checkpoints.

flwr's ``Strategy.start`` always counts from round 1, cannot resume and has no early stop; this loop
is those three things around any flwr strategy. Sites are pooled by the camera type they declared:
each pool has its own shared arrays and its own average.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from flwr.app import Array, ArrayRecord, ConfigRecord, Message, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp.strategy import Strategy
from numpy.typing import NDArray

from common import wire
from common.errors import CohortError, RunError
from common.privacy.plan import EvaluationMechanism, GradientMechanism, Round
from common.trust.charter import charter_digest
from common.trust.signed import Signed
from server import phases
from server.charter import Charter
from server.checkpoint import PoolArrays, RunState, write_checkpoint
from server.evaluating import Judge, Yardstick
from server.runs.register import Register
from server.strategies import declined
from server.strategies.countersigning import NodeHeads
from server.strategies.enlisting import Enlisted, Enlisting
from server.strategies.named import Optimiser, Standing, averaging
from server.strategies.secure import SecureRounds
from server.strategies.validating import Expected, Validating

TRAIN, EVALUATE = "train", "evaluate"  # Flower's message types

log = logging.getLogger(__name__)


class Monitor(Yardstick, Protocol):
    """Public people: thresholds for evaluations, and a figure, higher is better, that early
    stopping may look at. It may look at nothing else."""

    def score(self, arrays: Mapping[str, NDArray[Any]]) -> float: ...


@dataclass(slots=True)
class RoundLoop:
    """Runs ``charter``, as ``signed``, over ``grid``; ``folder`` gets a checkpoint a round.

    With a ``register`` only sites of its roster take part, and each is shown its own last ledger
    head with the charter. The strategy of a pool is built anew for every round: all it remembers
    is in the pool's arrays.
    """

    grid: Grid
    charter: Charter
    signed: Signed
    folder: Path
    monitor: Monitor | None = None
    register: Register | None = None
    done: Callable[[RunState], None] | None = None  # told of every round that is on the disk
    refused: dict[str, int] = field(default_factory=dict)
    faults: dict[int, str] = field(default_factory=dict)  # node: why its last answer was refused
    names: dict[int, str] = field(default_factory=dict)  # of the sites that nodes proved to be
    summed: dict[str, tuple[str, ...]] = field(default_factory=dict)  # by pool, last secure sums
    left_out: dict[str, str] = field(default_factory=dict)  # site: why it is not in them
    without: frozenset[str] = frozenset()  # pools that may be lost

    def run(self, state: RunState, initial: PoolArrays) -> RunState:
        """Goes on from ``state`` to the end of the plan and returns the last state.

        Raises ``CohortError`` if fewer sites than the cohort minimum accept, or answer a round, if
        a pool that has begun is lost and not ``without``, or if a pool has fewer than its
        distributed noise or its strategy needs; ``AggregationError`` if a secure sum failed after
        the sites had paid for it: the checkpoint is then that of the round before. ``RunError`` if
        ``state`` was made with another strategy, or the plan evaluates without public people.
        """
        judge = Judge(plan=self.charter.plan, initial=initial, yardstick=self.monitor)
        judge.check()
        plan, strategy = self.charter.plan, self.charter.strategy.to_json()
        if state.round and state.strategy not in ("", strategy):
            raise RunError("the checkpoint was made with another strategy; do not resume it")
        state.strategy = strategy
        enlisting = self._enlisting()
        roster = enlisting.enlist(list(self.grid.get_node_ids()), initial)
        self.names = {node: site.name for node, site in roster.sites.items()}
        here = {pool: len(nodes) for pool, nodes in roster.pools.items()}
        begun = dict.fromkeys(state.pools, 0)
        self._check_pools(begun | here, "enlisting", enlisting.reasons())
        for pool in roster.pools:
            state.pools.setdefault(pool, phases.opening(initial, plan))
        for number in range(state.round + 1, len(plan.rounds) + 1):
            current = plan.rounds[number - 1]
            gradient = isinstance(current.mechanism, GradientMechanism)
            if isinstance(current.mechanism, EvaluationMechanism):
                self._evaluate(current, roster, state, judge)
            elif not (gradient and self._stopped(state)):  # else neither asked for nor charged
                self._round(current, roster, state)
                if self.monitor and gradient:
                    _note_score(self.monitor, state)
            state.round = number
            write_checkpoint(self.folder, state)
            if self.done is not None:
                self.done(state)
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

    def _evaluate(self, current: Round, roster: Enlisted, state: RunState, judge: Judge) -> None:
        """A round whose sums are read and kept, and enter nothing."""
        state.pools = judge.prepared(current, state.pools)
        write_checkpoint(self.folder, state)
        self._round(current, roster, state)
        state.history[-1]["evaluation"] = judge.figures(current, state.pools)

    def _enlisting(self) -> Enlisting:
        return Enlisting(self.charter, self.signed, self._exchange, self.register)

    def _secure_round(self, current: Round, roster: Enlisted, state: RunState) -> None:
        """A round that leaves the sites as one sum a pool; what comes after it is the same."""
        number, plan, after = current.number, self.charter.plan, dict(state.pools)
        people = {roster.sites[node].name: roster.people[node] for node in roster.nodes}
        secure = self._secure(roster)
        sums = secure.sums(current, state.pools)
        self.left_out = secure.left_out
        for pool, part in sums.items():
            sent, sites = state.pools[pool], len(part.sites)
            terms = phases.SumTerms(sites=sites, people=plan.people)
            average = phases.averaged(current, sent, part.total, terms)
            pooled = self._pooled(sites, sum(people[name] for name in part.sites))
            strategy = self._strategy(current, sent)
            if isinstance(strategy, Optimiser):
                after[pool] = {**sent, **strategy.moved(number, average)}
            else:
                after[pool] = phases.absorb(current, sent, average, pooled)
        state.pools, self.summed = after, {pool: part.sites for pool, part in sums.items()}
        answered = sum(len(part.sites) for part in sums.values())
        entry = {"round": number, "mechanism": current.mechanism.name, "sites": answered}
        state.history.append(entry)

    def _secure(self, roster: Enlisted) -> SecureRounds:
        if self.register is None:
            raise RunError("a charter with members needs the roster that they are in")
        return SecureRounds(
            charter=self.charter,
            digest=charter_digest(self.signed),
            roster=self.register.roster,
            folder=self.folder,
            enlisted=roster,
            exchange=self._exchange,
            heads=NodeHeads(self.register, roster.sites),
        )

    def _round(self, current: Round, roster: Enlisted, state: RunState) -> None:
        if self.charter.members:
            self._secure_round(current, roster, state)
        else:
            self._plain_round(current, roster, state)

    def _plain_round(self, current: Round, roster: Enlisted, state: RunState) -> None:
        number = current.number
        heads = NodeHeads(self.register, roster.sites)
        replies = self._train(current, roster, state, heads)
        for reply in replies:
            self._take_head(heads, reply)
        pooled: dict[str, int] = {}
        heard = {reply.metadata.src_node_id for reply in replies}
        faults = {node: declined.NO_ANSWER for node in roster.nodes if node not in heard}
        after = dict(state.pools)
        for pool, nodes in roster.pools.items():
            sent = state.pools[pool]
            bound = phases.longest(current, sent, self.charter.plan)
            expected = Expected(phases.expected(current, sent), bound)
            strategy = Validating(self._strategy(current, sent), expected, roster.weights(pool))
            members = set(nodes)
            mine = [r for r in replies if r.metadata.src_node_id in members]
            mine.sort(key=lambda reply: roster.place(reply.metadata.src_node_id))
            average, _ = strategy.aggregate_train(number, mine)
            faults |= strategy.faults
            self.faults |= strategy.faults
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
        self._check_pools(pooled, f"round {number}", self._named(faults))
        state.pools, answered = after, sum(pooled.values())
        state.history.append(
            {"round": number, "mechanism": current.mechanism.name, "sites": answered}
        )
        if answered < self.charter.plan.cohort:
            raise CohortError(f"round {number}: {answered} sites answered{self._why(faults)}")

    def _why(self, faults: Mapping[int, str]) -> str:
        """What a round with too few answers is told with: which site failed it, and why."""
        told = declined.told(self._named(faults), charter_digest(self.signed))
        return f", the cohort minimum is {self.charter.plan.cohort}{told}"

    def _named(self, faults: Mapping[int, str]) -> dict[str, str]:
        return {self.names.get(node, f"node {node}"): why for node, why in faults.items()}

    def _take_head(self, heads: NodeHeads, reply: Message) -> None:
        """Takes the ledger head out of an answer, which the strategy need not know."""
        if reply.has_content() and wire.CONFIG in reply.content:
            told = reply.content[wire.CONFIG]
            rest = {key: record for key, record in reply.content.items() if key != wire.CONFIG}
            reply.content = RecordDict(rest)
            if isinstance(told, ConfigRecord):
                heads.keep(reply.metadata.src_node_id, told)

    def _strategy(self, current: Round, shared: PoolArrays) -> Strategy:
        """What turns the replies to ``current`` into one; moments know no optimiser."""
        choice, mechanism = self.charter.strategy, current.mechanism
        if not (choice.adaptive and isinstance(mechanism, GradientMechanism)):
            return averaging(choice)
        past = self.charter.plan.rounds[: current.number]
        number = sum(isinstance(r.mechanism, GradientMechanism) for r in past)
        rates = mechanism.learning_rates
        return Optimiser(choice, Standing(shared=shared, number=number, learning_rates=rates))

    def _pooled(self, sites: int, people: int) -> phases.Pooled:
        return phases.Pooled(
            sites=sites,
            people=people,
            momentum=self.charter.momentum,
            noise_factor=self.charter.strategy.noise_factor(sites),
        )

    def _check_pools(self, sites: Mapping[str, int], when: str, why: Mapping[str, str]) -> None:
        """``CohortError`` for a pool that is lost, or has fewer ``sites`` than its rule needs."""
        plan, lost = self.charter.plan, {pool for pool, number in sites.items() if not number}
        if lost - self.without and sum(sites.values()) >= plan.cohort:
            known = self.register.roster.sites if self.register is not None else ()
            which = declined.lost(sorted(lost - self.without), known)
            raise CohortError(f"{when}: {which}{declined.told(why, charter_digest(self.signed))}")
        sites = {pool: number for pool, number in sites.items() if number}
        told = self.charter.strategy.too_few(sites)
        if told:
            raise CohortError(f"{when}: {told}")
        if plan.noise == "distributed" and min(sites.values(), default=0) < plan.honest_sites:
            told = f"a pool has fewer than the {plan.honest_sites} sites its noise needs"
            raise CohortError(told)

    def _train(
        self, current: Round, roster: Enlisted, state: RunState, heads: NodeHeads
    ) -> list[Message]:
        number, seconds = current.number, self.charter.timeout
        kind = EVALUATE if isinstance(current.mechanism, EvaluationMechanism) else TRAIN
        words: dict[str, Any] = {
            wire.VERSION: wire.PROTOCOL,
            wire.RUN: self.charter.run,
            wire.ROUND: number,
        }
        messages = []
        for pool, nodes in roster.pools.items():
            arrays = phases.request(current, state.pools[pool])
            record = ArrayRecord({name: Array(array) for name, array in arrays.items()})
            for node in nodes:
                config = ConfigRecord({**words, wire.HEAD: heads.last(node)})
                content = RecordDict({wire.ARRAYS: record, wire.CONFIG: config})
                messages.append(Message(content, node, kind, ttl=seconds, group_id=str(number)))
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
