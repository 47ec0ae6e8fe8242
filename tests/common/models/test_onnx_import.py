import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from common.errors import ModelError, OperatorError
from common.models.onnx_graph import parse_graph
from common.models.onnx_import import build_module
from common.models.onnx_operators import OPERATORS, Node, apply, check
from common.models.runtime import Runtime

Make = Callable[..., onnx.ModelProto]
Run = Callable[[bytes, NDArray[np.float32]], NDArray[np.float32]]
Nodes = list[onnx.NodeProto]
Tensors = dict[str, NDArray[Any]]


def pictures(number: int) -> NDArray[np.float32]:
    return np.random.default_rng(3).normal(size=(number, 3, 32, 32)).astype(np.float32)


def test_the_module_computes_what_onnxruntime_computes(small_onnx: Path, run_original: Run) -> None:
    module = build_module(parse_graph(small_onnx.read_bytes(), "small"), "small")
    assert not module.training and not list(module.buffers())
    assert not any(p.requires_grad for p in module.parameters())
    x = pictures(4)
    assert (
        np.abs(module(torch.tensor(x)).numpy() - run_original(small_onnx.read_bytes(), x)).max()
        < 1e-4
    )


def test_the_reference_network_runs_in_torch(shared_models: Path, run_original: Run) -> None:
    path = shared_models / "mobilefacenet_ms1m.onnx"
    x = np.random.default_rng(0).normal(size=(3, 3, 112, 112)).astype(np.float32)
    made = build_module(parse_graph(path.read_bytes(), "x"), "x")(torch.tensor(x)).numpy()
    assert np.abs(made - run_original(path.read_bytes(), x)).max() < 1e-4


CASES: dict[str, tuple[list[tuple[list[int], bool]], dict[str, Any]]] = {
    "Add": ([([2, 4, 6, 6], False), ([4, 1, 1], True)], {}),
    "AveragePool": (
        [([2, 4, 7, 7], False)],
        {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1], "count_include_pad": 1},
    ),
    "BatchNormalization": (
        [([2, 4, 6, 6], False), ([4], True), ([4], True), ([4], True), ([4], True)],
        {"epsilon": 1e-3},
    ),
    "Clip": ([([2, 4], False)], {}),
    "Conv": (
        [([2, 4, 8, 8], False), ([6, 2, 3, 3], True), ([6], True)],
        {"group": 2, "pads": [0, 1, 2, 1], "strides": [2, 1], "dilations": [1, 2]},
    ),
    "Div": ([([2, 4], False), ([4], True)], {}),
    "Dropout": ([([2, 4], False)], {}),
    "Flatten": ([([2, 4, 3, 3], False)], {"axis": 2}),
    "Gemm": (
        [([2, 4], False), ([5, 4], True), ([5], True)],
        {"transB": 1, "alpha": 0.5, "beta": 2.0},
    ),
    "GlobalAveragePool": ([([2, 4, 5, 5], False)], {}),
    "HardSigmoid": ([([2, 4], False)], {"alpha": 0.3}),
    "HardSwish": ([([2, 4], False)], {}),
    "Identity": ([([2, 4], False)], {}),
    "LeakyRelu": ([([2, 4], False)], {"alpha": 0.2}),
    "MatMul": ([([2, 4], False), ([4, 3], True)], {}),
    "MaxPool": (
        [([2, 4, 8, 8], False)],
        {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [0, 0, 1, 1]},
    ),
    "Mul": ([([2, 4], False), ([4], True)], {}),
    "PRelu": ([([2, 4, 5, 5], False), ([4, 1, 1], True)], {}),
    "ReduceL2": ([([2, 4, 5], False)], {"axes": [1], "keepdims": 0}),
    "ReduceMean": ([([2, 4, 5, 5], False)], {"axes": [2, 3]}),
    "Relu": ([([2, 4], False)], {}),
    "Sigmoid": ([([2, 4], False)], {}),
    "Softmax": ([([2, 3, 4], False)], {"axis": -1}),
    "Sqrt": ([([2, 4], True)], {}),
    "Sub": ([([2, 4], False), ([4], True)], {}),
    "Tanh": ([([2, 4], False)], {}),
    "Transpose": ([([2, 4, 3], False)], {"perm": [0, 2, 1]}),
}


@pytest.mark.parametrize("op", sorted(CASES))
def test_each_operator_means_what_onnxruntime_means(op: str) -> None:
    shapes, attributes = CASES[op]
    rng = np.random.default_rng(7)
    arrays = {}
    for index, (shape, positive) in enumerate(shapes):
        drawn = rng.normal(size=shape)
        arrays[f"i{index}"] = (np.abs(drawn) + 0.1 if positive else drawn).astype(np.float32)
    expected = run_operator(op, arrays, attributes)
    made = apply(
        Node(op, "node", tuple(arrays), ("y",), attributes),
        [torch.tensor(a) for a in arrays.values()],
    )
    assert made.shape == expected.shape
    assert np.abs(made.numpy() - expected).max() < 1e-5


