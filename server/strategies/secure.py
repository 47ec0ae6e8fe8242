"""Rounds as secure sums: all pools go through the five phases together, each by its own attempt.

Before the vectors a failed attempt costs nobody anything, and another one is made at once. After
them every site has been charged, and pays again for the next: so only one more is made, and then
it is for the administrator to say whether the cause is gone. A phase may take as long as a round of
the charter; a site that was waited for in vain is not asked again in that attempt.
"""

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, RecordDict
from numpy.typing import NDArray

from common import wire
from common.errors import AggregationError, CohortError
from common.privacy.plan import Round
from common.secagg.phases import PHASES, VECTOR
from common.secagg.terms import Context, terms_of
from common.trust import storing
from common.trust.roster import Roster
from server import phases
from server.charter import Charter
from server.checkpoint import PoolArrays
from server.strategies import declined
from server.strategies.aggregating import Aggregation
from server.strategies.countersigning import NodeHeads
from server.strategies.declined import ABSENT, NO_ANSWER
from server.strategies.enlisting import Enlisted

log = logging.getLogger(__name__)

KIND = "query.aggregate"  # Flower's message type
ATTEMPTS = "attempts.json"  # beside the checkpoint: the last attempt of each round
MOST = 2  # attempts at a round in one go

Exchange = Callable[[list[Message], str], list[Message]]
PoolSums = dict[str, "PoolSum"]


@dataclass(frozen=True, kw_only=True, eq=False, slots=True)
class PoolSum:
    """What a pool's secure sum came to: (K,) in units of the clip, over the sites named."""

    total: NDArray[np.float64]
    sites: tuple[str, ...]


@dataclass(kw_only=True, slots=True)
class SecureRounds:
    """Makes the secure sums of a run's rounds over the nodes that enlisted.

    ``exchange`` sends messages of a group and waits; ``heads`` go out and come back with each.
    ``left_out`` has why sites are not in the last sums. Attempts are counted on the disk
    before anybody is asked, so that a centre that died never asks for the same one again.
    """

    charter: Charter
    digest: str  # of the charter as signed
    roster: Roster
    folder: Path
    enlisted: Enlisted
    exchange: Exchange
    heads: NodeHeads
    left_out: dict[str, str] = field(default_factory=dict)

    def sums(self, current: Round, pools: Mapping[str, PoolArrays]) -> PoolSums:
        """The sums of ``current`` over the nodes of each pool, whose shared arrays are ``pools``.

        Raises ``CohortError`` where a pool has too few sites and nobody was charged yet, so that
        looking for sites again is free; ``AggregationError`` where another attempt would cost the
        sites budget; ``PlanError`` for a pool that the plan's numbers do not fit.
        """
        done: PoolSums = {}
        paid, failure = 0, ""
        for _ in range(MOST):
            missing = [pool for pool in self.enlisted.pools if pool not in done]
            if not missing:
                break
            trial = _Trial(self, current, self._next(current.number))
            found = trial.sums({pool: pools[pool] for pool in missing})
            done |= found
            paid += trial.paid and len(found) < len(missing)
            failure = trial.failure or failure
        summed = {name for part in done.values() for name in part.sites}
        for name in summed & set(self.left_out):
            del self.left_out[name]
        if set(done) == set(self.enlisted.pools):
            return done
        remedies = declined.REMEDIES | declined.OF_SUMS
        why = declined.told(self.left_out, self.digest, remedies)
        told = f"round {current.number}: {failure}{why}"
        if paid:
            raise AggregationError(
                f"{told}; the sites were charged {paid} times for it, and each further attempt "
                "costs them as much again: find out why before it is resumed"
            )
        raise CohortError(told)

    def _next(self, number: int) -> int:
        """The number of a new attempt at round ``number``, on the disk when it returns."""
        path = self.folder / ATTEMPTS
        try:
            before = json.loads(storing.read(path) or b"{}")
            attempt = 1 + int(before.get(str(number), 0))
        except (ValueError, TypeError, AttributeError):
            raise AggregationError(
                f"{path} cannot be read: which attempts were made is lost, so this run cannot go "
                "on; propose it under another --run"
            ) from None
        self.folder.mkdir(parents=True, exist_ok=True)
        storing.replace(path, json.dumps({**before, str(number): attempt}).encode())
        return attempt


