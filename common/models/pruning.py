"""Taking whole channels out of a network, so that it is really smaller and not full of zeros.

In rounds: what each channel is worth is asked of the network as it then is (``importance``), the
least worth for their work go (``choosing``), and the layers that are left are fitted to what they
gave in the whole network (``refitting``). Before fitting, what is left computes exactly what the
network computed with those channels held at zero.
"""

import dataclasses
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.errors import ConfigError
from common.models.branches import shortened
from common.models.channels import Channels, Slice, channels_of
from common.models.choosing import BLOCK, Mask, choose, work_of
from common.models.framing import Frame, framed
from common.models.importance import MEASURES
from common.models.onnx_graph import Graph
from common.models.onnx_operators import Node
from common.models.refitting import refitted

_TRIED = 32  # pictures that branches are tried on

Planes = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, slots=True)
class PruneOptions:
    """How much stays, and how it is decided what does."""

    keep: float = 0.6  # of the work that ``frame`` leaves, see ``choosing``
    frame: Frame = (0, 0, 0, 0)  # pixels that are no longer looked at, see ``framing``
    branches: int = 0  # residual ones that go whole, before any channel does
    measure: str = "taylor"
    rounds: int = 4
    block: int = BLOCK  # channels that go together
    pictures: int = 192  # public ones that are asked, at most
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.keep <= 1:
            raise ConfigError(f"keep must be in (0, 1], got {self.keep:g}")
        if self.measure not in MEASURES:
            raise ConfigError(f"no measure {self.measure!r}; known: {', '.join(MEASURES)}")
        if len(self.frame) != 4 or min(self.frame) < 0:
            raise ConfigError("frame must be four numbers of pixels, none of them negative")
        if min(self.rounds, self.block, self.pictures) < 1 or self.branches < 0:
            raise ConfigError("rounds, block and pictures must be positive, branches not negative")


def pruned(graph: Graph, planes: Planes, options: PruneOptions, *, single: bool = False) -> Graph:
    """``graph``, which ends in the embedding, without what ``options`` say; else as it is.

    ``planes`` (B, *graph.shape) are public pictures; ``single``: the network takes one at a time.
    Raises ``ModelError`` where so much cannot go.
    """
    graph = framed(graph, options.frame, planes, single=single)
    if options.keep == 1 and not options.branches:
        return graph
    work = work_of(graph, channels_of(graph))
    short = shortened(graph, planes[:_TRIED], options.branches, single=single)
    channels = channels_of(short)
    stay, now = np.ones(len(channels.family), np.bool_), short
    for number in range(1, options.rounds + 1):
        its_channels = channels_of(now)
        found = MEASURES[options.measure](now, its_channels, planes, options.seed + number)
        worth = np.full(len(stay), np.inf)
        for name, units in its_channels.of.items():
            whole = channels.of[name]
            worth[whole[stay[whole]]] = found[units]
        goal = work * options.keep ** (number / options.rounds)
        stay = choose(short, channels, worth, goal, block=options.block, among=stay)
        now = narrowed(short, channels, stay)
        now = refitted(now, graph, channels, stay, planes, options.seed + number)
    return now


def narrowed(graph: Graph, channels: Channels, keep: Mask) -> Graph:
    """``graph`` without the units that ``keep`` (U,) leaves out."""
    if (channels.fixed & ~keep).any():
        raise ValueError("a channel that is fixed cannot go")
    if keep.all():
        return graph
    cuts: dict[tuple[str, int], list[Slice]] = {}
    for cut in channels.slices:
        cuts.setdefault((cut.node, cut.position), []).append(cut)
    tensors, nodes, made = dict(graph.tensors), [], set(graph.trainable)
    for node in graph.nodes:
        inputs = list(node.inputs)
        for position, name in enumerate(node.inputs):
            array = tensors.get(name)
            for cut in cuts.get((node.name, position), []):
                array = np.compress(keep[cut.units], array, axis=cut.axis)  # type: ignore[arg-type]
            if array is not None and (node.name, position) in cuts:
                inputs[position] = f"{node.name}:kept{position}"
                tensors[inputs[position]] = np.ascontiguousarray(array)
                if name in graph.trainable:
                    made.add(inputs[position])
        nodes.append(_mended(dataclasses.replace(node, inputs=tuple(inputs)), channels, keep))
    used = {name for node in nodes for name in node.inputs}
    tensors = {name: value for name, value in tensors.items() if name in used}
    trainable = frozenset(made & used)
    return dataclasses.replace(graph, nodes=tuple(nodes), tensors=tensors, trainable=trainable)


def _mended(node: Node, channels: Channels, keep: Mask) -> Node:
    """``node`` with the counts of channels that are written into it as they now are."""
    units = channels.of.get(node.inputs[0]) if node.inputs else None
    if units is None or keep[units].all():
        return node
    if node.op == "Conv" and node.attributes.get("group", 1) == len(units):
        attributes = {**node.attributes, "group": int(keep[units].sum())}
        return dataclasses.replace(node, attributes=attributes)
    if node.op == "Reshape" and len(channels.shapes[node.outputs[0]]) == 2:
        return Node("Flatten", node.name, node.inputs[:1], node.outputs, {"axis": 1})
    return node
