import dataclasses
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from common.errors import ConfigError, ModelError, TrunkError
from common.models.manifest import TrunkManifest
from common.models.split import TailModule
from common.models.trunk import Trunk, load_split, load_trunk

Run = Callable[[bytes, NDArray[np.float32]], NDArray[np.float32]]


def crops(number: int, size: int = 32) -> NDArray[np.uint8]:
    return np.random.default_rng(1).integers(0, 256, (number, size, size, 3), dtype=np.uint8)


def normalised(pictures: NDArray[np.uint8], trunk: Trunk) -> NDArray[np.float32]:
    mean, std = np.array(trunk.manifest.mean), np.array(trunk.manifest.std)
    planes: NDArray[Any] = ((pictures / 255 - mean) / std).transpose(0, 3, 1, 2)
    return planes.astype(np.float32)


def manifest(told: Mapping[str, Any], **changes: Any) -> TrunkManifest:
    return TrunkManifest(**{**told, **changes})


def test_trunk_and_tail_together_are_the_original_network(
    small_onnx: Path, small_manifest: Mapping[str, Any], run_original: Run
) -> None:
    trunk, tail = load_trunk(small_onnx, manifest(small_manifest))
    assert (trunk.feature_dim, trunk.manifest.cut) == (8, "feature")
    pictures = crops(37)
    expected = run_original(small_onnx.read_bytes(), normalised(pictures, trunk))
    assert np.abs(tail.embed(trunk.features(pictures)) - expected).max() < 1e-5


def test_torch_and_onnxruntime_give_the_same_features(
    small_onnx: Path, small_manifest: Mapping[str, Any]
) -> None:
    trunk, _ = load_trunk(small_onnx, manifest(small_manifest, colour="BGR", activation_clip=0.3))
    pictures = crops(5)
    pixels = torch.tensor(pictures.transpose(0, 3, 1, 2) / 255, dtype=torch.float32)
    pixels.requires_grad_(True)
    made = trunk.module(pixels)
    assert np.abs(made.detach().numpy() - trunk.features(pictures)).max() < 1e-4
    assert np.abs(trunk.features(pictures)).max() == np.float32(0.3)
    made.sum().backward()
    assert pixels.grad is not None and pixels.grad.abs().sum() > 0
    assert not any(p.requires_grad for p in trunk.module.parameters())


def test_features_do_not_depend_on_the_batch(
    small_onnx: Path, small_manifest: Mapping[str, Any]
) -> None:
    trunk, _ = load_trunk(small_onnx, manifest(small_manifest))
    pictures = crops(300)
    alone = np.concatenate([trunk.features(p[None]) for p in pictures[[0, 17, 299]]])
    assert np.allclose(trunk.features(pictures)[[0, 17, 299]], alone, atol=1e-6)
    assert trunk.features(pictures[:0]).shape == (0, 8)


@pytest.mark.parametrize("cut", ["r1", "c1", "feature", "c3", "e"])
def test_every_cut_gives_the_original_back(
    small_onnx: Path, small_manifest: Mapping[str, Any], run_original: Run, cut: str
) -> None:
    trunk, tail = load_split(small_onnx, manifest(small_manifest, cut=cut))
    pictures = crops(3)
    expected = run_original(small_onnx.read_bytes(), normalised(pictures, trunk))
    assert np.abs(tail.embed(trunk.features(pictures)) - expected).max() < 1e-5
    assert isinstance(tail, TailModule) == (cut == "c1")


def test_a_cut_with_a_bent_back_has_no_linear_tail(
    small_onnx: Path, small_manifest: Mapping[str, Any]
) -> None:
    with pytest.raises(ModelError, match="not affine"):
        load_trunk(small_onnx, manifest(small_manifest, cut="c1"))
    with pytest.raises(ModelError, match="'nowhere' is not a tensor"):
        load_trunk(small_onnx, manifest(small_manifest, cut="nowhere"))


def test_another_file_than_the_manifest_names_is_refused(
    small_onnx: Path, small_manifest: Mapping[str, Any]
) -> None:
    (small_onnx.parent / "trunk.toml").write_text(manifest(small_manifest).to_toml())
    trunk, _ = load_trunk(small_onnx.parent)
    assert trunk.hash == load_trunk(small_onnx)[0].hash
    assert trunk.hash == load_trunk(small_onnx.parent / "trunk.toml")[0].hash
    small_onnx.write_bytes(small_onnx.read_bytes() + b"\0")
    with pytest.raises(TrunkError, match=r"small\.onnx.*\[trunk\] sha256"):
        load_trunk(small_onnx.parent)


def test_the_hash_names_all_that_changes_a_feature(
    small_onnx: Path, small_manifest: Mapping[str, Any]
) -> None:
    base = manifest(small_manifest)
    changes: list[dict[str, Any]] = [
        {},
        {"cut": "r1"},
        {"mean": (0.1, 0.5, 0.5)},
        {"colour": "BGR"},
        {"activation_clip": 2.0},
    ]
    hashes = [load_split(small_onnx, dataclasses.replace(base, **c))[0].hash for c in changes]
    assert len(set(hashes)) == len(hashes)
    renamed = dataclasses.replace(base, licence="another")
    assert load_split(small_onnx, renamed)[0].hash == hashes[0]


def test_wrong_shapes_are_named(small_onnx: Path, small_manifest: Mapping[str, Any]) -> None:
    with pytest.raises(TrunkError, match="feature_shape"):
        load_trunk(small_onnx, manifest(small_manifest, feature_shape=(9,)))
    with pytest.raises(TrunkError, match="input_size"):
        load_trunk(small_onnx, manifest(small_manifest, input_size=112))
    trunk, tail = load_trunk(small_onnx, manifest(small_manifest))
    with pytest.raises(ModelError, match="crops must be"):
        trunk.features(crops(1, 33))
    with pytest.raises(ModelError, match="features must be"):
        tail.embed(np.zeros((1, 7), np.float32))


def test_a_misspelt_manifest_key_is_named_with_its_file(
    small_onnx: Path, small_manifest: Mapping[str, Any]
) -> None:
    text = manifest(small_manifest).to_toml().replace("cut =", "cutt =")
    (small_onnx.parent / "trunk.toml").write_text(text)
    with pytest.raises(ConfigError, match=r"trunk\.toml \[trunk\]: unknown key 'cutt'.*'cut'"):
        load_trunk(small_onnx.parent)


def test_a_trunk_of_ours_is_opened_without_torchs_compiler() -> None:
    """Arithmetic on the meta device loads it: over a second of every start of a door or agent."""
    code = """
import sys
from pathlib import Path
from common.models.trunk import load_trunk
load_trunk(Path("simulations/starter/trunk.toml"))
print(*sys.modules)
"""
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not {"torch._dynamo", "sympy"} & set(done.stdout.split())


def test_a_file_that_is_not_there_is_a_model_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot read"):
        load_trunk(tmp_path / "absent.onnx")


def test_the_reference_network_splits_at_its_last_convolution(
    shared_models: Path, run_original: Run
) -> None:
    path = shared_models / "mobilefacenet_ms1m.onnx"
    trunk, tail = load_trunk(path)
    assert (trunk.feature_dim, tail.embedding_dim) == (512, 128)
    pictures = crops(6, 112)
    expected = run_original(path.read_bytes(), normalised(pictures, trunk))
    features = trunk.features(pictures)
    assert np.abs(tail.embed(features) - expected).max() < 1e-5
    pixels = torch.tensor(pictures.transpose(0, 3, 1, 2) / 255, dtype=torch.float32)
    assert np.abs(trunk.module(pixels).detach().numpy() - features).max() < 1e-4
