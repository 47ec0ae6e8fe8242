"""How pictures lie in memory while a network learns: their channels together, where that is safe.

Kernels are faster so, those of a processor too (``ratio_layout`` of ``mascaron-lab bench train``).
But there torch 2.13 (its oneDNN) writes past its memory while it teaches a convolution of 1x1 with
a stride that reads fewer than 16 channels: the process dies, or goes on with spoilt numbers. The
shortcuts of narrow ResNets are such. A network that has one learns plane by plane.
"""

from collections.abc import Iterator

import torch
from torch import nn

from common.models.onnx_import import GraphModule

LEAST = 16  # channels that such a convolution has to read

Shape = tuple[int, ...]


def lay_out(network: nn.Module) -> torch.memory_format:
    """Lays the weights of ``network`` as is best where they are; its pictures must lie alike."""
    layout = torch.channels_last if _safe(network) else torch.contiguous_format
    network.to(memory_format=layout)  # type: ignore[call-overload]
    return layout


def _safe(network: nn.Module) -> bool:
    if any(weight.device.type != "cpu" for weight in network.parameters()):
        return True
    return not any(
        weight[1] < LEAST and max(weight[2:]) == 1 and max(strides) > 1
        for weight, strides in _convolutions(network)
    )


def _convolutions(network: nn.Module) -> Iterator[tuple[Shape, Shape]]:
    """The shapes of weights (outputs, inputs of a group, *kernel), and the strides."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            yield tuple(module.weight.shape), module.stride
        elif isinstance(module, GraphModule):
            tensors = module.graph.tensors
            for node in module.graph.nodes:
                if node.op == "Conv" and node.inputs[1] in tensors:
                    strides = tuple(node.attributes.get("strides", (1, 1)))
                    yield tensors[node.inputs[1]].shape, strides
