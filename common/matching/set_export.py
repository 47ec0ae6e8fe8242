"""Learnt weights of pictures as an ONNX file, for whoever pools without us.

``feature`` (K, D) and ``quality`` (K,) of one person's pictures -> ``weight`` (K,).
"""

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from torch import Tensor

from common.errors import ModelError
from common.matching.pooling import LEAST
from common.matching.set_weights import AttentionWeights, RecurrentWeights, SetWeights
from common.models.onnx_export import OPSET

_TINY = 1e-12  # length of a feature below which it is not scaled to 1


class _Writer:
    """Collects nodes and constants; every tensor has the name of its node."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.tensors: dict[str, NDArray[Any]] = {}

    def add(self, op: str, name: str, *inputs: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(op, inputs, [name], name=name, **attributes))
        return name

    def constant(self, name: str, value: Any) -> str:
        array = value.detach().numpy() if isinstance(value, Tensor) else np.asarray(value)
        self.tensors[name] = np.ascontiguousarray(array)
        return name


def export_weights(model: SetWeights) -> bytes:
    """The file of ``model``; ``ModelError`` for a kind that cannot be written."""
    writer = _Writer()
    rows = _rows(writer, model)
    least = writer.constant("least", np.float32(LEAST))
    worth = writer.add("Log", "worth", writer.add("Clip", "bounded", "quality", least))
    power = writer.constant("power", model.power)
    valued = writer.add("Mul", "valued", worth, power)
    if isinstance(model, AttentionWeights):
        score = _attention(writer, model, rows, valued)
    elif isinstance(model, RecurrentWeights):
        score = _recurrent(writer, model, rows, worth)
    else:
        raise ModelError(f"a {type(model).__name__} cannot be exported")
    total = writer.add("Add", "total", score, valued)
    writer.add("Softmax", "weight", total, axis=-1)
    return _file(writer, model.feature_dim)


def _rows(writer: _Writer, model: SetWeights) -> str:
    length = writer.add("ReduceL2", "length", "feature", axes=[-1], keepdims=1)
    positive = writer.add("Max", "positive", length, writer.constant("tiny", np.float32(_TINY)))
    unit = writer.add("Div", "unit", "feature", positive)
    return writer.add("MatMul", "rows", unit, writer.constant("seen", model.seen.weight.T))


def _attention(writer: _Writer, model: AttentionWeights, rows: str, valued: str) -> str:
    question = writer.constant("question", model.question)
    asked = writer.add("Add", "asked", writer.add("MatMul", "first", rows, question), valued)
    shares = writer.add("Softmax", "shares", asked, axis=-1)
    found = writer.add("MatMul", "found", shares, rows)
    turned = writer.add("MatMul", "turned", found, writer.constant("next", model.next.weight.T))
    moved = writer.add("Add", "moved", turned, writer.constant("offset", model.next.bias))
    return writer.add("MatMul", "second", rows, writer.add("Tanh", "then", moved))


def _recurrent(writer: _Writer, model: RecurrentWeights, rows: str, worth: str) -> str:
    """ONNX keeps the gates as update, reset, new; torch as reset, update, new."""
    size = model.size
    order = np.concatenate(
        [np.arange(size, 2 * size), np.arange(size), np.arange(2 * size, 3 * size)]
    )
    gates = {
        name: getattr(model.reader, name).detach().numpy()[order]
        for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    }
    bias = np.concatenate([gates["bias_ih_l0"], gates["bias_hh_l0"]])
    last, one = writer.constant("last", [1]), writer.constant("one", [1])
    column = writer.add("Unsqueeze", "column", worth, last)
    told = writer.add("Concat", "told", rows, column, axis=1)
    read = writer.add(
        "GRU",
        "read",
        writer.add("Unsqueeze", "sequence", told, one),  # (K, 1, size + 1)
        writer.constant("inner", gates["weight_ih_l0"][None]),
        writer.constant("back", gates["weight_hh_l0"][None]),
        writer.constant("bias", bias[None]),
        hidden_size=size,
        linear_before_reset=1,
    )
    flat = writer.add("Reshape", "flat", read, writer.constant("shape", [-1, size]))
    return writer.add("MatMul", "score", flat, writer.constant("out", model.told.weight[0]))


def _file(writer: _Writer, feature_dim: int) -> bytes:
    kind = onnx.TensorProto.FLOAT
    ends: dict[str, list[str | int | None]] = {
        "feature": ["pictures", feature_dim],
        "quality": ["pictures"],
        "weight": ["pictures"],
    }
    told = [helper.make_tensor_value_info(name, kind, shape) for name, shape in ends.items()]
    constants = [numpy_helper.from_array(array, name) for name, array in writer.tensors.items()]
    graph = helper.make_graph(writer.nodes, "weights", told[:2], told[2:], constants)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
    made.ir_version = 8
    return bytes(made.SerializeToString())
