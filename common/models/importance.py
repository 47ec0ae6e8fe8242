"""What a channel is worth: how much the embedding says with it that it would not say without.

``taylor`` (Molchanov et al. 2019, arXiv:1906.10771) asks the network: along a random direction of
the embedding, the slope with which a channel's departure from its mean counts, squared and averaged
over pictures; that is the error of the embedding to first order when the channel is held at its
mean, which is what refitting (``refitting``) can bring back for nothing. ``magnitude`` and
``scale`` read weights alone: sums of absolute values, and the factors of BatchNorm (Liu et al.
2017, arXiv:1708.06519), where an import still has them.
"""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from common.errors import ModelError
from common.models.channels import Channels, reads_all
from common.models.onnx_graph import Graph
from common.models.onnx_operators import Node, apply

_CHUNK = 16  # pictures at a time
_DIRECTIONS = 2  # for each picture

Floats = NDArray[np.float64]
Planes = NDArray[np.float32]


def taylor(graph: Graph, channels: Channels, planes: Planes, seed: int = 0) -> Floats:
    """(U,) from ``planes`` (B, *graph.shape), for a graph that ends in the embedding."""
    generator = torch.Generator().manual_seed(seed)
    total = torch.zeros(len(channels.family), dtype=torch.float64)
    for start in range(0, len(planes), _CHUNK):
        part = torch.from_numpy(planes[start : start + _CHUNK])
        gates: list[tuple[str, Tensor]] = []
        said = F.normalize(_run(graph, part, _gated(graph, channels, gates)).flatten(1))
        for turn in range(_DIRECTIONS):
            towards = torch.randn(said.shape, generator=generator)
            kept = turn + 1 < _DIRECTIONS
            slopes = torch.autograd.grad(
                (said * towards).sum(), [gate for _, gate in gates], retain_graph=kept
            )
            counted = torch.zeros((len(part), len(total)), dtype=torch.float64)
            for (name, _), slope in zip(gates, slopes, strict=True):
                units = torch.from_numpy(channels.of[name])
                counted.index_add_(1, units, slope.flatten(1).double())
            total += counted.square().sum(0)
    return (total / (_DIRECTIONS * len(planes))).numpy()


def magnitude(graph: Graph, channels: Channels, planes: Planes, seed: int = 0) -> Floats:
    """(U,) mean absolute weight of what writes or reads the channel; no picture is looked at."""
    layers = {n.name for n in graph.nodes if n.op in ("Conv", "Gemm", "MatMul")}
    return _read(graph, channels, lambda node, at: node.name in layers and at == 1)


def scale(graph: Graph, channels: Channels, planes: Planes, seed: int = 0) -> Floats:
    """(U,) absolute factor of BatchNorm; ``ModelError`` where a channel that may go has none."""
    found = _read(graph, channels, lambda node, at: node.op == "BatchNormalization" and at == 1)
    if (np.isnan(found) & ~channels.fixed).any():
        raise ModelError("some channels have no BatchNorm (folded?): choose another measure")
    return found


MEASURES: dict[str, Callable[[Graph, Channels, Planes, int], Floats]] = {
    "taylor": taylor,
    "magnitude": magnitude,
    "scale": scale,
}


def _read(graph: Graph, channels: Channels, counts: Callable[[Node, int], bool]) -> Floats:
    """The mean over the constants that count of a unit's mean absolute entry; nan without any."""
    nodes = {node.name: node for node in graph.nodes}
    total, times = np.zeros(len(channels.family)), np.zeros(len(channels.family))
    for cut in channels.slices:
        node = nodes[cut.node]
        if not counts(node, cut.position):
            continue
        array = np.abs(graph.tensors[node.inputs[cut.position]].astype(np.float64))
        others = tuple(axis for axis in range(array.ndim) if axis != cut.axis)
        np.add.at(total, cut.units, array.mean(axis=others))
        np.add.at(times, cut.units, 1)
    with np.errstate(invalid="ignore"):
        found: Floats = total / times
    return found


def _gated(
    graph: Graph, channels: Channels, gates: list[tuple[str, Tensor]]
) -> Callable[[Node, Tensor], Tensor]:
    """Multiplies what a layer reads, around each channel's mean, by ones that get a slope."""

    def gated(node: Node, x: Tensor) -> Tensor:
        if not reads_all(node, graph) or node.inputs[0] not in channels.of:
            return x
        others = [axis for axis in range(x.dim()) if axis != 1]
        mean = x.detach().mean(others, keepdim=True)
        gate = torch.ones((*x.shape[:2], *[1] * (x.dim() - 2)), requires_grad=True)
        gates.append((node.inputs[0], gate))
        return mean + (x - mean) * gate

    return gated


def _run(graph: Graph, x: Tensor, gated: Callable[[Node, Tensor], Tensor]) -> Tensor:
    constants = {name: torch.from_numpy(np.array(value)) for name, value in graph.tensors.items()}
    values = {graph.input: x}
    for node in graph.nodes:
        given = [values[name] if name in values else constants.get(name) for name in node.inputs]
        if node.inputs[0] in values:
            given[0] = gated(node, values[node.inputs[0]])
        values[node.outputs[0]] = apply(node, given)
    return values[graph.output]
