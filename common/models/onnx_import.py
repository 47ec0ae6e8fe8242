"""An ONNX network as a torch module: onnxruntime infers, torch differentiates.

The module holds the file's weights as frozen parameters and no buffers, and computes what
onnxruntime computes to 1e-4. A network exported with a batch of 1 is rewritten to take any batch
where that changes nothing (checked on two pictures); otherwise it goes picture by picture.
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from common.errors import ModelError
from common.models.onnx_graph import MAX_BYTES, Graph
from common.models.onnx_operators import apply

MAX_ELEMENTS = 1 << 26  # of any one tensor of the network, per picture
_WHOLE = (torch.int8, torch.uint8, torch.int32)  # quantised weights; int64 are shapes
_FAILURES = (RuntimeError, ValueError, TypeError, IndexError, KeyError, ArithmeticError)


class GraphModule(nn.Module):
    """Runs a ``Graph`` in torch: (B, *graph.shape) -> (B, ...). Differentiable, no buffers.

    Initializers with dimensions are parameters (frozen until someone trains them); scalars, shapes
    and constant nodes stay constants.
    """

    def __init__(self, graph: Graph, single: bool = False) -> None:
        super().__init__()
        self.graph, self.single = graph, single
        self._index: dict[str, int] = {}
        self._fixed: dict[str, Tensor] = {}
        weights: list[nn.Parameter] = []
        for name, array in graph.tensors.items():
            tensor = torch.from_numpy(np.array(array))
            if name in graph.trainable and tensor.is_floating_point() and tensor.dim():
                self._index[name] = len(weights)
                weights.append(nn.Parameter(tensor, requires_grad=False))
            else:
                self._fixed[name] = tensor
        self.weights = nn.ParameterList(weights)

    @property
    def weight_names(self) -> tuple[str, ...]:
        """The names of the constants that are parameters, as the file has them."""
        return tuple(self._index)

    def weight(self, name: str) -> nn.Parameter:
        """The parameter that holds the constant ``name``."""
        found: nn.Parameter = self.weights[self._index[name]]
        return found

    def forward(self, x: Tensor) -> Tensor:
        if self.single and len(x) != 1:
            return torch.cat([self._run(row[None]) for row in x])
        return self._run(x)

    def _run(self, x: Tensor) -> Tensor:
        values = {self.graph.input: x}
        for node in self.graph.nodes:
            arguments = [self._value(name, values, x) for name in node.inputs]
            values[node.outputs[0]] = made = apply(node, arguments)
            if made.numel() > MAX_ELEMENTS * len(x):
                raise ValueError(f"node {node.name!r} makes a tensor of {tuple(made.shape)}")
        return values[self.graph.output]

    def _value(self, name: str, values: dict[str, Tensor], x: Tensor) -> Tensor | None:
        if name in values:
            return values[name]
        if name in self._index:
            return self.weight(name)
        if not name:
            return None
        fixed = self._fixed[name]
        if not fixed.dim():
            return fixed
        if fixed.dtype in _WHOLE:
            return fixed.to(x.device)
        return fixed.to(x) if fixed.is_floating_point() else fixed


def read_weights(path: Path) -> bytes:
    """The bytes of a weights file; ``ModelError`` if it cannot be read or is too large."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ModelError(f"{path}: larger than {MAX_BYTES} bytes")
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}") from error


def build_module(graph: Graph, where: str, *, known: bool = False) -> GraphModule:
    """Makes ``graph`` run in torch, for any batch if it can; ``ModelError`` if it cannot run.

    A part of a network of the registry is ``known`` to do both; anything else is tried.
    """
    if known:
        return GraphModule(graph).eval()
    try:
        module = GraphModule(graph.batched()).eval()
        _sizes(module, 2)
        probe = _probe(graph)
        together = module(probe)
        apart = torch.cat([module(row[None]) for row in probe])
        if together.shape == apart.shape and torch.allclose(together, apart, atol=1e-4, rtol=1e-4):
            return module
    except _FAILURES:
        pass
    try:
        module = GraphModule(graph, single=True).eval()
        _sizes(module, 1)
        module(_probe(graph))
    except (*_FAILURES, MemoryError) as error:
        raise ModelError(f"{where}: the network cannot run: {error}") from error
    return module


def output_shape(module: GraphModule) -> tuple[int, ...]:
    """Shape of one output, without the batch."""
    with torch.no_grad():
        shape: tuple[int, ...] = tuple(module(_probe(module.graph)[:1]).shape)
    if not shape or shape[0] != 1:
        raise ModelError(f"tensor {module.graph.output!r} has no batch dimension")
    return shape[1:]


def _probe(graph: Graph) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.rand((2, *graph.shape), generator=generator)


def _sizes(module: GraphModule, batch: int) -> None:
    """Runs shapes only, so that a small file cannot ask for a huge tensor."""
    ghosts = {name: weight.to("meta") for name, weight in module.named_parameters()}
    picture = torch.zeros((batch, *module.graph.shape), device="meta")
    torch.func.functional_call(module, ghosts, (picture,))
