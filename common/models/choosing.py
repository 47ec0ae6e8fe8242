"""Which channels of a network go: those whose loss buys the most work, a block at a time.

Kernels work on blocks of channels, and half a block costs as much as a whole one: so a family (all
that must be as many as one another) loses whole blocks, the cheapest loss first.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.errors import ModelError
from common.models.channels import Channels, Units, axes_of, reads_all
from common.models.onnx_graph import Graph

TOUCH = 128.0  # multiplications that writing one number is worth (see docs/models.md)
BLOCK = 16  # channels that the kernels of a runtime work on together

Mask = NDArray[np.bool_]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Price:
    """What one layer costs: ``product`` for each pair of channels, ``each`` for each it writes."""

    product: float
    each: float
    inputs: Units
    outputs: Units

    def at(self, keep: Mask) -> float:
        outputs = float(keep[self.outputs].sum())
        return outputs * (self.each + self.product * float(keep[self.inputs].sum()))


def choose(
    graph: Graph,
    channels: Channels,
    worth: Floats,
    goal: float,
    *,
    block: int = BLOCK,
    among: Mask | None = None,
) -> Mask:
    """Which units (U,) stay so that no more than ``goal`` of the work is left.

    Only those ``among`` which are chosen stay at all. Families keep a multiple of ``block``
    channels, and at least one block. Raises ``ModelError`` where so much cannot go.
    """
    stay = np.ones(len(channels.family), np.bool_) if among is None else among.copy()
    prices = prices_of(graph, channels)
    families = _families(channels, worth)
    costs = {number: _touched(prices, channels, number) for number in families}
    work = sum(price.at(stay) for price in prices)
    while work > goal:
        best, chosen, saved = math.inf, None, 0.0
        for number, order in families.items():
            chunk = _chunk(order[stay[order]], block)
            if not len(chunk):
                continue
            gain = _saved(costs[number], stay, chunk)
            loss = float(worth[chunk].sum()) / gain if gain > 0 else math.inf
            if loss < best:
                best, chosen, saved = loss, chunk, gain
        if chosen is None:
            raise ModelError("no more channels can go: keep more, or take smaller blocks")
        stay[chosen] = False
        work -= saved
    return stay


def work_of(graph: Graph, channels: Channels) -> float:
    """A picture's multiplications, and ``TOUCH`` for each number that a layer writes."""
    everything = np.ones(len(channels.family), np.bool_)
    return sum(price.at(everything) for price in prices_of(graph, channels))


def prices_of(graph: Graph, channels: Channels) -> list[Price]:
    """What each layer and each sum of ``graph`` costs."""
    found = []
    for node in graph.nodes:
        if node.op not in ("Conv", "Gemm", "MatMul", "Add", "Concat"):
            continue
        made = node.outputs[0]
        places = math.prod(channels.shapes[made][2:])
        outputs = channels.of.get(made)
        inputs = channels.of.get(node.inputs[0])
        if outputs is None or inputs is None:
            continue
        each, product = TOUCH * places, 0.0
        if reads_all(node, graph):
            weight = graph.tensors[node.inputs[1]]
            pairs = math.prod(weight.shape[axis] for axis in axes_of(node))
            product = float(places * weight.size / pairs)
        elif node.op == "Conv":
            each += places * math.prod(graph.tensors[node.inputs[1]].shape[1:])
        found.append(Price(product, each, inputs, outputs))
    return found


def multiplications(graph: Graph, channels: Channels) -> int:
    """Products of one picture's convolutions and matrices."""
    total = 0
    for node in graph.nodes:
        if node.op in ("Conv", "Gemm", "MatMul") and node.inputs[1] in graph.tensors:
            weight = graph.tensors[node.inputs[1]]
            total += math.prod(channels.shapes[node.outputs[0]][2:]) * weight.size
    return total


def _families(channels: Channels, importance: Floats) -> Mapping[int, Units]:
    """The units of each family that may go, the least important first."""
    found = {}
    for number in np.unique(channels.family):
        units = np.flatnonzero(channels.family == number)
        if not channels.fixed[units].any():
            found[int(number)] = units[np.argsort(importance[units], kind="stable")]
    return found


def _touched(prices: list[Price], channels: Channels, number: int) -> list[Price]:
    """The layers that read or write a channel of the family."""
    return [
        price
        for price in prices
        if (channels.family[price.inputs] == number).any()
        or (channels.family[price.outputs] == number).any()
    ]


def _chunk(order: Units, block: int) -> Units:
    """Those that go next, so that a multiple of ``block`` is left; none if that would be none."""
    odd = len(order) % block or block
    return order[: odd if len(order) > odd else 0]


def _saved(prices: list[Price], stay: Mask, chunk: Units) -> float:
    """How much less work is left without ``chunk``; 0 where a layer would have nothing to write."""
    after = stay.copy()
    after[chunk] = False
    if not all(after[price.outputs].any() for price in prices):
        return 0.0
    return sum(price.at(stay) - price.at(after) for price in prices)
