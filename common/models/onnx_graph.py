"""An ONNX file as plain data: nodes and constant tensors, checked before anything runs them.

A weights file comes from outside. What leaves this room is a graph that uses only the listed
operators (``onnx_operators``), keeps every tensor inside the file, and was parsed from a bounded
number of bytes; the runtimes are given a protobuf rebuilt from it, never the file itself.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from common.errors import ModelError, OperatorError
from common.models.onnx_operators import OPERATORS, Node, check

MAX_BYTES = 1 << 30  # one weights file
OPSETS = range(7, 24)  # before 7 broadcasting meant something else
_DTYPES = ("float32", "int64", "int32", "int8", "uint8", "bool")

Tensors = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Graph:
    """A network with one input (B, 3, H, W) and one output, in the listed operators."""

    nodes: tuple[Node, ...]
    tensors: Tensors  # constants by name
    input: str
    output: str
    opset: int
    shape: tuple[int, ...]  # of one input, without the batch
    trainable: frozenset[str] = field(default_factory=frozenset)  # initializers, not constants

    def before(self, cut: str) -> "Graph":
        """The part that computes tensor ``cut`` from the input."""
        if cut not in self._produced():
            raise ModelError(f"cut {cut!r} is not a tensor of the network")
        needed, kept = {cut}, []
        for node in reversed(self.nodes):
            if needed.intersection(node.outputs):
                kept.append(node)
                needed.update(node.inputs)
        return self._part(reversed(kept), self.input, cut)

    def after(self, cut: str, shape: tuple[int, ...]) -> "Graph":
        """The part that computes the output from tensor ``cut`` of ``shape`` (without batch)."""
        reached, kept = {cut}, []
        for node in self.nodes:
            if reached.intersection(node.inputs):
                reached.update(node.outputs)
                kept.append(node)
        produced = self._produced() | {self.input}
        stray = {name for node in kept for name in node.inputs if name in produced - reached}
        if stray or self.output not in reached:
            raise ModelError(f"cut {cut!r} does not separate the network in two")
        return replace(self._part(iter(kept), cut, self.output), shape=shape)

    def batched(self) -> "Graph":
        """The same graph with a batch of 1 written into reshapes replaced by "as it comes"."""
        tensors = dict(self.tensors)
        nodes = []
        for node in self.nodes:
            nodes.append(node)
            if node.op != "Reshape" or node.inputs[0] in tensors:
                continue
            target = tensors.get(node.inputs[1])
            if target is not None and target.size > 1 and target[0] == 1:
                name = f"{node.outputs[0]}:shape"
                tensors[name] = np.concatenate(([0], target[1:])).astype(np.int64)
                kept = {k: v for k, v in node.attributes.items() if k != "allowzero"}
                nodes[-1] = replace(node, inputs=(node.inputs[0], name), attributes=kept)
        return replace(self, nodes=tuple(nodes), tensors=tensors)

    def protobuf(self, batch: int | str = "batch") -> bytes:
        """The graph as an ONNX file for a runtime; ``batch`` is a size or a free dimension."""
        nodes = [
            helper.make_node(n.op, n.inputs, n.outputs, name=n.name, **n.attributes)
            for n in self.nodes
        ]
        kind = onnx.TensorProto.FLOAT
        inputs = [helper.make_tensor_value_info(self.input, kind, [batch, *self.shape])]
        outputs = [helper.make_tensor_value_info(self.output, kind, None)]
        used = {name for n in self.nodes for name in n.inputs}
        tensors = [
            numpy_helper.from_array(np.asarray(v), k) for k, v in self.tensors.items() if k in used
        ]
        graph = helper.make_graph(nodes, "mascaron", inputs, outputs, tensors)
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)])
        made.ir_version = 8
        return bytes(made.SerializeToString())

    def _produced(self) -> set[str]:
        return {name for node in self.nodes for name in node.outputs}

    def _part(self, nodes: Iterable[Node], start: str, end: str) -> "Graph":
        kept = tuple(nodes)
        used = {name for node in kept for name in node.inputs}
        tensors = {k: v for k, v in self.tensors.items() if k in used}
        return replace(self, nodes=kept, tensors=tensors, input=start, output=end)


def parse_graph(data: bytes, where: str) -> Graph:
    """Reads an ONNX file's bytes; ``where`` names the file in errors.

    Raises ``OperatorError`` for an operator or attribute outside the subset and ``ModelError``
    for anything else that is wrong, whatever the bytes are.
    """
    if len(data) > MAX_BYTES:
        raise ModelError(f"{where}: larger than {MAX_BYTES} bytes")
    try:
        model = onnx.load_model_from_string(data)
    except DecodeError as error:
        raise ModelError(f"{where}: not an ONNX file, or a truncated one") from error
    _refuse_external(model, where)
    try:
        graph = _graph(model, where)
    except (ValueError, TypeError, KeyError, IndexError, OverflowError, MemoryError) as error:
        raise ModelError(f"{where}: malformed ONNX graph: {error}") from error
    _check_order(graph, where)
    return graph


def _graph(model: onnx.ModelProto, where: str) -> Graph:
    nodes = []
    tensors: dict[str, NDArray[Any]] = {}
    for initializer in model.graph.initializer:
        tensors[initializer.name] = _array(initializer, where)
    trainable = frozenset(tensors)
    for index, proto in enumerate(model.graph.node):
        node = _node(proto, index)
        check(node, where)
        if node.op == "Constant":
            tensors[node.outputs[0]] = _constant(proto, where)
        else:
            nodes.append(node)
    inputs = [i for i in model.graph.input if i.name not in trainable]
    if len(inputs) != 1 or len(model.graph.output) != 1:
        raise ModelError(f"{where}: one input and one output are needed")
    sizes = tuple(d.dim_value for d in inputs[0].type.tensor_type.shape.dim)
    if len(sizes) != 4 or sizes[1] != 3 or not all(0 < s <= 4096 for s in sizes[2:]):
        raise ModelError(f"{where}: the input must be (batch, 3, height, width), is {sizes}")
    return Graph(
        nodes=tuple(nodes),
        tensors=tensors,
        input=inputs[0].name,
        output=model.graph.output[0].name,
        opset=_opset(model, where),
        shape=sizes[1:],
        trainable=trainable,
    )


def _node(proto: onnx.NodeProto, index: int) -> Node:
    attributes = {}
    if proto.op_type != "Constant":
        attributes = {a.name: _plain(helper.get_attribute_value(a)) for a in proto.attribute}
    op = proto.op_type if proto.domain in ("", "ai.onnx") else f"{proto.domain}.{proto.op_type}"
    inputs, outputs = list(proto.input), list(proto.output)
    while inputs and not inputs[-1]:
        inputs.pop()  # an optional input left out
    name = proto.name or f"{op}_{index}"
    return Node(op, name, tuple(inputs), tuple(outputs), attributes)


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return list(value) if isinstance(value, tuple | list) else value


def _constant(proto: onnx.NodeProto, where: str) -> NDArray[Any]:
    if len(proto.attribute) != 1:
        raise ModelError(f"{where}: Constant {proto.name!r} holds no one value")
    attribute = proto.attribute[0]
    if attribute.name == "value":
        return _array(attribute.t, where)
    value = helper.get_attribute_value(attribute)
    if attribute.name in ("value_float", "value_floats"):
        return np.asarray(value, np.float32)
    if attribute.name in ("value_int", "value_ints"):
        return np.asarray(value, np.int64)
    raise OperatorError(f"{where}: Constant {proto.name!r} holds {attribute.name}")


def _array(tensor: onnx.TensorProto, where: str) -> NDArray[Any]:
    array = numpy_helper.to_array(tensor)
    if array.dtype.name not in _DTYPES:
        raise ModelError(f"{where}: tensor {tensor.name!r} is {array.dtype}, not float32 or int64")
    if array.ndim and array.dtype == np.float32 and not np.isfinite(array).all():
        raise ModelError(f"{where}: tensor {tensor.name!r} has values that are not finite")
    return array


def _opset(model: onnx.ModelProto, where: str) -> int:
    for opset in model.opset_import:
        if opset.domain in ("", "ai.onnx"):
            if opset.version in OPSETS:
                return int(opset.version)
            raise ModelError(f"{where}: operator set {opset.version} is not in 7..23")
    raise ModelError(f"{where}: no operator set named")


def _refuse_external(model: onnx.ModelProto, where: str) -> None:
    tensors = list(model.graph.initializer)
    tensors += [a.t for node in model.graph.node for a in node.attribute]
    if any(t.data_location == onnx.TensorProto.EXTERNAL or t.external_data for t in tensors):
        raise ModelError(f"{where}: weights outside the file are refused")
    if model.functions or model.graph.sparse_initializer or model.training_info:
        raise ModelError(f"{where}: functions, sparse tensors and training graphs are refused")


def _check_order(graph: Graph, where: str) -> None:
    known = {*graph.tensors, graph.input, ""}
    for node in graph.nodes:
        missing = [name for name in node.inputs if name not in known]
        if missing:
            raise ModelError(f"{where}: node {node.name!r} reads {missing[0]!r} before it exists")
        if known.intersection(node.outputs[:1]) or not node.outputs:
            raise ModelError(f"{where}: node {node.name!r} writes a tensor that exists")
        least = OPERATORS[node.op].inputs
        if len(node.inputs) < least:
            raise ModelError(f"{where}: node {node.name!r} has fewer than {least} inputs")
        known.add(node.outputs[0])
    if graph.output not in known - {"", graph.input, *graph.tensors}:
        raise ModelError(f"{where}: nothing computes the output {graph.output!r}")
