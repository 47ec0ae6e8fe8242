"""After channels are gone: every layer fitted anew to what it gave before, by least squares.

Layer after layer, in order: of what the smaller network now gives it, a layer is to make what the
same layer made in the whole network (He et al. 2017, arXiv:1707.06168). That is one linear system
a layer, over places of public pictures; the solution is held to the old weights where pictures say
little. No gradient, no rate, and most of what pruning cost is back before any training.
"""

import dataclasses
from collections import Counter

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from common.models.channels import Channels, axes_of, reads_all
from common.models.onnx_graph import Graph, Tensors
from common.models.onnx_operators import Node, apply

RIDGE = 1e-3  # of the mean square of what a layer reads: how firmly it is held to its weights
_CHUNK = 16  # pictures at a time
_ROWS = 4  # places for each number to be found, at least

Planes = NDArray[np.float32]
Mask = NDArray[np.bool_]
Parts = list[Tensor]


def refitted(
    small: Graph, whole: Graph, channels: Channels, keep: Mask, planes: Planes, seed: int = 0
) -> Graph:
    """``small`` with its layers fitted anew to what they gave in ``whole``.

    It is ``whole``, or ``whole`` without some branches, narrowed to the units ``keep`` (U,) of the
    ``channels`` that it had before. ``planes`` (B, *whole.shape) are public pictures; a tensor's
    values over all of them are held at a time. Where nothing is gone nothing is fitted.
    """
    if small is whole:
        return small
    pictures = [torch.from_numpy(planes[i : i + _CHUNK]) for i in range(0, len(planes), _CHUNK)]
    before, after = _Walk(whole, pictures), _Walk(small, pictures)
    generator = torch.Generator().manual_seed(seed)
    tensors, trainable = dict(small.tensors), set(small.trainable)
    nodes = []
    with torch.no_grad():
        left = {node.name: node for node in small.nodes}
        for old in whole.nodes:
            wanted = before.step(old)
            node = left.get(old.name)
            if node is None:
                continue
            if reads_all(node, small):
                units = channels.of[old.outputs[0]]
                goal = [part[:, torch.from_numpy(keep[units])] for part in wanted]
                places = _places(node, tensors, after.given(node), goal, generator)
                node, new = fitted(node, tensors, *places)
                tensors |= new
                trainable |= set(new)
                after.learn(new)
            nodes.append(node)
            after.step(node)
    used = {name for node in nodes for name in node.inputs}
    return dataclasses.replace(
        small,
        nodes=tuple(nodes),
        tensors={name: value for name, value in tensors.items() if name in used},
        trainable=frozenset(trainable & used),
    )


def fitted(
    node: Node, tensors: Tensors, rows: Tensor, wanted: Tensor, ridge: float = RIDGE
) -> tuple[Node, dict[str, NDArray[np.generic]]]:
    """The layer ``node``, which reads all, with new weights, and those.

    Of ``rows`` (R, inputs) it is to make ``wanted`` (R, outputs), both in float64; ``ridge`` times
    the mean square of what it reads holds it to its weights.
    """
    weight = torch.from_numpy(np.array(tensors[node.inputs[1]])).double()
    outputs = axes_of(node)[0]
    start = (weight if outputs == 0 else weight.T).flatten(1)  # (outputs, inputs)
    biased = len(node.inputs) > 2
    if biased:
        bias = torch.from_numpy(np.array(tensors[node.inputs[2]])).double().reshape(-1)
        start = torch.cat([start, bias.expand(len(start))[:, None]], 1)
        rows = F.pad(rows, (0, 1), value=1.0)
    gram = rows.T @ rows / len(rows)
    hold = ridge * gram.diagonal().mean()
    gram.diagonal().add_(hold)
    short = (wanted - rows @ start.T).T @ rows / len(rows)  # (outputs, inputs)
    found = start + torch.linalg.solve(gram, short.T).T
    new = {f"{node.name}:fit1": found[:, :-1] if biased else found}
    shaped = new[f"{node.name}:fit1"]
    made: dict[str, NDArray[np.generic]] = {
        f"{node.name}:fit1": (shaped if outputs == 0 else shaped.T)
        .reshape(weight.shape)
        .float()
        .contiguous()
        .numpy()
    }
    if biased:
        made[f"{node.name}:fit2"] = found[:, -1].float().contiguous().numpy()
    return dataclasses.replace(node, inputs=(node.inputs[0], *made)), made


def _places(
    node: Node, tensors: Tensors, given: Parts, goal: Parts, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """What the layer reads at some places (R, inputs), and what it is to make (R, outputs)."""
    if node.op != "Conv":
        return torch.cat(given).double(), torch.cat(goal).double()
    weight = torch.from_numpy(np.array(tensors[node.inputs[1]]))
    least = _ROWS * weight[0].numel()
    places = goal[0].shape[2] * goal[0].shape[3]
    pictures = sum(len(part) for part in goal)
    each = min(places, max(8, -(-least // pictures)))
    rows, wanted = [], []
    for x, y in zip(given, goal, strict=True):
        at = torch.randint(places, (len(x), each), generator=generator)
        rows.append(_patches(node, weight, x, at))
        wanted.append(_taken(y.flatten(2), at))
    return torch.cat(rows).double(), torch.cat(wanted).double()


def _patches(node: Node, weight: Tensor, x: Tensor, at: Tensor) -> Tensor:
    top, left, bottom, right = node.attributes.get("pads", [0, 0, 0, 0])
    padded = F.pad(x, (left, right, top, bottom))
    stride = node.attributes.get("strides", [1, 1])
    if weight.shape[2:] == (1, 1):
        seen = padded[:, :, :: stride[0], :: stride[1]].flatten(2)
    else:
        dilation = node.attributes.get("dilations", [1, 1])
        seen = F.unfold(padded, tuple(weight.shape[2:]), tuple(dilation), 0, tuple(stride))
    return _taken(seen, at)


def _taken(values: Tensor, at: Tensor) -> Tensor:
    """(B, C, P) at the places (B, R) -> (B * R, C)."""
    index = at[:, None].expand(-1, values.shape[1], -1)
    return values.gather(2, index).transpose(1, 2).flatten(0, 1)


class _Walk:
    """Runs a graph node by node over all pictures, forgetting what nobody reads any more."""

    def __init__(self, graph: Graph, pictures: Parts) -> None:
        self._constants = {k: torch.from_numpy(np.array(v)) for k, v in graph.tensors.items()}
        self._values: dict[str, Parts] = {graph.input: pictures}
        self._left = Counter(name for node in graph.nodes for name in node.inputs)
        self._count = len(pictures)

    def given(self, node: Node) -> Parts:
        return self._values[node.inputs[0]]

    def learn(self, new: dict[str, NDArray[np.generic]]) -> None:
        self._constants |= {k: torch.from_numpy(np.array(v)) for k, v in new.items()}

    def step(self, node: Node) -> Parts:
        made = [
            apply(
                node,
                [
                    self._values[name][part] if name in self._values else self._constants.get(name)
                    for name in node.inputs
                ],
            )
            for part in range(self._count)
        ]
        self._values[node.outputs[0]] = made
        for name in node.inputs:
            self._left[name] -= 1
            if not self._left[name]:
                self._values.pop(name, None)
        return made
