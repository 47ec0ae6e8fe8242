"""A wrapper that keeps malformed replies out of any flwr strategy.

flwr's own strategies stop the run, or average nonsense, when one reply has another shape, a NaN, an
extra key or an absurd weight. Here such a reply is dropped and counted before they see it, and the
weight of a site is what the roster says, never what the reply says.
"""

import logging
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp.strategy import Strategy

from common import wire

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Expected:
    """What an update must look like: shape and dtype name of each array, and an L2 bound."""

    arrays: Mapping[str, tuple[tuple[int, ...], str]]
    bound: float = math.inf


class Validating(Strategy):
    """Passes to ``inner`` only replies that match ``expected``, at the roster's weights.

    ``refused`` counts what was dropped, by reason; it names nodes to the centre's own log only.
    ``accepted`` are the nodes whose replies entered the last average, ``faults`` the others.
    """

    def __init__(self, inner: Strategy, expected: Expected, weights: Mapping[int, int]) -> None:
        self.inner, self.expected, self.weights = inner, expected, weights
        self.refused: dict[str, int] = {}
        self.accepted: list[int] = []
        self.faults: dict[int, str] = {}  # node: why its last reply was refused

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        good: list[Message] = []
        seen: set[int] = set()
        for reply in replies:
            node = reply.metadata.src_node_id
            reason = "duplicate" if node in seen else self._fault(reply)
            if reason is None:
                seen.add(node)
                good.append(_reweighed(reply, self.weights[node]))
                continue
            self.refused[reason] = self.refused.get(reason, 0) + 1
            self.faults[node] = reason
            log.warning("round %d: reply of node %d refused: %s", server_round, node, reason)
        self.accepted = sorted(seen)
        if not good:
            return None, None
        return self.inner.aggregate_train(server_round, good)

    def _fault(self, reply: Message) -> str | None:
        if reply.metadata.src_node_id not in self.weights:
            return "unknown node"
        if reply.has_error():
            return f"error {_reason(reply)}"
        try:
            return self._content_fault(reply.content)
        except Exception as error:  # whatever a hostile record raises when read
            return f"unreadable ({type(error).__name__})"

    def _content_fault(self, content: RecordDict) -> str | None:
        if set(content) != {wire.ARRAYS, wire.METRICS}:
            return "record keys"
        record = content.array_records.get(wire.ARRAYS)
        metrics = content.metric_records.get(wire.METRICS)
        if record is None or metrics is None or set(metrics) != {wire.WEIGHT}:
            return "record types"
        if set(record) != set(self.expected.arrays):
            return "array names"
        squares = 0.0
        for name, (shape, dtype) in self.expected.arrays.items():
            if tuple(record[name].shape) != shape or record[name].dtype != dtype:
                return "shape or dtype"
            array = record[name].numpy()
            if array.shape != shape or array.dtype.name != dtype:
                return "shape or dtype"
            squares += float(np.square(array, dtype=np.float64).sum())
        if not math.isfinite(squares):
            return "not finite"
        return "norm" if math.sqrt(squares) > self.expected.bound else None

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        return self.inner.configure_train(server_round, arrays, config, grid)

    def configure_evaluate(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        return self.inner.configure_evaluate(server_round, arrays, config, grid)

    def aggregate_evaluate(
        self, server_round: int, replies: Iterable[Message]
    ) -> MetricRecord | None:
        """Flower's own evaluation is not used: figures about faces are sums that a plan pays for,
        and come through ``aggregate_train`` like all others."""
        return None

    def summary(self) -> None:
        self.inner.summary()


def _reweighed(reply: Message, weight: int) -> Message:
    content = RecordDict(
        {
            wire.ARRAYS: reply.content.array_records[wire.ARRAYS],
            wire.METRICS: MetricRecord({wire.WEIGHT: weight}),
        }
    )
    reply.content = content
    return reply


def _reason(reply: Message) -> str:
    reason = reply.error.reason or ""
    return reason if reason in wire.REASONS else str(reply.error.code)
