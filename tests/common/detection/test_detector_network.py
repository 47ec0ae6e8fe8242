from pathlib import Path

import numpy as np
import pytest
import torch

from common.detection.cells import ANSWERS, cells
from common.detection.detector import OwnDetector
from common.detection.network import DetectorNetwork, build_detector
from common.detection.weights import NAME, DetectorManifest, read_detector, save_detector
from common.errors import ConfigError, ModelError
from common.faces.detect import make_detector
from common.models.fold import fold_batchnorm

MANIFEST = DetectorManifest(file="detector.safetensors", sha256="0" * 64, licence="none")


@pytest.fixture(scope="module")
def network() -> DetectorNetwork:
    """Untrained, but with statistics of its own, and not silent."""
    model = build_detector(3, 0.25)
    model.train()
    with torch.no_grad():
        for _ in range(3):
            model(torch.randn(2, 3, 64, 64))
        for head in (model.heads.fine, model.heads.middle, model.heads.coarse):
            head.answer.bias[0] = -1.0
            head.answer.weight.mul_(4)
    return model.eval()


@pytest.fixture(scope="module")
def folder(network: DetectorNetwork, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("detector")
    save_detector(made, network, MANIFEST)
    return made


def test_every_cell_answers(network: DetectorNetwork) -> None:
    answers = network(torch.zeros(2, 3, 64, 96))
    assert answers.shape == (2, ANSWERS, len(cells(64, 96)[1]))


def test_the_same_seed_is_the_same_network_and_leaves_chance_alone() -> None:
    before = torch.random.get_rng_state()
    one, other = build_detector(1, 0.25).state_dict(), build_detector(1, 0.25).state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert torch.equal(before, torch.random.get_rng_state())


def test_no_picture_changes_what_is_said_of_another(network: DetectorNetwork) -> None:
    folded = fold_batchnorm(network)
    x = torch.randn(3, 3, 64, 64)
    alone = torch.cat([folded(part) for part in x.split(1)])
    assert torch.allclose(folded(x), alone, atol=1e-5)


@pytest.mark.parametrize("size", [(32, 32), (64, 96), (96, 64)])
def test_onnxruntime_says_what_torch_says_at_any_size(
    folder: Path, network: DetectorNetwork, size: tuple[int, int]
) -> None:
    x = np.random.default_rng(0).standard_normal((1, 3, *size)).astype(np.float32)
    with torch.no_grad():
        wanted = network(torch.from_numpy(x)).numpy()
    assert np.allclose(OwnDetector(folder)._runtime.run(x), wanted, atol=1e-4)


@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (70, 45), (300, 2), (300, 400)])
def test_pictures_of_any_shape_are_searched(folder: Path, shape: tuple[int, int]) -> None:
    picture = np.random.default_rng(1).integers(0, 256, (*shape, 3), dtype=np.uint8)
    found = OwnDetector(folder, threshold=0.2).find(picture)
    assert [f.area for f in found] == sorted((f.area for f in found), reverse=True)
    for face in found:
        assert 0.2 <= face.score <= 1
        assert face.landmarks is not None
        assert face.landmarks.shape == (5, 2)
        assert face.certain == (face.score >= MANIFEST.certain)


def test_weights_name_the_detector_that_is_made(folder: Path) -> None:
    assert isinstance(make_detector(folder), OwnDetector)
    assert isinstance(make_detector(folder / "detector.safetensors"), OwnDetector)


def test_weights_that_are_not_there_say_how_to_make_some(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="detector train"):
        OwnDetector(tmp_path / "absent" / "own")


def test_other_bytes_than_the_manifest_names_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=NAME):
        read_detector(tmp_path)
    (tmp_path / NAME).write_bytes((folder / NAME).read_bytes())
    with pytest.raises(ModelError, match="read"):
        read_detector(tmp_path)
    data = bytearray((folder / "detector.safetensors").read_bytes())
    data[-1] ^= 1
    (tmp_path / "detector.safetensors").write_bytes(bytes(data))
    with pytest.raises(ModelError, match="not the file"):
        read_detector(tmp_path)


@pytest.mark.parametrize(
    "wrong",
    [
        {"file": "../x"},
        {"sha256": "0"},
        {"threshold": 0.0},
        {"threshold": 0.9, "certain": 0.5},
        {"width": 9.0},
    ],
)
def test_manifests_that_cannot_be_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        DetectorManifest(**{"file": "x", "sha256": "0" * 64, "licence": "none", **wrong})  # type: ignore[arg-type]
