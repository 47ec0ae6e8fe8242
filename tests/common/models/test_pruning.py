"""Small random networks, pruned: what is left computes what the whole computed without the rest."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from common.errors import ConfigError, ModelError
from common.models.branches import branches_of, shortened, without
from common.models.channels import channels_of
from common.models.choosing import choose, multiplications, work_of
from common.models.fold import fold_batchnorm
from common.models.importance import magnitude, scale, taylor
from common.models.onnx_export import export_graph
from common.models.onnx_graph import Graph, parse_graph
from common.models.onnx_operators import Node, apply
from common.models.pruning import PruneOptions, narrowed, pruned
from common.models.refitting import refitted
from common.models.registry import build
from common.models.runtime import Runtime
from common.models.split import joined
from common.models.tail import Tail

SIDE = 8
BLOCKS = ("residual", "depthwise", "dense", "attention", "grouped", "scaled", "pooled")


class Maker:
    """Writes a graph with random weights, block by block."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.nodes: list[Node] = []
        self.tensors: dict[str, NDArray[Any]] = {}
        self.at, self.width = "x", 3

    def constant(self, *shape: int) -> str:
        name = f"c{len(self.tensors)}"
        self.tensors[name] = (0.4 * self.rng.standard_normal(shape)).astype(np.float32)
        return name

    def add(self, op: str, *inputs: str, **attributes: Any) -> str:
        name = f"n{len(self.nodes)}"
        self.nodes.append(Node(op, name, inputs, (f"{name}:out",), attributes))
        return f"{name}:out"

    def conv(self, source: str, given: int, made: int, kernel: int = 1, group: int = 1) -> str:
        weight = self.constant(made, given // group, kernel, kernel)
        pads = [kernel // 2] * 4
        return self.add("Conv", source, weight, self.constant(made), pads=pads, group=group)

    def residual(self) -> None:
        inner = self.add("Relu", self.conv(self.at, self.width, 5, 3))
        self.at = self.add("Add", self.conv(inner, 5, self.width), self.at)

    def depthwise(self) -> None:
        inner = self.add("PRelu", self.conv(self.at, self.width, 6), self.constant(6, 1, 1))
        inner = self.add("Relu", self.conv(inner, 6, 12, 3, group=6))  # two filters a channel
        self.at, self.width = self.conv(inner, 12, 6), 6

    def dense(self) -> None:
        for _ in range(2):
            grown = self.add("Relu", self.conv(self.at, self.width, 4, 3))
            self.at = self.add("Concat", self.at, grown, axis=1)
            self.width += 4

    def attention(self) -> None:
        asked = self.conv(self.add("GlobalAveragePool", self.at), self.width, 4)
        said = self.conv(self.add("Relu", asked), 4, self.width)
        self.at = self.add("Mul", self.at, self.add("Sigmoid", said))

    def grouped(self) -> None:
        made = self.conv(self.add("Relu", self.conv(self.at, self.width, 6)), 6, 4, 3, group=2)
        self.at, self.width = made, 4

    def scaled(self) -> None:
        made = self.conv(self.at, self.width, 5)
        four = [self.constant(5) for _ in range(4)]
        self.tensors[four[3]] = np.abs(self.tensors[four[3]]) + 1
        made = self.add("BatchNormalization", made, *four)
        self.at, self.width = self.add("Clip", self.add("Mul", made, self.constant(5, 1, 1))), 5

    def pooled(self) -> None:
        self.at = self.add("MaxPool", self.at, kernel_shape=[3, 3], strides=[1, 1], pads=[1] * 4)

    def finished(self) -> Graph:
        flat = self.add("Flatten", self.add("Relu", self.at), axis=1)
        weight = self.constant(7, self.width * SIDE * SIDE)
        end = self.add("Gemm", flat, weight, self.constant(7), transB=1)
        names = frozenset(self.tensors)
        return Graph(tuple(self.nodes), self.tensors, "x", end, 17, (3, SIDE, SIDE), names)


def network(*blocks: str, seed: int = 0) -> Graph:
    maker = Maker(seed)
    for block in blocks:
        getattr(maker, block)()
    return maker.finished()


def planes(count: int = 3, side: int = SIDE) -> NDArray[np.float32]:
    return np.random.default_rng(5).standard_normal((count, 3, side, side), dtype=np.float32)


def run(
    graph: Graph, x: NDArray[np.float32], held: Callable[[str, Any], Any] | None = None
) -> NDArray[np.float64]:
    """In float64; ``held`` is shown every tensor that a node makes and says what goes on."""
    tensors: dict[str, Any] = {}
    for name, array in graph.tensors.items():
        exact = torch.from_numpy(np.array(array))
        tensors[name] = exact.double() if exact.is_floating_point() else exact
    values = {**tensors, graph.input: torch.from_numpy(x).double()}
    for node in graph.nodes:
        made = apply(node, [values[name] for name in node.inputs])
        values[node.outputs[0]] = held(node.outputs[0], made) if held else made
    return np.asarray(values[graph.output])


def masked(graph: Graph, stay: NDArray[np.bool_], x: NDArray[np.float32]) -> NDArray[np.float64]:
    """What the whole network computes while the units that do not stay are held at zero."""
    units = channels_of(graph).of

    def held(name: str, made: Any) -> Any:
        if name not in units:
            return made
        mask = torch.from_numpy(stay[units[name]]).to(made)
        return made * mask.reshape(1, -1, *[1] * (made.dim() - 2))

    return run(graph, x, held)


def some(graph: Graph, seed: int, share: float = 0.5) -> NDArray[np.bool_]:
    """A random half of the units that may go, one of each family and each tensor staying."""
    channels = channels_of(graph)
    stay = np.random.default_rng(seed).random(len(channels.family)) > share
    stay[channels.fixed] = True
    for number in np.unique(channels.family):
        stay[np.flatnonzero(channels.family == number)[0]] = True
    for units in channels.of.values():
        stay[units[0]] |= not stay[units].any()
    return stay


@settings(max_examples=15, deadline=None)
@given(st.lists(st.sampled_from(BLOCKS), min_size=1, max_size=5), st.integers(0, 1 << 20))
@example(["depthwise", "dense", "residual"], 482)  # of one family, a layer that may go whole
def test_a_narrowed_network_computes_what_the_whole_did_with_those_channels_at_zero(
    blocks: list[str], seed: int
) -> None:
    graph = network(*blocks, seed=seed)
    stay = some(graph, seed)
    small = narrowed(graph, channels_of(graph), stay)
    assert np.allclose(run(small, planes()), masked(graph, stay, planes()), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", ["tiny", "mobilefacenet"])
def test_networks_of_the_registry_are_really_smaller_and_run_in_the_runtime(name: str) -> None:
    graph = export_graph(fold_batchnorm(build(name, 8, width=0.1)))
    stay = some(graph, 3, share=0.3)
    small = narrowed(graph, channels_of(graph), stay)
    picture = planes(1, 112)
    assert np.allclose(run(small, picture), masked(graph, stay, picture), atol=1e-9)
    assert multiplications(small, channels_of(small)) < multiplications(graph, channels_of(graph))
    again = parse_graph(small.protobuf(), "small")
    made = Runtime(again, single=False, threads=1).run(picture)
    assert np.allclose(made, run(small, picture), atol=1e-3)


def test_a_residual_stage_has_as_many_channels_as_one_of_its_layers() -> None:
    graph = network("depthwise", "residual", "residual")
    channels = channels_of(graph)
    sums = [node.outputs[0] for node in graph.nodes if node.op == "Add"]
    assert np.array_equal(channels.of[sums[0]], channels.of[sums[1]])
    assert np.array_equal(channels.of[sums[0]], channels.of["n4:out"])
    assert channels.fixed.sum() == 3 + 7  # colours and the embedding


def test_what_mixes_channels_in_another_way_is_left_whole() -> None:
    graph = network("grouped")
    channels = channels_of(graph)
    read = graph.nodes[2].inputs[0]
    assert channels.fixed[channels.of[read]].all()


def test_a_branch_that_goes_whole_leaves_what_went_around_it() -> None:
    graph = network("depthwise", "residual", "residual", "attention")
    branches = branches_of(graph)
    assert [len(branch.nodes) for branch in branches] == [3, 3]
    small = without(graph, branches)
    assert len(small.nodes) == len(graph.nodes) - 2 * 4
    said = {branch.said for branch in branches}
    held = run(graph, planes(), lambda name, made: 0 * made if name in said else made)
    assert np.allclose(run(small, planes()), held, atol=1e-12)
    with pytest.raises(ModelError, match="2 branches"):
        shortened(graph, planes(), 3, single=False)


def test_the_branch_that_says_nothing_goes_first() -> None:
    graph = network("depthwise", "residual", "residual")
    silent = branches_of(graph)[1]
    last = next(node for node in graph.nodes if node.outputs[0] == silent.said)
    tensors = {**graph.tensors, **{n: 0 * graph.tensors[n] for n in last.inputs[1:]}}
    graph = dataclasses.replace(graph, tensors=tensors)
    small = shortened(graph, planes(8), 1, single=False)
    assert silent.join not in {node.name for node in small.nodes}
    assert np.allclose(run(small, planes()), run(graph, planes()), atol=1e-12)


def test_a_fixed_channel_cannot_be_taken_out() -> None:
    graph = network("residual")
    stay = some(graph, 0)
    stay[channels_of(graph).of[graph.output]] = False
    with pytest.raises(ValueError, match="fixed"):
        narrowed(graph, channels_of(graph), stay)


def test_keeping_everything_is_the_same_network() -> None:
    graph = network("depthwise", "dense")
    assert pruned(graph, planes(), PruneOptions(keep=1)) is graph
    channels = channels_of(graph)
    everything = np.ones(len(channels.family), np.bool_)
    assert narrowed(graph, channels, everything) is graph
    assert refitted(graph, graph, channels, everything, planes()) is graph
    assert shortened(graph, planes(), 0, single=False) is graph


@settings(max_examples=15, deadline=None)
@given(st.floats(0.6, 1), st.integers(1, 2), st.integers(0, 1 << 16))
def test_families_lose_whole_blocks_until_the_work_is_within_the_goal(
    keep: float, block: int, seed: int
) -> None:
    graph = network("depthwise", "residual", "residual", "dense")
    channels = channels_of(graph)
    worth = np.random.default_rng(seed).random(len(channels.family))
    goal = keep * work_of(graph, channels)
    stay = choose(graph, channels, worth, goal, block=block)
    small = narrowed(graph, channels, stay)
    assert work_of(small, channels_of(small)) <= goal + 1e-6
    for number in np.unique(channels.family):
        left = stay[channels.family == number]
        assert left.all() or (left.sum() % block == 0 and left.sum() > 0)


def test_no_layer_is_left_with_nothing_to_write() -> None:
    graph = network("depthwise", "dense", "residual")  # the sum ties layers that stand side by side
    channels = channels_of(graph)
    grown = next(node for node in graph.nodes if node.op == "Concat").inputs[1]
    worth = np.ones(len(channels.family))
    worth[channels.of[grown]] = 0
    stay = choose(graph, channels, worth, 0.7 * work_of(graph, channels), block=1)
    assert all(stay[units].any() for units in channels.of.values())
    assert not stay[channels.of[grown]].all()
    small = narrowed(graph, channels, stay)
    assert np.allclose(run(small, planes()), masked(graph, stay, planes()), rtol=1e-9, atol=1e-9)


def test_of_equal_cost_the_least_worth_go_first() -> None:
    graph = network("depthwise")
    channels = channels_of(graph)
    worth = np.arange(len(channels.family), dtype=float)
    stay = choose(graph, channels, worth, 0.7 * work_of(graph, channels), block=1)
    for number in np.unique(channels.family[~stay]):
        units = np.flatnonzero(channels.family == number)
        assert worth[units[~stay[units]]].max() < worth[units[stay[units]]].min()


def test_too_little_to_keep_is_told() -> None:
    graph = network("residual")
    channels = channels_of(graph)
    with pytest.raises(ModelError, match="no more channels"):
        choose(graph, channels, np.ones(len(channels.family)), 0.0)
    with pytest.raises(ConfigError, match="keep"):
        PruneOptions(keep=0)


def deaf(graph: Graph, node: Node, channel: int) -> Graph:
    """``graph`` whose layer ``node`` does not listen to one channel of what it reads."""
    weight = np.array(graph.tensors[node.inputs[1]])
    weight[:, channel] = 0
    return dataclasses.replace(graph, tensors={**graph.tensors, node.inputs[1]: weight})


@pytest.mark.parametrize("measure", [taylor, magnitude])
def test_a_channel_that_nobody_listens_to_is_worth_least(measure: Callable[..., Any]) -> None:
    graph = network("depthwise", seed=4)
    reader = graph.nodes[4]
    graph = deaf(deaf(graph, reader, 2), reader, 3)  # both filters of channel 1
    channels = channels_of(graph)
    worth = measure(graph, channels, planes(8), 0)
    inner = np.unique(channels.of[reader.inputs[0]])
    assert inner[np.argmin(worth[inner])] == channels.of[reader.inputs[0]][2]
    if measure is taylor:
        assert worth[channels.of[reader.inputs[0]][2]] == 0


def test_factors_of_batchnorm_are_a_measure_where_there_are_some() -> None:
    graph = network("scaled")
    channels = channels_of(graph)
    factors = np.abs(graph.tensors[graph.nodes[1].inputs[1]])
    worth = scale(graph, channels, planes(), 0)
    assert np.allclose(worth[channels.of[graph.nodes[0].outputs[0]]], factors)
    with pytest.raises(ModelError, match="BatchNorm"):
        scale(network("residual"), channels_of(network("residual")), planes(), 0)


def test_refitting_brings_back_what_the_channels_left_can_say() -> None:
    graph = network("depthwise", "residual", seed=9)
    first, filters, reader = graph.nodes[0], graph.nodes[2], graph.nodes[4]
    tensors = {name: np.array(array) for name, array in graph.tensors.items()}
    for name in (*first.inputs[1:], graph.nodes[1].inputs[1]):
        tensors[name][3:] = tensors[name][:3]  # three channels are told twice
    for name in filters.inputs[1:]:
        tensors[name][6:] = tensors[name][:6]
    graph = dataclasses.replace(graph, tensors=tensors)
    channels = channels_of(graph)
    stay = np.ones(len(channels.family), np.bool_)
    stay[channels.of[first.outputs[0]][3:]] = False
    cut = narrowed(graph, channels, stay)
    again = refitted(cut, graph, channels, stay, planes(64))
    assert reader.inputs[1] not in again.tensors
    whole = run(graph, planes(8))
    lost, left = (np.abs(run(g, planes(8)) - whole).mean() for g in (cut, again))
    assert left < 0.05 * lost


def test_pruning_in_rounds_meets_the_goal_and_keeps_the_embedding() -> None:
    graph = joined(
        network("depthwise", "residual", "dense", seed=2),
        Tail(np.eye(7, dtype=np.float32), np.zeros(7, np.float32)),
    )
    options = PruneOptions(keep=0.6, branches=1, rounds=2, block=1)
    small = pruned(graph, planes(24), options)
    again = pruned(graph, planes(24), options)
    assert work_of(small, channels_of(small)) <= 0.6 * work_of(graph, channels_of(graph)) + 1e-6
    assert run(small, planes()).shape == run(graph, planes()).shape
    assert small.protobuf() == again.protobuf()
