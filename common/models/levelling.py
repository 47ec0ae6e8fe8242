"""What lets a network bear 8 bits: channels of like range, and means put back where they were.

``levelled`` works before rounding. A tensor is rounded with one step for all its channels, so a
channel a tenth as loud as the loudest keeps three bits fewer. Between a convolution and the
depthwise one that reads it through a ReLU a channel may be scaled on one side and scaled back on
the other at no cost at all, since both have a step for each channel: there every channel is made
as loud as the loudest (cross-layer equalisation; Nagel et al. 2019, arXiv:1906.04721).

``recentred`` works after it. Rounded weights times inputs that are never negative shift what a
layer gives on average; its bias takes that back, layer after layer (bias correction, same paper).
"""

import dataclasses
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from common.models.onnx_graph import Graph
from common.models.onnx_operators import Node, apply

MOST = 64.0  # a channel is made louder by, at most: one that was never seen to speak has no range
_CHUNK = 32  # planes whose values are held at a time while maxima are taken

Parts = list[Tensor]  # one tensor's values, a picture or several at a time
See = Callable[[Node, Parts], Parts]
Planes = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class _Pair:
    """A convolution whose channels a depthwise one reads, and what stands between them."""

    writer: Node
    reader: Node


def levelled(graph: Graph, planes: Planes, *, single: bool) -> Graph:
    """``graph`` with channels before depthwise convolutions scaled to one range.

    It computes the same for whatever stays within the ranges of ``planes`` (B, *graph.shape);
    past them a clipped activation (ReLU6) may clip earlier.
    """
    pairs = _pairs(graph)
    if not pairs:
        return graph
    loudest: dict[str, NDArray[np.float64]] = {}

    def see(node: Node, parts: Parts) -> Parts:
        if node.outputs[0] in read:
            found = torch.stack([part.abs().amax((0, 2, 3)) for part in parts]).amax(0)
            most = loudest.get(node.outputs[0], np.zeros(len(found)))
            loudest[node.outputs[0]] = np.maximum(most, found.numpy())
        return parts

    read = {pair.reader.inputs[0] for pair in pairs}
    for start in range(0, len(planes), _CHUNK):
        _walk(graph, planes[start : start + _CHUNK], see, single=single)
    for pair in pairs:
        graph = _scaled(graph, pair, loudest[pair.reader.inputs[0]])
    return graph


def recentred(small: Graph, graph: Graph, planes: Planes, *, single: bool) -> Graph:
    """``small``, which is ``graph`` in int8, with biases that give its layers the same means.

    All values of one tensor over ``planes`` (B, *graph.shape) are held at a time.
    """
    means: dict[str, Tensor] = {}

    def keep(node: Node, parts: Parts) -> Parts:
        if node.op == "Conv":
            means[node.name] = _mean(parts)
        return parts

    made = {node.outputs[0]: node for node in small.nodes}
    tensors = dict(small.tensors)

    def mend(node: Node, parts: Parts) -> Parts:
        bias = made.get(node.inputs[2]) if node.op == "Conv" and len(node.inputs) > 2 else None
        if bias is None or node.name not in means:
            return parts
        step = torch.from_numpy(np.array(tensors[bias.inputs[1]], np.float32)).reshape(-1)
        whole = torch.round((means[node.name] - _mean(parts)) / step)
        bounds, old = np.iinfo(np.int32), tensors[bias.inputs[0]].astype(np.float64)
        tensors[bias.inputs[0]] = (old + whole.numpy()).clip(bounds.min, bounds.max).astype("<i4")
        return [part + (whole * step)[:, None, None] for part in parts]

    _walk(graph, planes, keep, single=single)
    _walk(small, planes, mend, single=single)
    return dataclasses.replace(small, tensors=tensors)


