"""Which channels of a network stand and fall together.

A channel of a sum exists in all its terms; a filter by depth gives the channel it reads; what is
put side by side stays apart. So every channel of every tensor is a *unit*, and units that an
operation ties are one: a whole residual stage has as many as one of its layers, a dense block as
many as all its layers have together. Where an operation mixes channels in a way not understood
here, they are fixed: nothing of them may go.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from common.models.onnx_graph import Graph
from common.models.onnx_operators import Node, apply

Units = NDArray[np.int64]
Shape = tuple[int, ...]

_POOLING = ("AveragePool", "GlobalAveragePool", "MaxPool", "ReduceMean")
_CURVES = ("Clip", "HardSigmoid", "HardSwish", "LeakyRelu", "Relu", "Sigmoid", "Sqrt", "Tanh")
_SHAPING = ("Dropout", "Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze")
_ALIKE = frozenset((*_POOLING, *_CURVES, *_SHAPING))
_JOINING = frozenset(("Add", "Sub", "Mul", "Div", "PRelu"))


@dataclass(frozen=True, slots=True, eq=False)
class Slice:
    """A constant that has an entry along ``axis`` for each of ``units``."""

    node: str
    position: int  # among the node's inputs
    axis: int
    units: Units


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Channels:
    """The U units of a graph. ``of`` a tensor's name are the units of its channels (axis 1).

    ``family`` (U,) numbers those that are born together in one layer, or in layers that are added;
    ``fixed`` (U,) are those that may not go; ``shapes`` are of one picture, the batch included.
    """

    of: Mapping[str, Units]
    slices: tuple[Slice, ...]
    family: NDArray[np.int64]
    fixed: NDArray[np.bool_]
    shapes: Mapping[str, Shape]


def channels_of(graph: Graph) -> Channels:
    """The units of ``graph``, found by running one black picture through it."""
    shapes = _shapes(graph)
    found = _Finder(graph, shapes)
    for node in graph.nodes:
        found.visit(node)
    return found.finished()


def reads_all(node: Node, graph: Graph) -> bool:
    """Whether ``node`` is a layer each of whose outputs reads all channels, by constant weights."""
    if len(node.inputs) < 2 or node.inputs[1] not in graph.tensors:
        return False
    if node.inputs[0] in graph.tensors or graph.tensors[node.inputs[1]].ndim < 2:
        return False
    if node.op == "Conv":
        return bool(node.attributes.get("group", 1) == 1)
    if node.op == "Gemm":
        return not node.attributes.get("transA", 0)
    return node.op == "MatMul" and graph.tensors[node.inputs[1]].ndim == 2


def axes_of(node: Node) -> tuple[int, int]:
    """Where the weight of a layer that reads all has its outputs, and where its inputs."""
    columns = node.op == "MatMul" or (node.op == "Gemm" and not node.attributes.get("transB", 0))
    return (1, 0) if columns else (0, 1)


class _Finder:
    """Ties channels, node after node."""

    def __init__(self, graph: Graph, shapes: Mapping[str, Shape]) -> None:
        self.graph, self.shapes = graph, shapes
        self._same, self._born = _Sets(), _Sets()
        self._fixed: list[int] = []
        self._slices: list[Slice] = []
        self._of: dict[str, Units] = {graph.input: self._new(shapes[graph.input][1], fixed=True)}

    def visit(self, node: Node) -> None:
        read = [name for name in node.inputs if name in self.shapes]
        units = self._units(node, read)
        shape = self.shapes[node.outputs[0]]
        if units is None or len(shape) < 2 or len(units) != shape[1]:
            for name in read:
                self._fix(self._of.get(name))
            units = self._new(shape[1], fixed=True) if len(shape) > 1 else None
        if units is not None:
            self._of[node.outputs[0]] = units

    def finished(self) -> Channels:
        self._fix(self._of.get(self.graph.output))
        unit = self._same.numbers()
        born = self._born.numbers()
        count = int(unit.max()) + 1
        family, fixed = np.zeros(count, np.int64), np.zeros(count, np.bool_)
        family[unit] = born
        fixed[unit[self._fixed]] = True
        slices = [Slice(s.node, s.position, s.axis, unit[s.units]) for s in self._slices]
        return Channels(
            of={name: unit[units] for name, units in self._of.items()},
            slices=tuple(slices),
            family=family,
            fixed=fixed,
            shapes=self.shapes,
        )

    def _units(self, node: Node, read: list[str]) -> Units | None:
        """Of the output's channels; ``None`` where they are not understood."""
        if not read or any(name not in self._of for name in read):
            return None
        if node.op in _JOINING:
            return self._joined(node, read)
        if node.op == "Concat":
            beside = node.attributes["axis"] == 1 and len(read) == len(node.inputs)
            return np.concatenate([self._of[name] for name in read]) if beside else None
        if len(read) > 1 or read[0] != node.inputs[0]:
            return None
        given = self._of[read[0]]
        if node.op in ("Conv", "Gemm", "MatMul"):
            return self._layer(node, given)
        if node.op == "BatchNormalization":
            self._sliced(node, range(1, 5), 0, given)
            return given
        return self._alike(node, given) if node.op in _ALIKE else None

    def _layer(self, node: Node, given: Units) -> Units | None:
        tensors = self.graph.tensors
        if not all(name in tensors for name in node.inputs[1:]):
            return None
        weight = tensors[node.inputs[1]]
        if reads_all(node, self.graph):
            outputs, inputs = axes_of(node)
            if len(self.shapes[node.inputs[0]]) != weight.ndim or weight.shape[inputs] != len(
                given
            ):
                return None
            made = self._new(weight.shape[outputs])
            self._sliced(node, (1,), inputs, given)
            self._sliced(node, (1,), outputs, made)
        elif node.op == "Conv" and node.attributes["group"] == len(given):
            made = np.repeat(given, len(weight) // len(given))
            self._sliced(node, (1,), 0, made)
        else:
            return None
        for position in range(2, len(node.inputs)):
            bias = tensors[node.inputs[position]]
            if bias.ndim and bias.shape[-1] > 1:
                self._sliced(node, (position,), bias.ndim - 1, made)
        return made

    def _joined(self, node: Node, read: list[str]) -> Units | None:
        first = read[0]
        units, shape = self._of[first], self.shapes[first]
        if len(node.inputs) == 2 and len(read) == 2:
            other = self._of[read[1]]
            if len(self.shapes[read[1]]) != len(shape) or node.op in ("Div", "PRelu"):
                return None
            if 1 in (len(other), len(units)) and len(other) != len(units):
                self._fix(other if len(other) == 1 else units)
                return units if len(other) == 1 else other
            return self._tied(units, other)
        position = 1 - node.inputs.index(first)
        constant = self.graph.tensors[node.inputs[position]]
        axis = constant.ndim - (len(shape) - 1)
        if constant.ndim > len(shape) or (node.op == "Div" and position == 0):
            return None
        if axis >= 0 and constant.shape[axis] > 1:
            if constant.shape[axis] != len(units):
                return None
            self._sliced(node, (position,), axis, units)
        return units

    def _alike(self, node: Node, given: Units) -> Units | None:
        before, after = self.shapes[node.inputs[0]], self.shapes[node.outputs[0]]
        if after[:2] == before[:2]:
            return given
        flat = len(after) == 2 and after[1] == int(np.prod(before[1:]))
        return np.repeat(given, after[1] // before[1]) if flat else None

    def _sliced(self, node: Node, positions: Any, axis: int, units: Units) -> None:
        self._slices.extend(Slice(node.name, position, axis, units) for position in positions)

    def _new(self, count: int, fixed: bool = False) -> Units:
        made = self._same.more(count)
        self._born.more(count)
        self._born.tie(made[:1].repeat(count), made)
        if fixed:
            self._fix(made)
        return made

    def _tied(self, left: Units, right: Units) -> Units | None:
        if len(left) != len(right):
            return None
        self._same.tie(left, right)
        self._born.tie(left, right)
        return left

    def _fix(self, units: Units | None) -> None:
        if units is not None:
            self._fixed.extend(units.tolist())


class _Sets:
    """Numbers 0.. in sets that can be united (Tarjan 1975)."""

    def __init__(self) -> None:
        self._parent: list[int] = []

    def more(self, count: int) -> Units:
        start = len(self._parent)
        self._parent.extend(range(start, start + count))
        return np.arange(start, start + count)

    def tie(self, left: Units, right: Units) -> None:
        for a, b in zip(left.tolist(), right.tolist(), strict=True):
            self._parent[self._root(b)] = self._root(a)

    def numbers(self) -> NDArray[np.int64]:
        """The number of each one's set, from 0."""
        roots = [self._root(one) for one in range(len(self._parent))]
        return np.unique(roots, return_inverse=True)[1].astype(np.int64)

    def _root(self, one: int) -> int:
        while self._parent[one] != one:
            self._parent[one] = self._parent[self._parent[one]]
            one = self._parent[one]
        return one


@torch.no_grad()
def _shapes(graph: Graph) -> dict[str, Shape]:
    """Of every tensor that depends on the picture."""
    constants = {name: torch.from_numpy(np.array(value)) for name, value in graph.tensors.items()}
    values = {graph.input: torch.zeros((1, *graph.shape))}
    for node in graph.nodes:
        given = [values[name] if name in values else constants.get(name) for name in node.inputs]
        values[node.outputs[0]] = apply(node, given)
    return {name: tuple(value.shape) for name, value in values.items()}
