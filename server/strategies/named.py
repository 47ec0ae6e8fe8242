"""flwr's strategies by name, fed with what our sites send: gradients and sums, not models."""

import gc
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp.strategy import (
    Bulyan,
    FedAdam,
    FedAvg,
    FedMedian,
    FedTrimmedAvg,
    FedYogi,
    Krum,
    MultiKrum,
    Strategy,
)
from flwr.serverapp.strategy.fedopt import FedOpt
from numpy.typing import NDArray

from common import wire
from common.moments.names import GRADIENT
from server.strategies.choice import StrategyChoice

FIRST, SECOND = "optimiser.first.", "optimiser.second."  # moments of the centre's optimiser

Arrays = Mapping[str, NDArray[Any]]


class WidestMultiKrum(MultiKrum):
    """Multi-krum of as many replies as may be averaged of those that came."""

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """As flwr's, after setting how many are selected."""
        good = list(replies)
        widest = StrategyChoice(name="multikrum", malicious=self.num_malicious_nodes)
        self.num_nodes_to_select = widest.averaged(len(good))
        return super().aggregate_train(server_round, good)


class QuickBulyan(Bulyan):
    """flwr's, which collects garbage once a reply: here only what the round itself has made."""

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """As flwr's, with everything older out of the collector's sight."""
        gc.freeze()
        try:
            return super().aggregate_train(server_round, replies)
        finally:
            gc.unfreeze()


def averaging(choice: StrategyChoice) -> Strategy:
    """flwr's rule for one round of a pool; it keeps nothing between rounds.

    flwr's FedProx is FedAvg that also tells sites their proximal term. Ours read it in the plan,
    which they priced and accepted, so at the centre both are FedAvg.
    """
    match choice.name:
        case "fedmedian":
            return FedMedian()
        case "fedtrimmedavg":
            return FedTrimmedAvg(beta=choice.trim)
        case "krum":
            return Krum(num_malicious_nodes=choice.malicious)
        case "multikrum":
            if choice.selected is None:
                return WidestMultiKrum(num_malicious_nodes=choice.malicious)
            return MultiKrum(
                num_malicious_nodes=choice.malicious, num_nodes_to_select=choice.selected
            )
        case "bulyan":
            return QuickBulyan(num_malicious_nodes=choice.malicious)
    return FedAvg()


@dataclass(frozen=True, kw_only=True, eq=False, slots=True)
class Standing:
    """Where a pool stands before a gradient round: ``number`` of them with this one, from 1.

    ``learning_rates`` are those of the sites, which divided by them what they send, for each of
    the arrays that the round moves.
    """

    shared: Arrays
    number: int
    learning_rates: Mapping[str, float]


class Optimiser(Strategy):
    """flwr's FedAdam or FedYogi on pseudo-gradients; its average is the shared arrays after it.

    flwr wants whole models w_s and takes their mean minus the current one as the direction. A
    site's gradient g_s means w_s = w - learning rate * g_s, so flwr is given w = 0 and
    -learning rate * g_s: the same direction without the rounding of w. What the optimiser
    remembers is part of the shared arrays, hence of the checkpoint.
    """

    def __init__(self, choice: StrategyChoice, standing: Standing) -> None:
        kind: type[FedOpt] = FedAdam if choice.name == "fedadam" else FedYogi
        self.inner = kind(
            eta=choice.server_rate, tau=choice.tau, beta_1=choice.beta_1, beta_2=choice.beta_2
        )
        self.standing = standing

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        standing, inner = self.standing, self.inner
        shared, names = standing.shared, tuple(standing.learning_rates)
        inner.current_arrays = {GRADIENT + n: np.zeros_like(shared[n]) for n in names}
        if all(FIRST + n in shared for n in names):
            inner.m_t = {GRADIENT + n: shared[FIRST + n] for n in names}
            inner.v_t = {GRADIENT + n: shared[SECOND + n] for n in names}
        factors = {GRADIENT + n: -rate for n, rate in standing.learning_rates.items()}
        moves = [_scaled(reply, factors) for reply in replies]
        step, metrics = inner.aggregate_train(standing.number, moves)
        if step is None or inner.m_t is None or inner.v_t is None:
            return None, metrics
        after: dict[str, NDArray[Any]] = {}
        for n in names:
            after[n] = shared[n] + step[GRADIENT + n].numpy()  # flwr's FedAdam steps in float64
            after[FIRST + n], after[SECOND + n] = inner.m_t[GRADIENT + n], inner.v_t[GRADIENT + n]
        return ArrayRecord({n: Array(np.asarray(a, np.float32)) for n, a in after.items()}), metrics

    def moved(self, server_round: int, average: Arrays) -> dict[str, NDArray[Any]]:
        """The shared arrays after a round of which only the average is known."""
        record = ArrayRecord({n: Array(np.asarray(a, np.float32)) for n, a in average.items()})
        weight = MetricRecord({wire.WEIGHT: 1})
        content = RecordDict({wire.ARRAYS: record, wire.METRICS: weight})
        only = Message(content, dst_node_id=0, message_type="train")
        after, _ = self.aggregate_train(server_round, [only])
        return {n: a.numpy() for n, a in after.items()} if after is not None else {}

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
        """Sites answer no evaluation."""
        return None

    def summary(self) -> None:
        self.inner.summary()


def _scaled(reply: Message, factors: Mapping[str, float]) -> Message:
    """``reply`` with each array times its factor; its single array record is replaced."""
    content = RecordDict(dict(reply.content))
    for key, record in content.array_records.items():
        scaled = {n: Array(np.float32(factors[n]) * a.numpy()) for n, a in record.items()}
        content[key] = ArrayRecord(scaled)
    reply.content = content
    return reply
