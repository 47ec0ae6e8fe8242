"""Networks that look at less of the picture: blind to its edges, and right about the rest."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from common.errors import ConfigError, ModelError
from common.models import framing
from common.models.channels import channels_of
from common.models.choosing import multiplications, work_of
from common.models.fold import fold_batchnorm
from common.models.framing import Frame, framed
from common.models.onnx_export import export_graph
from common.models.onnx_graph import Graph, parse_graph
from common.models.onnx_import import build_module
from common.models.onnx_operators import Node
from common.models.pruning import PruneOptions, pruned
from common.models.registry import build
from common.models.runtime import Runtime

SIDE, COARSE = 8, 4  # pixels, and places: two pixels each
ENDS = ("columns", "rows", "everywhere", "reshaped")

Planes = NDArray[np.float32]


def network(end: str, seed: int = 0) -> Graph:
    """Two by two pixels at a time, without a bias: what is black says nothing."""
    rng = np.random.default_rng(seed)
    tensors: dict[str, NDArray[Any]] = {}

    def constant(*shape: int) -> str:
        tensors[f"c{len(tensors)}"] = rng.standard_normal(shape).astype(np.float32)
        return f"c{len(tensors) - 1}"

    look = Node("Conv", "look", ("x", constant(5, 3, 2, 2)), ("map",), {"strides": [2, 2]})
    nodes = [look, Node("Relu", "relu", ("map",), ("seen",))]
    size = 5 * COARSE * COARSE
    if end == "everywhere":
        globe = {"group": 5, "kernel_shape": [COARSE, COARSE]}
        nodes.append(
            Node("Conv", "globe", ("seen", constant(5, 1, COARSE, COARSE)), ("one",), globe)
        )
        size = 5
    if end == "averaged":
        pool = {"kernel_shape": [COARSE, COARSE]}
        nodes.append(Node("AveragePool", "mean", ("seen",), ("one",), pool))
        size = 5
    source = nodes[-1].outputs[0]
    if end == "reshaped":
        tensors["shape"] = np.array([1, size], np.int64)
        nodes.append(Node("Reshape", "flat", (source, "shape"), ("flat",)))
    else:
        nodes.append(Node("Flatten", "flat", (source,), ("flat",), {"axis": 1}))
    weight = constant(size, 4) if end == "columns" else constant(4, size)
    how = {} if end == "columns" else {"transB": 1}
    op = "MatMul" if end == "columns" else "Gemm"
    inputs = ("flat", weight) if op == "MatMul" else ("flat", weight, constant(4))
    nodes.append(Node(op, "end", inputs, ("said",), how))
    names = frozenset(tensors)
    return Graph(tuple(nodes), tensors, "x", "said", 17, (3, SIDE, SIDE), names)


def planes(count: int = 6, side: int = SIDE) -> Planes:
    return np.random.default_rng(5).standard_normal((count, 3, side, side), dtype=np.float32)


def black(pictures: Planes, frame: Frame) -> Planes:
    """``pictures`` with nothing to be seen in their frame."""
    top, right, bottom, left = frame
    side = pictures.shape[-1]
    made = np.zeros_like(pictures)
    inside = (..., slice(top, side - bottom), slice(left, side - right))
    made[inside] = pictures[inside]
    return made


def said(graph: Graph, pictures: Planes) -> Planes:
    return Runtime(graph, single=True, threads=1).run(pictures)


frames = st.tuples(*[st.sampled_from([0, 2, 4])] * 4).filter(
    lambda frame: max(frame[0] + frame[2], frame[1] + frame[3]) < SIDE
)


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(ENDS), frames, st.integers(0, 1 << 16))
def test_of_a_picture_with_a_black_frame_it_says_what_the_whole_says(
    end: str, frame: Frame, seed: int
) -> None:
    graph = network(end, seed)
    pictures = black(planes(), frame)
    small = framed(graph, frame, pictures, single=True)
    assert np.allclose(said(small, pictures), said(graph, pictures), rtol=1e-3, atol=1e-3)


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(ENDS), frames, st.integers(0, 1 << 16))
def test_nothing_in_the_frame_changes_what_it_says(end: str, frame: Frame, seed: int) -> None:
    graph = network(end, seed)
    small = framed(graph, frame, planes(), single=True)
    same = np.array_equal(said(small, planes()), said(small, black(planes(), frame)))
    assert same or not any(frame)
    if any(frame):
        whole, left = (multiplications(g, channels_of(g)) for g in (graph, small))
        assert left < whole


def test_a_mean_of_all_places_becomes_one_of_those_that_are_left() -> None:
    graph, frame = network("averaged"), (2, 2, 0, 2)
    pictures = planes()
    small = framed(graph, frame, pictures, single=True)
    assert np.array_equal(said(small, pictures), said(small, black(pictures, frame)))
    (pool,) = (node for node in small.nodes if node.name == "mean")
    assert pool.op == "GlobalAveragePool"
    inner = small.before(pool.outputs[0])
    inside = dataclasses.replace(graph, output="seen").before("seen")
    kept = said(inside, pictures)[:, :, 1:, 1:3]
    assert np.allclose(said(inner, pictures)[..., 0, 0], kept.mean((2, 3)), atol=1e-5)


def test_its_last_layer_makes_up_for_what_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    graph, frame = network("rows"), (2, 0, 2, 0)
    pictures = planes(200)[:, :, 3:4].repeat(SIDE, axis=2)  # what is left tells what is gone
    fitted = framed(graph, frame, pictures, single=True)
    monkeypatch.setattr(framing, "RIDGE", 1e12)
    held = framed(graph, frame, pictures, single=True)
    wanted = said(graph, pictures)
    errors = [float(np.square(said(g, pictures) - wanted).mean()) for g in (fitted, held)]
    assert errors[0] < 0.5 * errors[1]


@pytest.mark.parametrize("name", ["tiny", "mobilefacenet", "iresnet18", "resnet18"])
def test_networks_of_the_registry_do_without_their_sides(name: str) -> None:
    graph = export_graph(fold_batchnorm(build(name, 8, width=0.1)))
    pictures = planes(2, 112)
    small = parse_graph(framed(graph, (0, 32, 0, 32), pictures).protobuf(), name)
    again = black(pictures, (0, 32, 0, 32))
    made = Runtime(small, single=False, threads=1).run(pictures)
    assert np.array_equal(made, Runtime(small, single=False, threads=1).run(again))
    assert multiplications(small, channels_of(small)) < 0.7 * multiplications(
        graph, channels_of(graph)
    )
    with torch.no_grad():
        torched = build_module(small, name)(torch.from_numpy(pictures)).numpy()
    assert np.allclose(torched, made, rtol=1e-3, atol=1e-3)


def test_what_was_framed_before_is_not_framed_again() -> None:
    once = framed(network("rows"), (2, 0, 0, 0), planes(), single=True)
    with pytest.raises(ModelError, match="framed before"):
        framed(once, (0, 0, 0, 2), planes(), single=True)


def test_no_frame_is_the_same_network_and_others_are_counted_from_what_it_leaves() -> None:
    graph = network("everywhere")
    assert framed(graph, (0, 0, 0, 0), planes()) is graph
    seen = pruned(graph, planes(), PruneOptions(keep=1, frame=(0, 2, 0, 2)), single=True)
    assert work_of(seen, channels_of(seen)) < work_of(graph, channels_of(graph))
    options = PruneOptions(keep=0.7, frame=(0, 2, 0, 2), rounds=1, block=1)
    small = pruned(graph, planes(), options, single=True)
    assert work_of(small, channels_of(small)) <= 0.7 * work_of(seen, channels_of(seen)) + 1e-6


@pytest.mark.parametrize(
    ("frame", "told"),
    [
        ((0, 1, 0, 0), "whole places"),
        ((4, 0, 4, 0), "no frame"),
        ((0, 0, -2, 0), "no frame"),
    ],
)
def test_frames_that_leave_no_whole_places_are_refused(frame: Frame, told: str) -> None:
    with pytest.raises(ModelError, match=told):
        framed(network("rows"), frame, planes(), single=True)
    if min(frame) < 0:
        with pytest.raises(ConfigError, match="frame"):
            PruneOptions(frame=frame)


def test_networks_that_cannot_do_without_a_frame_are_refused() -> None:
    graph, frame = network("rows"), (2, 0, 0, 0)
    with pytest.raises(ModelError, match="no frame"):
        framed(dataclasses.replace(graph, opset=9), frame, planes(), single=True)
    place = np.zeros((1, 5, COARSE, COARSE), np.float32)  # something for each place, added
    added = Node("Add", "added", ("seen", "place"), ("moved",))
    nodes = (*graph.nodes[:2], added, dataclasses.replace(graph.nodes[2], inputs=("moved",)))
    fixed = dataclasses.replace(
        graph, nodes=(*nodes, *graph.nodes[3:]), tensors={**graph.tensors, "place": place}
    )
    with pytest.raises(ModelError, match="'added' cannot do without"):
        framed(fixed, frame, planes(), single=True)
    curved = Node("Tanh", "curved", ("said",), ("bent",))
    bent = dataclasses.replace(graph, nodes=(*graph.nodes, curved), output="bent")
    with pytest.raises(ModelError, match="linear layer"):
        framed(bent, frame, planes(), single=True)
    odd = export_graph(fold_batchnorm(build("vgg16", 8, width=0.05)))  # 112 pixels, 3 places
    with pytest.raises(ModelError, match="whole places"):
        framed(odd, (0, 32, 0, 32), planes(1, 112))