def _pairs(graph: Graph) -> list[_Pair]:
    made = {node.outputs[0]: node for node in graph.nodes}
    uses = Counter(name for node in graph.nodes for name in node.inputs)
    uses[graph.output] += 1
    found = []
    for reader in graph.nodes:
        if not _depthwise(reader, graph.tensors):
            continue
        at = reader.inputs[0]
        while at in made and uses[at] == 1 and _scales(made[at], graph.tensors):
            at = made[at].inputs[0]
        writer = made.get(at)
        if writer is not None and uses[at] == 1 and _constant(writer, graph.tensors):
            found.append(_Pair(writer, reader))
    return found


def _constant(node: Node, tensors: Mapping[str, Any]) -> bool:
    return node.op == "Conv" and all(name in tensors for name in node.inputs[1:])


def _depthwise(node: Node, tensors: Mapping[str, Any]) -> bool:
    if not _constant(node, tensors):
        return False
    weight = tensors[node.inputs[1]]
    return bool(node.attributes.get("group", 1) == len(weight) > 1 and weight.shape[1] == 1)


def _scales(node: Node, tensors: Mapping[str, Any]) -> bool:
    """Whether ``node`` gives s times as much for s times as much, s >= 1, but for a bound above."""
    if node.op != "Clip":
        return node.op in ("Relu", "LeakyRelu", "PRelu")
    if len(node.inputs) < 2:
        return bool(node.attributes.get("min") == 0)
    return node.inputs[1] in tensors and float(tensors[node.inputs[1]].reshape(-1)[0]) == 0


def _scaled(graph: Graph, pair: _Pair, loudest: NDArray[np.float64]) -> Graph:
    """Every channel of the pair as loud as the loudest; other readers of a weight keep theirs."""
    scale = loudest.max() / np.maximum(loudest, max(loudest.max() / MOST, 1e-30))
    scale = np.maximum(scale, 1.0)
    tensors, nodes = dict(graph.tensors), []
    for node in graph.nodes:
        if node.name == pair.writer.name:
            node = _with(node, tensors, [scale] * (len(node.inputs) - 1))
        elif node.name == pair.reader.name:
            node = _with(node, tensors, [1 / scale])
        nodes.append(node)
    return dataclasses.replace(graph, nodes=tuple(nodes), tensors=tensors)


def _with(node: Node, tensors: dict[str, Any], factors: Sequence[NDArray[np.float64]]) -> Node:
    """``node`` with its constants times ``factors`` (C,) each, under names of their own."""
    inputs = list(node.inputs)
    for index, factor in enumerate(factors, start=1):
        old = tensors[inputs[index]]
        inputs[index] = f"{node.name}:level{index}"
        shape = (-1, *[1] * (old.ndim - 1))
        tensors[inputs[index]] = (old * factor.reshape(shape)).astype(np.float32)
    return dataclasses.replace(node, inputs=tuple(inputs))


def _mean(parts: Parts) -> Tensor:
    """Over pictures and places, (C,)."""
    total = torch.stack([part.double().sum((0, 2, 3)) for part in parts]).sum(0)
    return (total / sum(len(part) * part[0, 0].numel() for part in parts)).float()


def _walk(graph: Graph, planes: Planes, see: See, *, single: bool) -> None:
    """Runs ``graph`` node by node; what ``see`` returns goes on. ``single``: by the picture."""
    tensors = {name: torch.from_numpy(np.array(value)) for name, value in graph.tensors.items()}
    left = Counter(name for node in graph.nodes for name in node.inputs)
    step = 1 if single else _CHUNK
    starts = range(0, len(planes), step)
    parts = [torch.from_numpy(planes[start : start + step]) for start in starts]
    values: dict[str, Parts] = {graph.input: parts}
    with torch.no_grad():
        for node in graph.nodes:
            given = [
                [tensors.get(name) if name not in values else values[name][index]
                 for name in node.inputs]
                for index in range(len(parts))
            ]  # fmt: skip
            values[node.outputs[0]] = see(node, [apply(node, arguments) for arguments in given])
            for name in node.inputs:
                left[name] -= 1
                if not left[name] and name != graph.input:
                    values.pop(name, None)
