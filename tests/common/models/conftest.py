"""A small ONNX embedder made on the spot: convolutions, a clip, a fixed batch of 1."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import helper, numpy_helper

Change = Callable[[list[onnx.NodeProto], dict[str, NDArray[Any]]], None]


def embedder(change: Change | None = None, opset: int = 17) -> onnx.ModelProto:
    """(1, 3, 32, 32) -> conv, clip, global conv (the feature), 1x1 conv, reshape -> (1, 6)."""
    rng = np.random.default_rng(5)

    def draw(*shape: int) -> NDArray[np.float32]:
        return rng.normal(0, 0.2, shape).astype(np.float32)

    tensors: dict[str, NDArray[Any]] = {
        "w1": draw(8, 3, 3, 3),
        "b1": draw(8),
        "low": np.array(0, np.float32),
        "high": np.array(6, np.float32),
        "w2": draw(8, 1, 16, 16),
        "b2": draw(8),
        "w3": draw(6, 8, 1, 1),
        "b3": draw(6),
        "flat": np.array([1, -1]),
    }
    nodes = [
        helper.make_node("Conv", ["x", "w1", "b1"], ["c1"], "first", strides=[2, 2], pads=[1] * 4),
        helper.make_node("Clip", ["c1", "low", "high"], ["r1"], "clip"),
        helper.make_node("Conv", ["r1", "w2", "b2"], ["feature"], "global", group=8),
        helper.make_node("Conv", ["feature", "w3", "b3"], ["c3"], "last"),
        helper.make_node("Reshape", ["c3", "flat"], ["e"], "flatten"),
    ]
    if change:
        change(nodes, tensors)
    kind = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "embedder",
        [helper.make_tensor_value_info("x", kind, [1, 3, 32, 32])],
        [helper.make_tensor_value_info("e", kind, [1, 6])],
        [numpy_helper.from_array(np.asarray(v), k) for k, v in tensors.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    model.ir_version = 8
    return model


def run_onnx(data: bytes, x: NDArray[np.float32]) -> NDArray[np.float32]:
    """What onnxruntime makes of the original file, one picture at a time."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return np.concatenate([session.run(None, {name: row[None]})[0] for row in x])


@pytest.fixture(scope="session")
def make_embedder() -> Callable[..., onnx.ModelProto]:
    return embedder


@pytest.fixture
def run_original() -> Callable[[bytes, NDArray[np.float32]], NDArray[np.float32]]:
    return run_onnx


@pytest.fixture
def small_onnx(tmp_path: Path) -> Path:
    path = tmp_path / "small.onnx"
    path.write_bytes(embedder().SerializeToString())
    return path


@pytest.fixture
def small_manifest(small_onnx: Path) -> Mapping[str, Any]:
    import hashlib

    return {
        "file": small_onnx.name,
        "sha256": hashlib.sha256(small_onnx.read_bytes()).hexdigest(),
        "licence": "made by a test",
        "input_size": 32,
    }
