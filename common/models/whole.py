"""Trunk and tail as one ONNX file: pixels in, embedding out, for whoever runs it without us.

What is done around the network (colour order, normalisation, clamping of features) is in the file,
so that nothing has to be known of it but its two names.
"""

import dataclasses
import math

import numpy as np
import onnx
from numpy.typing import NDArray

from common.errors import ModelError
from common.metrics.verification import unit_rows
from common.models.manifest import TrunkManifest
from common.models.onnx_graph import Graph
from common.models.onnx_operators import Node
from common.models.runtime import Runtime
from common.models.tail import Tail
from common.models.trunk import Trunk

INPUT, OUTPUT = "pixels", "embedding"
PARITY = 1e-4  # of unit embeddings, in any coordinate
_PROBES = 4


def export_whole(trunk: Trunk, tail: Tail) -> bytes:
    """The file: ``pixels`` (B, 3, S, S) float32 RGB in [0, 255] -> ``embedding`` (B, E).

    Not normalised to length 1. Checked before it is given: ``ModelError`` where it does not give
    what trunk and tail give, to 1e-4.
    """
    if tail.feature_dim != trunk.feature_dim:
        raise ModelError(f"the tail takes {tail.feature_dim} numbers, not {trunk.feature_dim}")
    front = trunk.module.front
    graph = _whole(front.graph, trunk.manifest, tail)
    size = trunk.manifest.input_size
    crops = np.random.default_rng(0).integers(0, 256, (_PROBES, size, size, 3), dtype=np.uint8)
    expected = unit_rows(tail.embed(trunk.features(crops)))
    planes = np.ascontiguousarray(crops.transpose(0, 3, 1, 2), np.float32)
    made = unit_rows(Runtime(graph, single=front.single, threads=1).run(planes))
    apart = float(np.abs(made - expected).max())
    if not apart < PARITY:
        raise ModelError(f"the exported network differs from trunk and tail by {apart:.2g}")
    return _shaped(graph.protobuf(1 if front.single else "batch"), tail.embedding_dim)


def _shaped(content: bytes, dim: int) -> bytes:
    """The file with the shape of its output written down, as strict readers want it."""
    model = onnx.load_model_from_string(content)
    batch = model.graph.input[0].type.tensor_type.shape.dim[0]
    shape = model.graph.output[0].type.tensor_type.shape
    shape.dim.add().CopyFrom(batch)
    shape.dim.add().dim_value = dim
    return bytes(model.SerializeToString())


def _whole(front: Graph, manifest: TrunkManifest, tail: Tail) -> Graph:
    before, constants = _normalising(manifest, front.input)
    after = [Node("Flatten", "whole.flat", (front.output,), ("whole.feature",), {"axis": 1})]
    feature = "whole.feature"
    if math.isfinite(manifest.activation_clip):
        bounds = {
            "whole.low": np.array(-manifest.activation_clip, np.float32),
            "whole.high": np.array(manifest.activation_clip, np.float32),
        }
        constants |= bounds
        after.append(Node("Clip", "whole.clip", (feature, *bounds), ("whole.clamped",)))
        feature = "whole.clamped"
    last = (feature, "tail.weight", "tail.bias")
    after.append(Node("Gemm", "whole.tail", last, (OUTPUT,), {"transB": 1}))
    tensors = {**front.tensors, **constants, **tail.arrays()}
    taken = {INPUT, OUTPUT, *constants, *tail.arrays()} & (
        set(front.tensors) | {name for node in front.nodes for name in node.outputs}
    )
    if taken:
        raise ModelError(f"the network has a tensor called {sorted(taken)[0]!r}")
    nodes = (*before, *front.nodes, *after)
    return dataclasses.replace(front, nodes=nodes, tensors=tensors, input=INPUT, output=OUTPUT)


def _normalising(
    manifest: TrunkManifest, start: str
) -> tuple[list[Node], dict[str, NDArray[np.generic]]]:
    """Nodes from ``pixels`` to the tensor ``start``, and their constants."""
    std, mean = np.array(manifest.std), np.array(manifest.mean)
    constants: dict[str, NDArray[np.generic]] = {
        "whole.scale": (1 / (255 * std)).astype(np.float32)[None, :, None, None],
        "whole.shift": (-mean / std).astype(np.float32)[None, :, None, None],
    }
    nodes, pixels = [], INPUT
    if manifest.colour == "BGR":
        constants["whole.order"] = np.array([2, 1, 0], np.int64)
        order = (INPUT, "whole.order")
        nodes.append(Node("Gather", "whole.colours", order, ("whole.ordered",), {"axis": 1}))
        pixels = "whole.ordered"
    nodes.append(Node("Mul", "whole.scaling", (pixels, "whole.scale"), ("whole.scaled",)))
    nodes.append(Node("Add", "whole.shifting", ("whole.scaled", "whole.shift"), (start,)))
    return nodes, constants