def run_operator(
    op: str, arrays: Mapping[str, NDArray[Any]], attributes: dict[str, Any]
) -> NDArray[np.float32]:
    import onnxruntime

    kind = onnx.TensorProto.FLOAT
    node = helper.make_node(op, list(arrays), ["y"], "node", **attributes)
    inputs = [
        helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape)
        for n, a in arrays.items()
    ]
    output = helper.make_tensor_value_info("y", kind, None)
    graph = helper.make_graph([node], "one", inputs, [output])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    made: NDArray[np.float32] = session.run(None, dict(arrays))[0]
    return made


def test_shape_arithmetic_of_a_dynamic_flatten_is_followed(
    make_embedder: Make, run_original: Run
) -> None:
    def change(nodes: Nodes, tensors: Tensors) -> None:
        tensors |= {"zero": np.array(0), "axis0": np.array([0]), "minus": np.array([-1])}
        nodes[-1:] = [
            helper.make_node("Shape", ["c3"], ["s"]),
            helper.make_node("Gather", ["s", "zero"], ["n"], axis=0),
            helper.make_node("Unsqueeze", ["n", "axis0"], ["n1"]),
            helper.make_node("Concat", ["n1", "minus"], ["to"], axis=0),
            helper.make_node("Reshape", ["c3", "to"], ["f"]),
            helper.make_node("Unsqueeze", ["f", "minus"], ["u"]),
            helper.make_node("Squeeze", ["u", "minus"], ["e"]),
        ]

    data = make_embedder(change).SerializeToString()
    module = build_module(parse_graph(data, "x.onnx"), "x.onnx")
    assert not module.single
    x = pictures(3)
    assert np.abs(module(torch.tensor(x)).numpy() - run_original(data, x)).max() < 1e-4
    runtime = Runtime(module.graph, single=False, threads=1)
    assert np.abs(runtime.run(x) - run_original(data, x)).max() < 1e-5


def test_a_network_tied_to_one_picture_goes_picture_by_picture(
    make_embedder: Make, run_original: Run
) -> None:
    def change(nodes: Nodes, tensors: Tensors) -> None:
        tensors["flat"] = np.array([6])
        tensors["back"] = np.array([0])
        nodes[-1:] = [
            helper.make_node("Reshape", ["c3", "flat"], ["row"]),
            helper.make_node("Unsqueeze", ["row", "back"], ["e"]),
        ]

    data = make_embedder(change).SerializeToString()
    module = build_module(parse_graph(data, "x.onnx"), "x.onnx")
    assert module.single
    x = pictures(3)
    expected = run_original(data, x)
    assert np.abs(module(torch.tensor(x)).numpy() - expected).max() < 1e-4
    runtime = pickle.loads(pickle.dumps(Runtime(module.graph, single=True, threads=1)))  # noqa: S301
    assert np.abs(runtime.run(x) - expected).max() < 1e-5


def test_an_unsupported_operator_is_named_with_its_node(make_embedder: Make) -> None:
    def change(nodes: Nodes, tensors: Tensors) -> None:
        nodes[1] = helper.make_node("Softplus", ["c1"], ["r1"], "bend")

    with pytest.raises(OperatorError, match=r"x\.onnx: operator Softplus of node 'bend'"):
        parse_graph(make_embedder(change).SerializeToString(), "x.onnx")


@pytest.mark.parametrize(
    ("attributes", "message"),
    [({"auto_pad": "SAME_UPPER"}, "attribute auto_pad"), ({"secret": 1}, "attribute secret")],
)
def test_an_unsupported_attribute_is_named(
    make_embedder: Make, attributes: dict[str, Any], message: str
) -> None:
    def change(nodes: Nodes, tensors: Tensors) -> None:
        nodes[0] = helper.make_node("Conv", ["x", "w1", "b1"], ["c1"], "first", **attributes)

    with pytest.raises(OperatorError, match=rf"{message}.*'first'"):
        parse_graph(make_embedder(change).SerializeToString(), "x.onnx")


def test_a_custom_operator_or_a_loop_is_refused(make_embedder: Make) -> None:
    def custom(nodes: Nodes, tensors: Tensors) -> None:
        nodes[1] = helper.make_node("Relu", ["c1"], ["r1"], "own", domain="evil")

    with pytest.raises(OperatorError, match=r"evil\.Relu"):
        parse_graph(make_embedder(custom).SerializeToString(), "x.onnx")


def test_weights_outside_the_file_are_refused(make_embedder: Make) -> None:
    model = make_embedder()
    tensor = model.graph.initializer[0]
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../etc/passwd")
    with pytest.raises(ModelError, match="outside the file"):
        parse_graph(model.SerializeToString(), "x.onnx")


def test_a_small_file_cannot_ask_for_a_huge_tensor(make_embedder: Make) -> None:
    def change(nodes: Nodes, tensors: Tensors) -> None:
        nodes[0] = helper.make_node(
            "Conv", ["x", "w1", "b1"], ["c1"], "first", pads=[100_000] * 4, strides=[1, 1]
        )

    graph = parse_graph(make_embedder(change).SerializeToString(), "x.onnx")
    with pytest.raises(ModelError, match="cannot run"):
        build_module(graph, "x.onnx")


