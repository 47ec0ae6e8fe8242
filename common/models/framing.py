"""A network that looks at less of the picture: rows and columns at its edges are never computed.

An aligned crop has the face in its middle; what lies beside the cheeks costs as much work as the
nose. The picture is cut before the first layer, and a layer that reads all places of a map at once
loses its weights for those that are gone. Places go whole: where such a layer has one for every 16
pixels, 16 may go at an edge, or 32. The last layer is then fitted to what the whole network says
(``refitting``).
"""

import dataclasses
import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from common.errors import ModelError
from common.models.channels import axes_of, channels_of, reads_all
from common.models.onnx_graph import Graph, Tensors
from common.models.onnx_operators import Node, apply
from common.models.refitting import fitted
from common.models.runtime import Runtime

RIDGE = 1.0  # holds the last layer: few pictures have to do for many numbers
_OPSET = 10  # the first whose Slice takes its bounds as inputs

Frame = tuple[int, int, int, int]  # pixels at the top, right, bottom and left
Planes = NDArray[np.float32]
Shape = tuple[int, ...]


def framed(graph: Graph, frame: Frame, planes: Planes, *, single: bool = False) -> Graph:
    """``graph``, which ends in the embedding, blind to ``frame``; as it is where that is nothing.

    ``planes`` (B, *graph.shape) are public pictures. Raises ``ModelError`` for a frame that takes
    no whole places away, or that the network cannot do without.
    """
    if not any(frame):
        return graph
    height, width = graph.shape[1:]
    top, right, bottom, left = frame
    if graph.opset < _OPSET or min(frame) < 0 or top + bottom >= height or left + right >= width:
        raise ModelError(f"no frame of {frame} pixels can go from {height}x{width} of them")
    if any(node.op == "Slice" for node in graph.nodes if graph.input in node.inputs):
        raise ModelError("this network was framed before: frame the one that it was made of")
    small = _Cutter(graph, frame).cut()
    return _end_fitted(small, graph, planes, single)


