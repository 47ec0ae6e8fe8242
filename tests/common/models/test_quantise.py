import dataclasses
import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray

from common.errors import ConfigError, DataSetError, DegradedError
from common.faces.crops import StoredCrops
from common.faces.faceset import FaceSet
from common.models import quantise as room
from common.models.manifest import NAME, TrunkManifest
from common.models.onnx_graph import Graph, parse_graph
from common.models.quantise import QuantiseOptions, quantise
from common.models.trunk import load_trunk
from common.models.whole import export_whole
from simulations.benchmarks.quality import STARTER

LOOSE = QuantiseOptions(crops=8, fmr=0.5, drop=1, likeness=0)


def patterns(people: int = 12, pictures: int = 4) -> FaceSet:
    """Blurred noise, each person's pictures alike: nobody's face."""
    rng = np.random.default_rng(3)
    base = rng.integers(40, 215, (people, 1, 14, 14, 3))
    noise = rng.integers(-30, 30, (people, pictures, 14, 14, 3))
    small = (base + noise).clip(0, 255).astype(np.uint8).reshape(-1, 14, 14, 3)
    crops = small.repeat(8, axis=1).repeat(8, axis=2)
    return FaceSet(
        source=StoredCrops(crops),
        person=np.repeat(np.arange(people), pictures),
        names=tuple(map(str, range(people))),
    )


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, room.Quantised]:
    folder = tmp_path_factory.mktemp("int8") / "trunk"
    return folder, quantise(STARTER, patterns(), folder, LOOSE)


def cosines(left: NDArray[Any], right: NDArray[Any]) -> NDArray[Any]:
    norms = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    return np.asarray((left * right).sum(axis=1) / norms)


def test_an_int8_trunk_is_another_trunk_with_nearly_the_same_features_and_the_same_tail(
    small: tuple[Path, room.Quantised],
) -> None:
    folder, made = small
    before, tail = load_trunk(STARTER)
    after, its_tail = load_trunk(folder)
    assert after.hash == made.trunk != before.hash
    assert np.allclose(tail.weight, its_tail.weight, atol=1e-6)
    assert np.allclose(tail.bias, its_tail.bias, atol=1e-6)
    crops = patterns().crops(range(12))
    features = after.features(crops)
    assert cosines(features, before.features(crops)).min() > 0.98
    assert len(np.unique(features)) > 256  # a feature is not rounded itself
    assert made.manifest.licence == before.manifest.licence


def test_its_weights_are_whole_numbers_and_its_file_is_smaller(
    small: tuple[Path, room.Quantised],
) -> None:
    folder, made = small
    content = (folder / made.manifest.file).read_bytes()
    assert hashlib.sha256(content).hexdigest() == made.manifest.sha256
    assert len(content) < 0.5 * (STARTER / "trunk.safetensors").stat().st_size
    graph = parse_graph(content, "int8")
    kinds = {tensor.dtype.name for tensor in graph.tensors.values()}
    assert {"int8", "uint8"} <= kinds
    scales = [t for t in graph.tensors.values() if t.dtype == np.float32 and t.ndim == 1]
    assert any(len(t) > 16 for t in scales)  # per channel
    before = {node.op for node in load_trunk(STARTER)[0].module.front.graph.nodes}
    assert before & set(room.ACTIVATIONS)
    assert not {node.op for node in graph.nodes} & set(room.ACTIVATIONS)  # only bounds are left


def test_torch_computes_what_onnxruntime_does_but_for_roundings_and_has_a_gradient(
    small: tuple[Path, room.Quantised],
) -> None:
    trunk, _ = load_trunk(small[0])
    crops = patterns().crops(range(6))
    pixels = torch.tensor(crops.transpose(0, 3, 1, 2) / 255, dtype=torch.float32)
    pixels.requires_grad_(True)
    made = trunk.module(pixels)
    assert cosines(made.detach().numpy(), trunk.features(crops)).min() > 0.995
    torch.autograd.backward(made.square().sum())
    assert pixels.grad is not None
    assert float(pixels.grad.abs().max()) > 0


def test_a_trunk_that_would_lose_too_much_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates = iter([0.9, 0.8969])
    monkeypatch.setattr(room, "_tar", lambda *told: next(rates))
    with pytest.raises(DegradedError, match=r"0\.9000 to 0\.8969"):
        quantise(STARTER, patterns(), tmp_path / "new", dataclasses.replace(LOOSE, drop=0.003))
    assert not (tmp_path / "new").exists()


def test_who_gives_ranges_does_not_judge() -> None:
    faces = patterns()
    crops, judges = room._parted(faces, LOOSE)
    judging = {crop.tobytes() for crop in judges.crops(range(len(judges)))}
    assert not judging & {crop.tobytes() for crop in crops}
    assert len(judges.people) == 6


def test_too_few_people_to_judge_are_refused_before_any_work(tmp_path: Path) -> None:
    for faces, options in ((patterns(), QuantiseOptions()), (patterns(2), LOOSE)):
        with pytest.raises(DataSetError, match="too few"):
            quantise(STARTER, faces, tmp_path / "new", options)
    assert not (tmp_path / "new").exists()


def test_as_many_layers_stay_in_float32_as_embeddings_need_and_are_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trunk, tail = load_trunk(STARTER)
    work = room._Work(trunk, tail, patterns().crops(range(2)))
    plain, kept = work.alike_enough(0)
    assert kept == in_float32(plain) == len(work._last)
    monkeypatch.setattr(work, "_likeness", lambda graph: in_float32(graph) / 100)
    mixed, kept = work.alike_enough((len(work._last) + 2) / 100)
    assert kept == in_float32(mixed) == len(work._last) + 2


def in_float32(graph: Graph) -> int:
    layers = [node for node in graph.nodes if node.op in room.LAYERS]
    return sum(node.inputs[1] in graph.tensors for node in layers)


@pytest.mark.parametrize("wrong", [{"crops": 0}, {"judges": 1.0}, {"fmr": 0}, {"likeness": 1.0}])
def test_senseless_options_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        QuantiseOptions(**wrong)


Run = Callable[[bytes, NDArray[np.float32]], NDArray[np.float32]]


@pytest.mark.parametrize("changes", [{}, {"colour": "BGR", "activation_clip": 0.3}])
def test_one_file_from_pixels_to_the_embedding_gives_what_trunk_and_tail_give(
    small_onnx: Path, small_manifest: Mapping[str, Any], run_original: Run, changes: dict[str, Any]
) -> None:
    trunk, tail = load_trunk(small_onnx, TrunkManifest(**{**small_manifest, **changes}))
    content = export_whole(trunk, tail)
    onnx.checker.check_model(onnx.load_model_from_string(content))
    crops = np.random.default_rng(2).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)
    planes = np.ascontiguousarray(crops.transpose(0, 3, 1, 2), np.float32)
    expected = tail.embed(trunk.features(crops))
    assert np.abs(run_original(content, planes) - expected).max() < 1e-4


def test_the_starter_goes_into_one_file_too(run_original: Run) -> None:
    trunk, tail = load_trunk(STARTER)
    crops = patterns().crops([0, 5])
    planes = np.ascontiguousarray(crops.transpose(0, 3, 1, 2), np.float32)
    made = run_original(export_whole(trunk, tail), planes)
    assert np.abs(made - tail.embed(trunk.features(crops))).max() < 1e-3


def test_the_manifest_of_an_int8_trunk_stands_beside_it(
    small: tuple[Path, room.Quantised],
) -> None:
    assert sorted(path.name for path in small[0].iterdir()) == sorted([NAME, "trunk.onnx"])