def test_broken_wiring_is_a_model_error(make_embedder: Make) -> None:
    def unknown(nodes: Nodes, tensors: Tensors) -> None:
        nodes[1].input[0] = "nobody"

    def twice(nodes: Nodes, tensors: Tensors) -> None:
        nodes[1].output[0] = "c1"

    def short(nodes: Nodes, tensors: Tensors) -> None:
        del nodes[0].input[1:]

    def nothing(nodes: Nodes, tensors: Tensors) -> None:
        nodes.clear()

    def infinite(nodes: Nodes, tensors: Tensors) -> None:
        tensors["w1"] = tensors["w1"] * np.float32(np.inf)

    def half(nodes: Nodes, tensors: Tensors) -> None:
        tensors["w1"] = tensors["w1"].astype(np.float16)

    for change in (unknown, twice, short, nothing, infinite, half):
        with pytest.raises(ModelError, match=r"x\.onnx"):
            parse_graph(make_embedder(change).SerializeToString(), "x.onnx")
    for opset in (6, 99):
        with pytest.raises(ModelError, match="operator set"):
            parse_graph(make_embedder(opset=opset).SerializeToString(), "x.onnx")


@given(st.data())
def test_damaged_bytes_run_or_are_a_model_error(make_embedder: Make, data: st.DataObject) -> None:
    whole = bytearray(make_embedder().SerializeToString())
    # Damage the structure, not the weights: the first bytes and those around the initializers.
    places = st.integers(0, 400) | st.integers(len(whole) - 600, len(whole) - 1)
    for _ in range(data.draw(st.integers(1, 5))):
        whole[data.draw(places)] = data.draw(st.integers(0, 255))
    end = data.draw(st.just(len(whole)) | st.integers(0, len(whole)))
    try:
        build_module(parse_graph(bytes(whole[:end]), "x.onnx"), "x.onnx")
    except ModelError:
        return


@given(st.binary(max_size=300))
def test_garbage_is_a_model_error(garbage: bytes) -> None:
    with pytest.raises(ModelError):
        parse_graph(garbage, "x.onnx")


@pytest.mark.parametrize("kind", [np.uint8, np.int8])
@pytest.mark.parametrize("channels", [False, True])
def test_quantising_means_what_onnxruntime_means(kind: type, channels: bool) -> None:
    x = (2 * np.random.default_rng(8).normal(size=(2, 3, 4, 4))).astype(np.float32)
    scale = np.array([0.01, 0.02, 0.03] if channels else 0.02, np.float32)
    zero = np.array([1, 2, 3] if channels else 7, kind)
    tensors = {"scale": scale, "zero": zero}
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["y"]),
    ]
    ends = [helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, x.shape) for n in ("x", "y")]
    constants = [numpy_helper.from_array(v, k) for k, v in tensors.items()]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    steps = [torch.tensor(scale), torch.tensor(zero)]
    whole = apply(Node("QuantizeLinear", "q", (), ("q",)), [torch.tensor(x), *steps])
    made = apply(Node("DequantizeLinear", "d", (), ("y",)), [whole, *steps])
    assert np.abs(made.numpy() - session.run(None, {"x": x})[0]).max() < 1e-6


@pytest.mark.parametrize(
    "bounds",
    [
        ([1], [3], [1]),
        ([-3, 1], [2**63 - 1, -1], [1, -1]),
        ([0, 1], [2, 4]),
        ([1], [3], [2], [1]),
    ],
)
def test_a_slice_means_what_onnxruntime_means(bounds: tuple[list[int], ...]) -> None:
    x = np.random.default_rng(8).normal(size=(2, 5, 6)).astype(np.float32)
    indices = {f"i{n}": np.array(values, np.int64) for n, values in enumerate(bounds, start=1)}
    expected = run_operator("Slice", {"i0": x, **indices}, {})
    node = Node("Slice", "node", ("i0", *indices), ("y",))
    values = [torch.tensor(x), *(torch.tensor(array) for array in indices.values())]
    assert np.array_equal(apply(node, values).numpy(), expected)


def test_a_slice_that_skips_and_a_softmax_over_another_axis_are_refused() -> None:
    numbers = [torch.tensor([n]) for n in (0, 4, 0, 2)]
    with pytest.raises(ValueError, match="skips"):
        apply(Node("Slice", "s", (), ("y",)), [torch.zeros(4), *numbers])
    for attributes in ({"axis": 1}, {}):
        with pytest.raises((OperatorError, KeyError)):
            check(Node("Softmax", "s", ("x",), ("y",), attributes), "x.onnx")
            apply(Node("Softmax", "s", ("x",), ("y",), attributes), [torch.zeros(2, 3, 4)])


def test_every_operator_is_tried_somewhere() -> None:
    elsewhere = {"Concat", "Constant", "Gather", "Reshape", "Shape", "Squeeze", "Unsqueeze"}
    elsewhere |= {"QuantizeLinear", "DequantizeLinear", "Slice"}
    assert set(OPERATORS) == set(CASES) | elsewhere
