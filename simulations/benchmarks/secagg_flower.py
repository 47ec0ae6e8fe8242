"""Flower's own SecAgg+ in one process: its workflow and its mod, as the yardstick of ours.

Both are legacy parts of flwr that the new strategies cannot use; here they get what they ask for:
a legacy context, a strategy that sends nothing and keeps the average, and an in-process grid.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.client.mod import secaggplus_mod
from flwr.common import (
    Code,
    FitIns,
    FitRes,
    Parameters,
    Status,
    ndarrays_to_parameters,
    parameters_to_ndarrays,
)
from flwr.common.serde import recorddict_to_proto
from flwr.compat.common.recorddict_compat import fitres_to_recorddict, parameters_to_arrayrecord
from flwr.server.compat.legacy_context import LegacyContext
from flwr.server.strategy import FedAvg
from flwr.server.workflow import SecAggPlusWorkflow
from numpy.typing import NDArray

from simulations.grid import InProcessGrid

CLIP = 8.0  # flwr's default: a coordinate's range
_NOTHING = ndarrays_to_parameters([])


class _Proxy:
    """What the workflow wants of a client proxy."""

    def __init__(self, node: int) -> None:
        self.node_id = node


class _Everybody(FedAvg):
    """Asks all nodes for a vector, and keeps the average that SecAgg+ recovered."""

    def __init__(self, nodes: Sequence[int]) -> None:
        super().__init__()
        self._nodes = nodes
        self.average: NDArray[np.float64] | None = None

    def configure_fit(self, server_round: int, parameters: Parameters, client_manager: Any) -> Any:
        return [(_Proxy(node), FitIns(_NOTHING, {})) for node in self._nodes]

    def aggregate_fit(self, server_round: int, results: Any, failures: Any) -> Any:
        self.average = parameters_to_ndarrays(results[0][1].parameters)[0]
        return None, {}


class FlowerSum:
    """One secure sum of ``vectors`` (sites, K) by SecAgg+; a new run for each call."""

    def __init__(self, vectors: NDArray[np.float32], threshold: int) -> None:
        self._vectors, self._threshold = vectors, threshold
        self.uploaded = 0  # bytes that the sites sent in the last run, as protobufs

    def __call__(self) -> NDArray[np.float64]:
        sites = len(self._vectors)
        self.uploaded = 0
        grid = InProcessGrid(self._site, sites, {})  # type: ignore[arg-type]
        grid.watch = self._watch
        strategy = _Everybody(list(grid.get_node_ids()))
        context = LegacyContext(grid.server_context({}), strategy=strategy)
        context.state.config_records["config"] = ConfigRecord({"current_round": 1})
        context.state.array_records["parameters"] = parameters_to_arrayrecord(_NOTHING, True)
        workflow = SecAggPlusWorkflow(
            num_shares=1.0, reconstruction_threshold=self._threshold / sites, max_weight=1.0
        )
        workflow(grid, context)
        assert strategy.average is not None, "Flower's SecAgg+ halted"
        return np.asarray(strategy.average * sites, np.float64)

    def _site(self, message: Message, context: Context) -> Message:
        asked = message.content.config_records  # of one object for all nodes: the mod takes from it
        copied = {name: ConfigRecord(dict(record)) for name, record in asked.items()}
        message.content = RecordDict({**message.content, **copied})
        return secaggplus_mod(message, context, self._fit)

    def _fit(self, message: Message, context: Context) -> Message:
        vector = self._vectors[context.node_id - 2]
        status = Status(Code.OK, "")
        result = FitRes(status, ndarrays_to_parameters([vector]), num_examples=1, metrics={})
        return Message(fitres_to_recorddict(result, False), reply_to=message)

    def _watch(self, reply: Message) -> None:
        content: RecordDict = reply.content
        self.uploaded += int(recorddict_to_proto(content).ByteSize())
