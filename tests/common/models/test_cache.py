from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from common.models.cache import CacheKey, FeatureCache
from common.models.manifest import TrunkManifest
from common.models.trunk import Trunk, load_trunk


@pytest.fixture
def trunk(small_onnx: Path, small_manifest: Mapping[str, Any]) -> Trunk:
    return load_trunk(small_onnx, TrunkManifest(**small_manifest))[0]


def crops(number: int = 70) -> Iterator[NDArray[np.uint8]]:
    yield from np.random.default_rng(1).integers(0, 256, (number, 32, 32, 3), dtype=np.uint8)


def never() -> Iterator[NDArray[np.uint8]]:
    raise AssertionError("the pictures were read again")
    yield


def test_features_are_computed_once(tmp_path: Path, trunk: Trunk) -> None:
    cache, key = FeatureCache(tmp_path / "cache"), CacheKey(faces="abc", camera="dark", view=1)
    told: list[int] = []
    made = cache.features(trunk, crops(), key, told.append)
    assert made.shape == (70, 8) and sum(told) == 70
    assert np.array_equal(made, trunk.features(np.stack(list(crops()))))
    assert np.array_equal(cache.features(trunk, never(), key), made)


def test_another_view_camera_or_trunk_is_another_entry(
    tmp_path: Path, trunk: Trunk, small_onnx: Path, small_manifest: Mapping[str, Any]
) -> None:
    cache, key = FeatureCache(tmp_path / "cache"), CacheKey(faces="abc")
    cache.features(trunk, crops(), key)
    other, _ = load_trunk(small_onnx, TrunkManifest(**{**small_manifest, "cut": "r1"}))
    others = [(trunk, CacheKey(faces="abc", view=1)), (trunk, CacheKey(faces="abc", camera="x"))]
    for one, another in [*others, (trunk, CacheKey(faces="abd")), (other, key)]:
        with pytest.raises(AssertionError, match="read again"):
            cache.features(one, never(), another)


def test_only_the_owner_can_read_it(tmp_path: Path, trunk: Trunk) -> None:
    cache = FeatureCache(tmp_path / "cache")
    cache.features(trunk, crops(), CacheKey(faces="secret"))
    assert cache.folder.stat().st_mode & 0o777 == 0o700
    files = list(cache.folder.iterdir())
    assert [f.stat().st_mode & 0o777 for f in files] == [0o600]
    assert "secret" not in files[0].name


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 not a zip", b"\x00" * 50])
def test_a_damaged_entry_is_computed_again(tmp_path: Path, trunk: Trunk, damage: bytes) -> None:
    cache, key = FeatureCache(tmp_path / "cache"), CacheKey(faces="abc")
    made = cache.features(trunk, crops(), key)
    (file,) = cache.folder.iterdir()
    file.write_bytes(damage or file.read_bytes()[:-20])
    assert np.array_equal(cache.features(trunk, crops(), key), made)
    assert np.array_equal(cache.features(trunk, never(), key), made)


def test_a_failure_leaves_nothing_half_written(tmp_path: Path, trunk: Trunk) -> None:
    cache = FeatureCache(tmp_path / "cache")

    def failing() -> Iterator[NDArray[np.uint8]]:
        yield from crops()
        raise RuntimeError("the pictures went away")

    with pytest.raises(RuntimeError, match="went away"):
        cache.features(trunk, failing(), CacheKey(faces="abc"))
    assert not list(cache.folder.iterdir())


def test_no_pictures_have_no_features(tmp_path: Path, trunk: Trunk) -> None:
    made = FeatureCache(tmp_path / "cache").features(trunk, iter(()), CacheKey(faces="none"))
    assert made.shape == (0, 8)