class _Trial:
    """One attempt at one round, of all pools that still lack their sum."""

    def __init__(self, rounds: SecureRounds, current: Round, attempt: int) -> None:
        self._rounds, self._current, self._attempt = rounds, current, attempt
        enlisted = rounds.enlisted
        self._nodes = {enlisted.sites[node].name: node for node in enlisted.nodes}
        self._names = {node: name for name, node in self._nodes.items()}
        self._errors: dict[str, str] = {}
        self.paid, self.failure = False, ""

    def sums(self, pools: Mapping[str, PoolArrays]) -> PoolSums:
        live = {pool: self._aggregation(pool, shared) for pool, shared in pools.items()}
        for phase in PHASES:
            if not live:
                break
            replies = self._ask(phase, live, pools)
            for pool, aggregation in tuple(live.items()):
                try:
                    aggregation.take(phase, replies)
                except (CohortError, AggregationError) as error:
                    self.failure = f"attempt {self._attempt}, {phase}, pool {pool}: {error}"
                    log.warning("round %d: %s", self._current.number, self.failure)
                    del live[pool]
                finally:
                    self._note(aggregation)
            self.paid |= phase == VECTOR
        return {
            pool: PoolSum(
                total=aggregation.context.terms.grid.decode(aggregation.total),
                sites=aggregation.summed,
            )
            for pool, aggregation in live.items()
        }

    def _aggregation(self, pool: str, shared: PoolArrays) -> Aggregation:
        rounds, current = self._rounds, self._current
        plan, members = rounds.charter.plan, rounds.charter.members.get(pool, ())
        size = phases.size(current, shared)
        context = Context(
            federation=rounds.roster.federation,
            charter=rounds.digest,
            run=rounds.charter.run,
            round=current.number,
            attempt=self._attempt,
            terms=terms_of(plan, current.mechanism, members, size),
        )
        return Aggregation(context, rounds.roster)

    def _ask(
        self, phase: str, live: Mapping[str, Aggregation], pools: Mapping[str, PoolArrays]
    ) -> dict[str, bytes]:
        """What the sites of all pools answered in ``phase``, by name."""
        rounds, seconds = self._rounds, self._rounds.charter.timeout
        group = f"{self._current.number}.{self._attempt} {phase}"
        messages = []
        for pool, aggregation in live.items():
            for name, payload in aggregation.requests(phase).items():
                if name in self._nodes:
                    node = self._nodes[name]
                    content = self._content(phase, node, payload, pools[pool])
                    messages.append(Message(content, node, KIND, ttl=seconds, group_id=group))
                else:
                    self._errors.setdefault(name, ABSENT)
        answers: dict[str, bytes] = {}
        for reply in rounds.exchange(messages, group):
            self._take(reply, answers)
        for message in messages:
            name = self._names[message.metadata.dst_node_id]
            if name not in answers:
                self._errors.setdefault(name, NO_ANSWER)
        return answers

    def _content(self, phase: str, node: int, payload: bytes, shared: PoolArrays) -> RecordDict:
        words: dict[str, Any] = {wire.VERSION: wire.PROTOCOL, wire.RUN: self._rounds.charter.run}
        words |= {wire.ROUND: self._current.number, wire.ATTEMPT: self._attempt}
        words |= {
            wire.PHASE: phase,
            wire.PAYLOAD: payload,
            wire.HEAD: self._rounds.heads.last(node),
        }
        content = RecordDict({wire.CONFIG: ConfigRecord(words)})
        if phase == VECTOR:
            arrays = phases.request(self._current, shared)
            content[wire.ARRAYS] = ArrayRecord({n: Array(array) for n, array in arrays.items()})
        return content

    def _take(self, reply: Message, answers: dict[str, bytes]) -> None:
        """The first proper answer of a site counts; a repeat of it says the same or is refused."""
        node = reply.metadata.src_node_id
        name = self._names[node]
        if reply.has_error():
            reason = reply.error.reason or ""
            known = reason if reason in wire.REASONS else f"error {reply.error.code}"
            self._errors.setdefault(name, known)
            return
        told = reply.content.config_records.get(wire.CONFIG, ConfigRecord())
        payload = told.get(wire.PAYLOAD)
        if isinstance(payload, bytes):
            answers.setdefault(name, payload)
        self._rounds.heads.keep(node, told)

    def _note(self, aggregation: Aggregation) -> None:
        """Why sites are not in the sum, in the words of whoever refused first."""
        for name in aggregation.dropped:
            reason = self._errors.get(name, aggregation.dropped[name])
            self._rounds.left_out[name] = reason
