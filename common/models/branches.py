"""Residual branches: what is added to what went around it, and can be left out whole.

Where channels are few, a layer costs what it costs to be called; then a branch that says little is
better gone than thin.
"""

import dataclasses
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.errors import ModelError
from common.metrics.verification import unit_rows
from common.models.channels import channels_of
from common.models.choosing import work_of
from common.models.onnx_graph import Graph
from common.models.onnx_operators import Node
from common.models.runtime import Runtime

CALL = 2.5e6  # multiplications that calling one operation is worth (see docs/models.md)


@dataclass(frozen=True, slots=True)
class Branch:
    """``nodes`` compute from ``around`` what the sum ``join`` adds to it, and nothing else."""

    join: str  # name of the node Add
    around: str  # a tensor
    said: str  # a tensor: what is added
    nodes: tuple[str, ...]


def branches_of(graph: Graph) -> tuple[Branch, ...]:
    """All branches of ``graph``, in order."""
    made = {node.outputs[0]: node for node in graph.nodes}
    uses = Counter(name for node in graph.nodes for name in node.inputs)
    uses[graph.output] += 1
    found = []
    for node in graph.nodes:
        if node.op != "Add" or any(name in graph.tensors for name in node.inputs):
            continue
        for said, around in (node.inputs, node.inputs[::-1]):
            chain = _chain(said, around, made, uses, graph)
            if chain:
                found.append(Branch(node.name, around, said, chain))
                break
    return tuple(found)


def without(graph: Graph, branches: Collection[Branch]) -> Graph:
    """``graph`` in which nothing is added by ``branches``."""
    gone = {name for branch in branches for name in (branch.join, *branch.nodes)}
    around = {branch.join: branch.around for branch in branches}
    renamed: dict[str, str] = {}
    nodes = []
    for node in graph.nodes:
        if node.name in around:
            renamed[node.outputs[0]] = renamed.get(around[node.name], around[node.name])
        if node.name not in gone:
            inputs = tuple(renamed.get(name, name) for name in node.inputs)
            nodes.append(dataclasses.replace(node, inputs=inputs))
    used = {name for node in nodes for name in node.inputs}
    return dataclasses.replace(
        graph,
        nodes=tuple(nodes),
        tensors={name: value for name, value in graph.tensors.items() if name in used},
        output=renamed.get(graph.output, graph.output),
    )


def shortened(graph: Graph, planes: NDArray[np.float32], count: int, *, single: bool) -> Graph:
    """``graph`` without the ``count`` branches that its embedding misses least for their work.

    One goes after the other: each is tried on ``planes`` (B, *graph.shape), and by how much the
    embeddings turn away from those of ``graph`` is what it is worth. ``ModelError`` where there are
    not so many.
    """
    if count > len(branches_of(graph)):
        raise ModelError(f"the network has {len(branches_of(graph))} branches, not {count}")
    wanted, now = _embedded(graph, planes, single), graph
    for _ in range(count):
        work = _cost(now)
        tried = [without(now, [branch]) for branch in branches_of(now)]
        missed = [1 - (wanted * _embedded(one, planes, single)).sum(1).mean() for one in tried]
        now = min(zip(missed, tried, strict=True), key=lambda it: it[0] / (work - _cost(it[1])))[1]
    return now


def _embedded(graph: Graph, planes: NDArray[np.float32], single: bool) -> NDArray[np.float32]:
    made = Runtime(graph, single=single, threads=1).run(planes)
    return unit_rows(made.reshape(len(planes), -1))


def _cost(graph: Graph) -> float:
    return work_of(graph, channels_of(graph)) + CALL * len(graph.nodes)


def _chain(
    said: str, around: str, made: dict[str, Node], uses: Counter[str], graph: Graph
) -> tuple[str, ...]:
    """The nodes from ``around`` to ``said``, each read by the next alone; none if there is none."""
    chain = []
    while said != around:
        node = made.get(said)
        if node is None or uses[said] != 1:
            return ()
        read = [name for name in node.inputs if name and name not in graph.tensors]
        if len(read) != 1:
            return ()
        chain.append(node.name)
        said = read[0]
    return tuple(reversed(chain))
