"""A folded network of the registry as a ``Graph``, so that onnxruntime can run it.

Traced with torch.fx: these networks are layers, sums, parts set side by side and flattenings, and
each is one ONNX operator (attention is a few). No exporter package is needed.
"""

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import fx, nn

from common.errors import ModelError
from common.models.affine import ChannelAffine
from common.models.attention import LEAST, ChannelAttention
from common.models.onnx_graph import Graph
from common.models.onnx_operators import Node

OPSET = 17
_WHOLE = (ChannelAffine, ChannelAttention)  # modules that are not looked into


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, _WHOLE) or super().is_leaf_module(m, module_qualified_name)


class _Writer:
    """Collects nodes and weights; tensors are called by the module that makes them."""

    def __init__(self, model: nn.Module) -> None:
        self.modules = dict(model.named_modules())
        self.nodes: list[Node] = []
        self.tensors: dict[str, np.ndarray[Any, Any]] = {}
        self.names: dict[fx.Node, str] = {}  # of what each traced node makes

    def write(self, node: fx.Node) -> str:
        """The operators of one traced ``node``; the name of the tensor they make."""
        sources = [self.names[source] for source in node.all_input_nodes]
        if node.op == "call_module":
            return self._module(str(node.target), sources, node.name)
        if node.op == "call_function" and node.target is operator.add and len(sources) == 2:
            return self._add("Add", sources, node.name)
        if node.op == "call_function" and node.target is operator.mul:
            return self._scaled(node, sources)
        if node.op == "call_function" and node.target is torch.cat:
            return self._add("Concat", sources, node.name, axis=node.args[1])
        if node.op == "call_method" and node.target == "narrow":
            return self._slice(node, sources)
        raise ModelError(f"{node.name}: {node.op} {node.target} cannot be exported")

    def _add(self, op: str, inputs: list[str], name: str, **attributes: Any) -> str:
        self.nodes.append(Node(op, name, tuple(inputs), (name,), attributes))
        return name

    def _weight(self, name: str, tensor: torch.Tensor) -> str:
        self.tensors[name] = tensor.detach().numpy()
        return name

    def _constant(self, name: str, value: Any, kind: type[np.generic]) -> str:
        self.tensors[name] = np.array(value, kind)
        return name

    def _module(self, target: str, sources: list[str], name: str) -> str:
        layer = self.modules[target]
        if isinstance(layer, ChannelAttention):
            return self._attention(layer, target, sources, name)
        (source,) = sources
        for kind, write in self._layers().items():
            if isinstance(layer, kind):
                return write(layer, target, source, name)
        if isinstance(layer, nn.ReLU):
            return self._add("Relu", [source], name)
        if isinstance(layer, nn.AdaptiveAvgPool2d) and layer.output_size in (1, (1, 1)):
            return self._add("GlobalAveragePool", [source], name)
        if isinstance(layer, nn.Identity | nn.Dropout):
            return source
        raise ModelError(f"{target}: a {type(layer).__name__} cannot be exported")

    def _layers(self) -> dict[type[nn.Module], Callable[[Any, str, str, str], str]]:
        return {
            nn.Conv2d: self._conv,
            nn.Linear: self._linear,
            nn.Flatten: self._flatten,
            ChannelAffine: self._affine,
            nn.MaxPool2d: self._pool,
            nn.AvgPool2d: self._pool,
        }

    def _linear(self, layer: nn.Linear, target: str, source: str, name: str) -> str:
        inputs = [source, self._weight(f"{target}.weight", layer.weight)]
        if layer.bias is not None:
            inputs.append(self._weight(f"{target}.bias", layer.bias))
        return self._add("Gemm", inputs, name, transB=1)

    def _flatten(self, layer: nn.Flatten, target: str, source: str, name: str) -> str:
        if (layer.start_dim, layer.end_dim) == (1, -1):
            return self._add("Flatten", [source], name, axis=1)
        if (layer.start_dim, layer.end_dim) == (2, -1):  # a row for each channel
            rows = self._constant(f"{name}.shape", [0, 0, -1], np.int64)
            return self._add("Reshape", [source, rows], name)
        raise ModelError(f"{target}: this Flatten cannot be exported")

    def _affine(self, layer: ChannelAffine, target: str, source: str, name: str) -> str:
        """A convolution of one pixel and channel: onnxruntime keeps it among its neighbours, where
        a product and a sum would make it change the layout of the map and back (5 % of IResNet18).
        """
        scale = self._weight(f"{target}.weight", layer.weight[:, None, None, None])
        shift = self._weight(f"{target}.bias", layer.bias)
        return self._add("Conv", [source, scale, shift], name, group=len(layer.bias))

    def _conv(self, layer: nn.Conv2d, target: str, source: str, name: str) -> str:
        if isinstance(layer.padding, str) or layer.padding_mode != "zeros":
            raise ModelError(f"{target}: only zero padding can be exported")
        inputs = [source, self._weight(f"{target}.weight", layer.weight)]
        if layer.bias is not None:
            inputs.append(self._weight(f"{target}.bias", layer.bias))
        attributes = {
            "kernel_shape": list(layer.kernel_size),
            "strides": list(layer.stride),
            "pads": [*layer.padding, *layer.padding],
            "dilations": list(layer.dilation),
            "group": layer.groups,
        }
        return self._add("Conv", inputs, name, **attributes)

    def _pool(self, layer: nn.MaxPool2d | nn.AvgPool2d, target: str, source: str, name: str) -> str:
        if layer.ceil_mode or getattr(layer, "dilation", 1) != 1:
            raise ModelError(f"{target}: only plain pooling can be exported")
        size, stride, edge = (
            [value, value] if isinstance(value, int) else list(value)
            for value in (layer.kernel_size, layer.stride, layer.padding)
        )
        attributes = {"kernel_shape": size, "strides": stride, "pads": [*edge, *edge]}
        if isinstance(layer, nn.MaxPool2d):
            return self._add("MaxPool", [source], name, **attributes)
        padded = int(layer.count_include_pad)
        return self._add("AveragePool", [source], name, count_include_pad=padded, **attributes)

    def _scaled(self, node: fx.Node, sources: list[str]) -> str:
        """A tensor times a number."""
        factor = node.args[1]
        if len(sources) != 1 or not isinstance(factor, int | float):
            raise ModelError(f"{node.name}: only a product with a number can be exported")
        number = self._constant(f"{node.name}.factor", factor, np.float32)
        return self._add("Mul", [*sources, number], node.name)

    def _slice(self, node: fx.Node, sources: list[str]) -> str:
        """Some channels of a map, one after the other."""
        axis, start, length = (int(number) for number in node.args[1:])  # type: ignore[arg-type]
        bounds = {"start": start, "end": start + length, "axis": axis}
        inputs = [self._constant(f"{node.name}.{k}", [v], np.int64) for k, v in bounds.items()]
        return self._add("Slice", [*sources, *inputs], node.name)

    def _attention(
        self, layer: ChannelAttention, target: str, sources: list[str], name: str
    ) -> str:
        """Channels grouped by head, cosines between them, a softmax, and the map's shape again."""
        grouped = [0, layer.heads, layer.size // layer.heads, -1]
        shape = self._constant(f"{name}.shape", grouped, np.int64)
        least = self._constant(f"{name}.least", LEAST, np.float32)
        groups = [
            self._add("Reshape", [source, shape], f"{name}.group{number}")
            for number, source in enumerate(sources)
        ]
        unit = []
        for group in groups[:2]:
            length = self._add("ReduceL2", [group], f"{group}.length", axes=[-1], keepdims=1)
            length = self._add("Add", [length, least], f"{group}.positive")
            unit.append(self._add("Div", [group, length], f"{group}.unit"))
        told = self._add("Transpose", [unit[1]], f"{name}.told", perm=[0, 1, 3, 2])
        cosine = self._add("MatMul", [unit[0], told], f"{name}.cosine")
        heat = self._weight(f"{target}.temperature", layer.temperature)
        sharp = self._add("Mul", [cosine, heat], f"{name}.sharp")
        weight = self._add("Softmax", [sharp], f"{name}.weight", axis=-1)
        mixed = self._add("MatMul", [weight, groups[2]], f"{name}.mixed")
        whole = self._add("Shape", [sources[2]], f"{name}.whole")
        return self._add("Reshape", [mixed, whole], name)


def export_graph(model: nn.Module, size: int = 112) -> Graph:
    """The folded ``model``, which takes (B, 3, size, size), as a graph; ``ModelError`` if not."""
    writer = _Writer(model)
    start = end = ""
    for node in _Tracer().trace(model.eval()).nodes:
        if node.op == "placeholder":
            start = writer.names[node] = node.name
        elif node.op == "output":
            end = writer.names[node.all_input_nodes[0]]
        else:
            writer.names[node] = writer.write(node)
    return Graph(
        nodes=tuple(writer.nodes),
        tensors=writer.tensors,
        input=start,
        output=end,
        opset=OPSET,
        shape=(3, size, size),
        trainable=frozenset(writer.tensors),
    )
