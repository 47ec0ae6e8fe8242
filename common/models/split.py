"""Cutting a network in two: a frozen front that makes features, a back that makes embeddings.

Where everything behind the cut is affine, the back collapses into one matrix and one offset (a
``Tail``), exactly: it is evaluated in float64 on zero and on the unit vectors. Deeper cuts keep
their back as a module (``TailModule``).
"""

import dataclasses
import itertools
import math
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from common.errors import ModelError
from common.models.manifest import FEATURE_LIMIT
from common.models.onnx_graph import Graph
from common.models.onnx_import import GraphModule, build_module, output_shape
from common.models.onnx_operators import Node
from common.models.tail import Tail

_LINEAR = ("Conv", "Gemm", "MatMul")
_SHAPING = ("Flatten", "Reshape", "Squeeze", "Unsqueeze", "Identity", "Dropout", "Transpose")
_SCALING = ("Add", "Sub", "Mul", "Div", "BatchNormalization")
_CHUNK = 256  # unit vectors at a time

END = "embedding"  # what a joined network gives, where the name is free


class TailModule(nn.Module):
    """The back of a deeper cut, trainable: flattened features (B, D) -> embeddings (B, E)."""

    def __init__(self, back: GraphModule) -> None:
        super().__init__()
        self.back, self.shape = back, back.graph.shape
        self.feature_dim = math.prod(self.shape)
        for weight in self.parameters():
            weight.requires_grad_(True)

    def forward(self, features: Tensor) -> Tensor:
        embedded: Tensor = self.back(features.reshape(-1, *self.shape))
        return embedded.flatten(1)

    @torch.no_grad()
    def embed(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, D) features -> (N, E) embeddings, not normalised."""
        if features.ndim != 2 or features.shape[1] != self.feature_dim:
            raise ModelError(f"features must be (N, {self.feature_dim}), got {features.shape}")
        embedded: NDArray[np.float32] = self(torch.tensor(features)).numpy()
        return embedded


def choose_cut(graph: Graph, where: str, *, known: bool = False) -> str:
    """The tensor read by the last linear layer, or the output if that cannot be a linear tail.

    It cannot where the tensor has more than 2,048 numbers (a template would be too large) or where
    something behind it is not affine. ``known`` as for ``build_module``.
    """
    last = next((node for node in reversed(graph.nodes) if node.op in _LINEAR), None)
    if last is None or len(_read(last, graph)) != 1:
        return graph.output
    cut = _read(last, graph)[0]
    if cut == graph.input:
        return graph.output
    shape = output_shape(build_module(graph.before(cut), where, known=known))
    if math.prod(shape) > FEATURE_LIMIT or not is_affine(graph.after(cut, shape)):
        return graph.output
    return cut


def is_affine(back: Graph) -> bool:
    """Whether every operation of ``back`` is an affine map of its one variable input."""
    for node in back.nodes:
        read = _read(node, back)
        if node.op not in (*_LINEAR, *_SCALING, *_SHAPING) or len(read) != 1:
            return False
        if node.op == "Div" and node.inputs[0] != read[0]:
            return False
    return True


def split(
    graph: Graph, cut: str, where: str, *, known: bool = False
) -> tuple[GraphModule, Tail | TailModule]:
    """The frozen front up to ``cut`` and what follows; ``ModelError`` if ``cut`` cannot split.

    ``known`` as for ``build_module``.
    """
    front = build_module(graph.before(cut), where, known=known)
    shape = output_shape(front)
    if cut == graph.output:
        size = math.prod(shape)
        return front, Tail(np.eye(size, dtype=np.float32), np.zeros(size, np.float32))
    after = graph.after(cut, shape)
    back = build_module(after, where, known=known)
    return front, _collapse(back) if is_affine(after) else TailModule(back)


def joined(graph: Graph, tail: Tail) -> Graph:
    """``graph`` followed by ``tail``, whose nodes and tensors get names that are free."""
    taken = {*graph.tensors, *(name for node in graph.nodes for name in (node.name, *node.outputs))}
    prefix = next(
        name
        for name in _prefixes()
        if not any(t.startswith(name) for t in taken) and not (name == "tail" and END in taken)
    )
    arrays = {f"{prefix}.{name.removeprefix('tail.')}": a for name, a in tail.arrays().items()}
    flat, end = f"{prefix}.feature", END if prefix == "tail" else f"{prefix}.embedding"
    nodes = (
        Node("Flatten", f"{prefix}.flat", (graph.output,), (flat,), {"axis": 1}),
        Node("Gemm", prefix, (flat, *arrays), (end,), {"transB": 1}),
    )
    return dataclasses.replace(
        graph, nodes=(*graph.nodes, *nodes), tensors={**graph.tensors, **arrays}, output=end
    )


def _prefixes() -> Iterator[str]:
    yield "tail"
    yield from (f"tail{number}" for number in itertools.count(2))


@torch.no_grad()
def _collapse(back: GraphModule) -> Tail:
    shape, size = back.graph.shape, math.prod(back.graph.shape)
    exact = back.double()
    bias = exact(torch.zeros((1, *shape), dtype=torch.float64)).flatten()
    columns = []
    for start in range(0, size, _CHUNK):
        unit = torch.zeros((min(_CHUNK, size - start), size), dtype=torch.float64)
        unit[torch.arange(len(unit)), torch.arange(start, start + len(unit))] = 1
        columns.append((exact(unit.reshape(-1, *shape)).flatten(1) - bias).float())
    return Tail(torch.cat(columns).T.numpy(), bias.float().numpy())


def _read(node: Node, graph: Graph) -> list[str]:
    return [name for name in node.inputs if name and name not in graph.tensors]
