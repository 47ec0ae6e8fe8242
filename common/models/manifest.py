"""The trunk manifest: which file, cut where, and what a pixel means to it.

``trunk.toml`` lies beside the weights. Without one, a single-file ONNX embedder gets defaults
(documented at ``default_manifest``), so that bringing a network is naming a file.
"""

import dataclasses
import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from common.config import load
from common.errors import ConfigError

NAME = "trunk.toml"
FEATURE_LIMIT = 2048  # numbers in a feature: what a template stores
_IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True, kw_only=True, slots=True)
class TrunkManifest:
    """What must be known to turn a crop into a feature. One ``[trunk]`` table.

    Pixels enter as (x / 255 - mean) / std in ``colour`` order. ``cut`` names the tensor where the
    trunk ends ("" = the last one that a linear layer reads); ``architecture`` is set for
    safetensors and means a network of the registry.
    """

    file: str
    sha256: str  # of the file
    licence: str
    cut: str = ""
    feature_shape: tuple[int, ...] = ()  # () = as the network gives it
    input_size: int = 112  # pixels
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    std: tuple[float, float, float] = (0.5, 0.5, 0.5)
    colour: Literal["RGB", "BGR"] = "RGB"
    activation_clip: float = math.inf  # features are clamped to [-clip, clip]
    architecture: str = ""
    embedding: int = 128  # of the registry's network
    width: float = 1.0  # of the registry's network

    def __post_init__(self) -> None:
        if Path(self.file).name != self.file or self.file in ("", ".", ".."):
            raise ConfigError("file must be the name of a file beside the manifest")
        if len(self.sha256) != 64 or set(self.sha256) - set("0123456789abcdef"):
            raise ConfigError("sha256 must be 64 lower-case hexadecimal digits")
        if not all(0 < s < math.inf for s in self.std) or not all(map(math.isfinite, self.mean)):
            raise ConfigError("mean must be finite and std positive")
        if not 16 <= self.input_size <= 1024:
            raise ConfigError("input_size must be in [16, 1024]")
        if not self.activation_clip > 0:
            raise ConfigError("activation_clip must be positive")
        if any(size < 1 for size in self.feature_shape):
            raise ConfigError("feature_shape must be positive")

    def trunk_hash(self) -> str:
        """SHA-256 naming the trunk: the file's bytes and all that changes a feature."""
        told = dataclasses.asdict(self)
        for key in ("file", "licence", "feature_shape"):
            del told[key]
        told["activation_clip"] = str(self.activation_clip)
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()

    def to_toml(self) -> str:
        """The text of a ``trunk.toml``."""
        lines = ["[trunk]"]
        for key, value in dataclasses.asdict(self).items():
            lines.append(f"{key} = {_toml(value)}")
        return "\n".join(lines) + "\n"


def read_manifest(path: Path) -> TrunkManifest:
    """The ``[trunk]`` table of the file at ``path``; ``ConfigError`` with file and key."""
    return load(TrunkManifest, path, "trunk")


def find_manifest(weights: Path) -> TrunkManifest | None:
    """The manifest beside ``weights`` if there is one and it names that file."""
    beside = weights.parent / NAME
    if not beside.is_file():
        return None
    manifest = read_manifest(beside)
    return manifest if manifest.file == weights.name else None


def default_manifest(weights: Path, data: bytes) -> TrunkManifest:
    """For an ONNX file that comes without a manifest; ``data`` are its bytes.

    The cut is chosen at loading: the tensor read by the last linear layer (1x1 convolution on one
    pixel, Gemm or MatMul) if everything after it is affine and it has at most 2,048 numbers, else
    the network's output with an identity tail. Pixels are normalised by ImageNet's mean and
    standard deviation, RGB, which is right for the networks torchvision-style trainers export and
    wrong for those trained on (x - 127.5) / 127.5: such a file needs a manifest.
    """
    return TrunkManifest(
        file=weights.name,
        sha256=hashlib.sha256(data).hexdigest(),
        licence="unknown: no manifest",
        mean=_IMAGENET[0],
        std=_IMAGENET[1],
    )


def _toml(value: Any) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(_toml(v) for v in value)}]"
    if isinstance(value, float):
        return "inf" if math.isinf(value) else repr(value)
    return json.dumps(value, ensure_ascii=False)
