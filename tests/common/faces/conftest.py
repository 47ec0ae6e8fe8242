"""Small packs made of noise: six people, three pictures each, no face in sight."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from common.faces.pictures import encode


@pytest.fixture
def pack(tmp_path: Path) -> Callable[..., Path]:
    """Writes a good pack, with the arrays given replaced (``None`` leaves one out)."""

    def write(**changes: Any) -> Path:
        rng = np.random.default_rng(0)
        encoded = [encode(rng.integers(0, 256, (112, 112, 3)).astype(np.uint8)) for _ in range(18)]
        arrays: dict[str, Any] = {
            "jpeg": np.frombuffer(b"".join(encoded), np.uint8),
            "offsets": np.cumsum([0, *map(len, encoded)]),
            "person": np.repeat([f"person-{i}" for i in range(6)], 3),
            "picture": np.array([f"{i:03}.jpg" for i in range(18)]),
            "fold": np.repeat(np.arange(1, 7, dtype=np.int8), 3),
            "site": np.repeat([0, 0, 1, 1, -1, -1], 3),
            "camera_type": np.tile(["door", "hall", "door"], 6),
            "landmarks": rng.uniform(0, 250, (18, 5, 2)).astype(np.float32),
        }
        arrays.update(changes)
        path = tmp_path / "small.npz"
        np.savez(path, **{k: v for k, v in arrays.items() if v is not None})
        return path

    return write
