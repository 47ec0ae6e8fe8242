"""A folded network of the registry as a ``Graph``, so that onnxruntime can run it.

Traced with torch.fx: these networks are layers, sums and flattenings, and each is one ONNX
operator. No exporter package is needed.
"""

import operator
from typing import Any

import numpy as np
import torch
from torch import fx, nn

from common.errors import ModelError
from common.models.affine import ChannelAffine
from common.models.onnx_graph import Graph
from common.models.onnx_operators import Node

OPSET = 17


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, ChannelAffine) or super().is_leaf_module(m, module_qualified_name)


class _Writer:
    """Collects nodes and weights; tensors are called by the module that makes them."""

    def __init__(self, model: nn.Module) -> None:
        self.modules = dict(model.named_modules())
        self.nodes: list[Node] = []
        self.tensors: dict[str, np.ndarray[Any, Any]] = {}

    def add(self, op: str, inputs: list[str], name: str, **attributes: Any) -> str:
        self.nodes.append(Node(op, name, tuple(inputs), (name,), attributes))
        return name

    def weight(self, name: str, tensor: torch.Tensor) -> str:
        self.tensors[name] = tensor.detach().numpy()
        return name

    def module(self, target: str, source: str, name: str) -> str:
        layer = self.modules[target]
        if isinstance(layer, nn.Conv2d):
            return self._conv(layer, target, source, name)
        if isinstance(layer, nn.Linear):
            inputs = [source, self.weight(f"{target}.weight", layer.weight)]
            if layer.bias is not None:
                inputs.append(self.weight(f"{target}.bias", layer.bias))
            return self.add("Gemm", inputs, name, transB=1)
        if isinstance(layer, ChannelAffine):
            return self._affine(layer, target, source, name)
        if isinstance(layer, nn.ReLU):
            return self.add("Relu", [source], name)
        if isinstance(layer, nn.Flatten) and layer.start_dim == 1 and layer.end_dim == -1:
            return self.add("Flatten", [source], name, axis=1)
        if isinstance(layer, nn.Identity | nn.Dropout):
            return source
        raise ModelError(f"{target}: a {type(layer).__name__} cannot be exported")

    def _affine(self, layer: ChannelAffine, target: str, source: str, name: str) -> str:
        """A convolution of one pixel and channel: onnxruntime keeps it among its neighbours, where
        a product and a sum would make it change the layout of the map and back (5 % of IResNet18).
        """
        scale = self.weight(f"{target}.weight", layer.weight[:, None, None, None])
        shift = self.weight(f"{target}.bias", layer.bias)
        return self.add("Conv", [source, scale, shift], name, group=len(layer.bias))

    def _conv(self, layer: nn.Conv2d, target: str, source: str, name: str) -> str:
        if isinstance(layer.padding, str) or layer.padding_mode != "zeros":
            raise ModelError(f"{target}: only zero padding can be exported")
        inputs = [source, self.weight(f"{target}.weight", layer.weight)]
        if layer.bias is not None:
            inputs.append(self.weight(f"{target}.bias", layer.bias))
        attributes = {
            "kernel_shape": list(layer.kernel_size),
            "strides": list(layer.stride),
            "pads": [*layer.padding, *layer.padding],
            "dilations": list(layer.dilation),
            "group": layer.groups,
        }
        return self.add("Conv", inputs, name, **attributes)


def export_graph(model: nn.Module, size: int = 112) -> Graph:
    """The folded ``model``, which takes (B, 3, size, size), as a graph; ``ModelError`` if not."""
    writer = _Writer(model)
    names: dict[fx.Node, str] = {}
    start = end = ""
    for node in _Tracer().trace(model.eval()).nodes:
        if node.op == "placeholder":
            start = names[node] = node.name
        elif node.op == "call_module":
            names[node] = writer.module(node.target, names[node.args[0]], node.name)
        elif node.op == "call_function" and node.target is operator.add:
            names[node] = writer.add("Add", [names[a] for a in node.args], node.name)
        elif node.op == "output":
            end = names[node.args[0]]
        else:
            raise ModelError(f"{node.name}: {node.op} {node.target} cannot be exported")
    return Graph(
        nodes=tuple(writer.nodes),
        tensors=writer.tensors,
        input=start,
        output=end,
        opset=OPSET,
        shape=(3, size, size),
        trainable=frozenset(writer.tensors),
    )
