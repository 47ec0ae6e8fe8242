import dataclasses
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from common.models.levelling import MOST, levelled, recentred
from common.models.onnx_graph import Graph, parse_graph
from common.models.onnx_operators import Node
from common.models.runtime import Runtime

CHANNELS, SIDE = 6, 8
LOUD = np.array([1, 0.1, 0.02, 1, 0.3, 0.004])  # of each channel


def network(activation: str = "Relu", *, shared: bool = False) -> Graph:
    """Convolution, activation, depthwise convolution; ``shared``: the activation is read twice."""
    rng = np.random.default_rng(4)
    tensors = {
        "w": rng.standard_normal((CHANNELS, 3, 1, 1)) * LOUD[:, None, None, None],
        "b": rng.standard_normal(CHANNELS) * LOUD,
        "dw": rng.standard_normal((CHANNELS, 1, 3, 3)),
        "db": rng.standard_normal(CHANNELS),
        "low": np.array(0.0),
        "high": np.array(1.5),
    }
    bounds = ["low", "high"] if activation == "Clip" else []
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["first"], name="first"),
        helper.make_node(activation, ["first", *bounds], ["loud"], name="loud"),
        helper.make_node(
            "Conv", ["loud", "dw", "db"], ["deep"], name="deep", group=CHANNELS, pads=[1, 1, 1, 1]
        ),
    ]
    if shared:
        nodes.append(helper.make_node("Add", ["deep", "loud"], ["y"], name="y"))
    kind = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "levels",
        [helper.make_tensor_value_info("x", kind, ["batch", 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("y" if shared else "deep", kind, None)],
        [numpy_helper.from_array(v.astype(np.float32), k) for k, v in tensors.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    return parse_graph(made.SerializeToString(), "levels")


def planes(number: int = 40) -> NDArray[np.float32]:
    values = np.random.default_rng(5).standard_normal((number, 3, SIDE, SIDE))
    return values.astype(np.float32)


def run(graph: Graph, values: NDArray[np.float32], at: str | None = None) -> NDArray[np.float32]:
    cut = graph if at is None else graph.before(at)
    return Runtime(cut, single=False, threads=1).run(values)


def spread(graph: Graph, values: NDArray[np.float32]) -> float:
    loudest = run(graph, values, "loud").max((0, 2, 3))
    return float(loudest.max() / loudest.min())


@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize("activation", ["Relu", "LeakyRelu", "Clip"])
def test_channels_before_a_depthwise_convolution_become_alike_and_nothing_else_changes(
    activation: str, single: bool
) -> None:
    graph, seen = network(activation), planes()
    level = levelled(graph, seen, single=single)
    assert np.abs(run(level, seen) - run(graph, seen)).max() < 1e-4
    assert spread(graph, seen) > 20
    assert spread(level, seen) <= max(1, spread(graph, seen) / MOST) * 1.001


def test_a_channel_that_never_spoke_is_made_louder_only_so_far() -> None:
    graph, seen = network(), planes()
    bias = graph.tensors["b"].copy()
    bias[1] = -1e3
    silent = dataclasses.replace(graph, tensors={**graph.tensors, "b": bias})
    level = levelled(silent, seen, single=False)
    assert np.abs(run(level, seen) - run(silent, seen)).max() < 1e-4
    assert level.tensors["first:level2"][1] == pytest.approx(-1e3 * MOST)


def test_a_tensor_that_somebody_else_reads_keeps_its_scale() -> None:
    graph, seen = network(shared=True), planes()
    assert levelled(graph, seen, single=False) is graph


def test_a_clip_that_cuts_below_zero_is_left_alone() -> None:
    graph = network("Clip")
    tensors = {**graph.tensors, "low": np.array(-1, np.float32)}
    other = dataclasses.replace(graph, tensors=tensors)
    assert levelled(other, planes(), single=False) is other


@pytest.mark.parametrize("single", [False, True])
def test_a_layer_that_rounding_shifted_has_its_mean_again(single: bool) -> None:
    graph, seen = network(), planes()
    shifted = with_whole_bias(graph, shift=3.0)
    assert np.abs(means(shifted, seen) - means(graph, seen)).min() > 0.1
    mended = recentred(shifted, graph, seen, single=single)
    assert np.abs(means(mended, seen) - means(graph, seen)).max() < 2e-3


def means(graph: Graph, seen: NDArray[np.float32]) -> NDArray[Any]:
    return np.asarray(run(graph, seen).mean((0, 2, 3)))


def with_whole_bias(graph: Graph, shift: float) -> Graph:
    """The biases of both layers as onnxruntime's tool leaves them, wrong by ``shift`` each."""
    nodes, tensors = [], dict(graph.tensors)
    for node in graph.nodes:
        if node.op == "Conv":
            name = node.inputs[2]
            step = np.full(CHANNELS, 1e-3, np.float32)
            tensors[f"{name}.step"] = step
            tensors[f"{name}.zero"] = np.zeros(CHANNELS, np.int32)
            tensors[f"{name}.whole"] = np.round((tensors[name] + shift) / step).astype(np.int32)
            inputs = [f"{name}.whole", f"{name}.step", f"{name}.zero"]
            wide = f"{name}.float"
            nodes.append(Node("DequantizeLinear", wide, tuple(inputs), (wide,), {"axis": 0}))
            node = dataclasses.replace(node, inputs=(*node.inputs[:2], f"{name}.float"))
        nodes.append(node)
    return dataclasses.replace(graph, nodes=tuple(nodes), tensors=tensors)