class _Cutter:
    """Runs one black picture through what is left, and cuts weights to the places that come."""

    def __init__(self, graph: Graph, frame: Frame) -> None:
        self.graph, self.frame = graph, frame
        self._shapes = channels_of(graph).shapes
        self._tensors = dict(graph.tensors)
        self._flat: dict[str, Shape] = {}  # what a flattened tensor was, in the whole network

    def cut(self) -> Graph:
        """The graph of a smaller picture, which it cuts out of a whole one by itself."""
        cutting = self._cutting()
        nodes = [cutting]
        values = {self.graph.input: torch.zeros((1, *self.graph.shape))}
        values[cutting.outputs[0]] = self._applied(cutting, values)
        for node in self.graph.nodes:
            now = self._mended(node)
            read = [cutting.outputs[0] if n == self.graph.input else n for n in now.inputs]
            nodes.append(dataclasses.replace(now, inputs=tuple(read)))
            values[node.outputs[0]] = self._applied(nodes[-1], values)
        new = {name for name, array in self._tensors.items() if array.dtype == np.float32}
        new -= set(self.graph.tensors)
        return _used(
            dataclasses.replace(
                self.graph,
                nodes=tuple(nodes),
                tensors=self._tensors,
                trainable=self.graph.trainable | new,
            )
        )

    def _cutting(self) -> Node:
        height, width = self.graph.shape[1:]
        top, right, bottom, left = self.frame
        name = "mascaron.frame"
        bounds = {"begin": (top, left), "end": (height - bottom, width - right), "axes": (2, 3)}
        arrays = {f"{name}.{key}": np.array(value, np.int64) for key, value in bounds.items()}
        self._tensors |= arrays
        return Node("Slice", name, (self.graph.input, *arrays), (f"{name}.left",))

    def _mended(self, node: Node) -> Node:
        """``node`` with weights for the places that are left."""
        given = self._shapes.get(node.inputs[0], ())
        if node.inputs[0] in self._flat and reads_all(node, self.graph):
            return self._with(node, self._of_places(node, self._flat[node.inputs[0]]))
        if len(given) != 4 or given[2:] == (1, 1):
            return node
        if self._shapes[node.outputs[0]] == (1, math.prod(given[1:])):
            self._flat[node.outputs[0]] = given
            return Node("Flatten", node.name, node.inputs[:1], node.outputs, {"axis": 1})
        weight = self.graph.tensors.get(node.inputs[1]) if node.op == "Conv" else None
        if weight is not None and _reads_map(node, given, weight.shape[2:]):
            return self._with(node, weight[:, :, *self._places(given)])
        if node.op == "AveragePool" and _reads_map(node, given, node.attributes["kernel_shape"]):
            return Node("GlobalAveragePool", node.name, node.inputs, node.outputs)
        return node

    def _of_places(self, node: Node, given: Shape) -> NDArray[np.generic]:
        """The weight of a layer that reads a flattened map, for the places that are left."""
        weight = self.graph.tensors[node.inputs[1]]
        columns = axes_of(node)[0] == 1
        table = weight.T if columns else weight
        kept = table.reshape(len(table), *given[1:])[:, :, *self._places(given)]
        kept = kept.reshape(len(table), -1)
        return kept.T if columns else kept

    def _with(self, node: Node, weight: NDArray[np.generic]) -> Node:
        name = f"{node.name}:framed"
        self._tensors[name] = np.ascontiguousarray(weight)
        attributes = dict(node.attributes)
        if "kernel_shape" in attributes:
            attributes["kernel_shape"] = list(weight.shape[2:])
        inputs = (node.inputs[0], name, *node.inputs[2:])
        return dataclasses.replace(node, inputs=inputs, attributes=attributes)

    def _places(self, given: Shape) -> tuple[slice, slice]:
        """The rows and columns that are left of a map (1, C, H, W) of the whole network."""
        top, right, bottom, left = self.frame
        ends = ((top, bottom), (left, right))
        rows, columns = (
            _left(*gone, pixels, size)
            for gone, pixels, size in zip(ends, self.graph.shape[1:], given[2:], strict=True)
        )
        return rows, columns

    def _applied(self, node: Node, values: dict[str, Tensor]) -> Tensor:
        given = [
            values[name]
            if name in values
            else torch.from_numpy(np.array(self._tensors[name]))
            if name
            else None
            for name in node.inputs
        ]
        try:
            with torch.no_grad():
                return apply(node, given)
        except (RuntimeError, ValueError, TypeError, IndexError) as error:
            raise ModelError(f"node {node.name!r} cannot do without the frame") from error


def _reads_map(node: Node, given: Shape, kernel: Shape) -> bool:
    """Whether ``node`` reads all of a map (1, C, H, W) for the one place that it writes."""
    padded = any(node.attributes.get("pads", ()))
    return not padded and tuple(kernel) == given[2:]


def _left(before: int, after: int, pixels: int, size: int) -> slice:
    """Which of ``size`` places, that stand for ``pixels``, stay when some go at both ends."""
    step = pixels / size
    if pixels % size or before % step or after % step:
        raise ModelError(f"a frame takes whole places away, here of {step:g} pixels")
    return slice(int(before / step), size - int(after / step))


def _end_fitted(small: Graph, whole: Graph, planes: Planes, single: bool) -> Graph:
    """``small`` whose last layer says of ``planes`` what ``whole`` says, as far as it can."""
    last = small.nodes[-1]
    if last.op not in ("Gemm", "MatMul") or not reads_all(last, small):
        raise ModelError("the network does not end in a linear layer")
    rows, wanted = (
        torch.from_numpy(Runtime(graph, single=single, threads=1).run(planes)).double().flatten(1)
        for graph in (small.before(last.inputs[0]), whole)
    )
    node, new = fitted(last, small.tensors, rows, wanted, RIDGE)
    return _used(
        dataclasses.replace(
            small,
            nodes=(*small.nodes[:-1], node),
            tensors={**small.tensors, **new},
            trainable=small.trainable | set(new),
        )
    )


def _used(graph: Graph) -> Graph:
    """``graph`` without constants that nobody reads any more."""
    used = {name for node in graph.nodes for name in node.inputs}
    tensors: Tensors = {name: value for name, value in graph.tensors.items() if name in used}
    return dataclasses.replace(graph, tensors=tensors, trainable=graph.trainable & used)
