from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from common.errors import ConfigError, ModelError, TrunkError
from common.models.embedder import Embedder
from common.models.manifest import TrunkManifest
from common.models.registry import build
from common.models.safetensors_import import parse_weights, save_trunk
from common.models.trunk import load_trunk


def small(seed: int = 0) -> Embedder:
    model = build("tiny", embedding=8, seed=seed, width=0.25)
    with torch.no_grad():
        model.train()(torch.rand(8, 3, 112, 112, generator=torch.Generator().manual_seed(seed)))
    return model.eval()


def crops(number: int) -> np.ndarray:
    return np.random.default_rng(2).integers(0, 256, (number, 112, 112, 3), dtype=np.uint8)


def manifest_of(**changes: object) -> TrunkManifest:
    told = {"file": "x.safetensors", "sha256": "0" * 64, "licence": "", "architecture": "tiny"}
    return TrunkManifest(**{**told, "embedding": 8, "width": 0.25, **changes})  # type: ignore[arg-type]


def folded_arrays(tmp_path: Path) -> dict[str, Tensor]:
    save_trunk(tmp_path, small(), "test")
    return safetensors.torch.load_file(tmp_path / "trunk.safetensors")


def test_what_is_saved_is_what_was_trained(tmp_path: Path) -> None:
    model = small()
    manifest = save_trunk(tmp_path / "new", model, "CC0: made by a test")
    trunk, tail = load_trunk(tmp_path / "new")
    assert trunk.manifest.licence == "CC0: made by a test"
    assert trunk.manifest.sha256 == manifest.sha256
    assert (trunk.feature_dim, tail.embedding_dim) == (48, 8)
    pictures = crops(5)
    pixels = torch.tensor(pictures.transpose(0, 3, 1, 2) / 127.5 - 1, dtype=torch.float32)
    expected = model(pixels).detach().numpy()
    assert np.abs(tail.embed(trunk.features(pictures)) - expected).max() < 1e-5
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == [
        "trunk.safetensors",
        "trunk.toml",
    ]


def test_weights_saved_with_their_norms_are_folded_on_reading() -> None:
    model = small()
    data = safetensors.torch.save(model.state_dict())
    read = parse_weights(data, manifest_of(), "x.safetensors")
    pixels = torch.rand(2, 3, 112, 112)
    assert (read(pixels) - model(pixels)).abs().max() < 5e-6


def test_altered_weights_are_refused(tmp_path: Path) -> None:
    save_trunk(tmp_path, small(), "test")
    path = tmp_path / "trunk.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(TrunkError, match=r"trunk\.safetensors.*sha256"):
        load_trunk(tmp_path)


def test_every_wrong_array_is_named(tmp_path: Path) -> None:
    good = folded_arrays(tmp_path)
    name = "projection.0.weight"
    wrong: dict[str, dict[str, Tensor]] = {
        f"'{name}' is missing": {k: v for k, v in good.items() if k != name},
        "'more' is not part": {**good, "more": torch.zeros(1)},
        f"'{name}' is torch.float16": {**good, name: good[name].half()},
        f"'{name}' has values": {**good, name: good[name] * torch.nan},
        f"'{name}' is torch.float32 \\(1,\\)": {**good, name: torch.zeros(1)},
    }
    for message, arrays in wrong.items():
        with pytest.raises(ModelError, match=message):
            parse_weights(safetensors.torch.save(arrays), manifest_of(), "x.safetensors")


def test_weights_without_an_architecture_cannot_be_used(tmp_path: Path) -> None:
    save_trunk(tmp_path, small(), "test")
    (tmp_path / "trunk.toml").unlink()
    with pytest.raises(ModelError, match="architecture"):
        load_trunk(tmp_path / "trunk.safetensors")
    with pytest.raises(ConfigError, match="cannot read"):
        load_trunk(tmp_path)


@given(st.data())
def test_damaged_bytes_are_a_model_error_and_nothing_else(data: st.DataObject) -> None:
    whole = bytearray(safetensors.torch.save({"a": torch.ones(3)}))
    for _ in range(data.draw(st.integers(0, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    end = data.draw(st.integers(0, len(whole)))
    with pytest.raises(ModelError):
        parse_weights(bytes(whole[:end]), manifest_of(), "x.safetensors")
