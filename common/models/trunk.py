"""The trunk: a public frozen network, named by its hash, that turns crops into features.

Features are inverted to faces within seconds: they are kept, sealed and forbidden in logs like
pictures.
"""

import dataclasses
import hashlib
import math
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from common.errors import ModelError, TrunkError
from common.models.manifest import (
    NAME,
    TrunkManifest,
    default_manifest,
    find_manifest,
    read_manifest,
)
from common.models.onnx_export import export_graph
from common.models.onnx_graph import Graph, parse_graph
from common.models.onnx_import import GraphModule, output_shape, read_weights
from common.models.runtime import Runtime
from common.models.safetensors_import import parse_weights
from common.models.split import TailModule, choose_cut, split
from common.models.tail import Tail

_STEP = 256  # crops normalised at a time


class TrunkModule(nn.Module):
    """The trunk for gradients: RGB pixels (B, 3, S, S) in [0, 1] -> features (B, D).

    Frozen, in eval mode, differentiable with respect to the pixels.
    """

    def __init__(self, manifest: TrunkManifest, front: GraphModule) -> None:
        super().__init__()
        mean = torch.tensor(manifest.mean)[:, None, None]
        std = torch.tensor(manifest.std)[:, None, None]
        self.mean = nn.Parameter(mean, requires_grad=False)
        self.std = nn.Parameter(std, requires_grad=False)
        self.front, self.clip = front, manifest.activation_clip
        self.swap = manifest.colour == "BGR"
        self.eval()

    def forward(self, pixels: Tensor) -> Tensor:
        ordered = pixels.flip(1) if self.swap else pixels
        features: Tensor = self.front((ordered - self.mean) / self.std).flatten(1)
        return features if math.isinf(self.clip) else features.clamp(-self.clip, self.clip)


class Trunk:
    """Crops in, features out, by onnxruntime; ``module`` is the same function in torch.

    ``hash`` names the file's bytes, the cut and the pixel conventions: two trunks with the same
    hash give the same features.
    """

    def __init__(self, manifest: TrunkManifest, front: GraphModule, threads: int = 1) -> None:
        self.manifest, self.hash = manifest, manifest.trunk_hash()
        self.feature_dim = math.prod(manifest.feature_shape)
        self.module = TrunkModule(manifest, front)
        self._runtime = Runtime(front.graph, single=front.single, threads=threads)

    def features(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(B, S, S, 3) uint8 RGB crops -> (B, D) float32. ``ModelError`` for other crops."""
        size = self.manifest.input_size
        if crops.ndim != 4 or crops.shape[1:] != (size, size, 3) or crops.dtype != np.uint8:
            raise ModelError(
                f"crops must be (B, {size}, {size}, 3) uint8, got {crops.shape} {crops.dtype}"
            )
        made = np.empty((len(crops), self.feature_dim), np.float32)
        for start in range(0, len(crops), _STEP):
            part = crops[start : start + _STEP]
            made[start : start + len(part)] = self.run(self.normalised(part))
        return made

    def run(self, planes: NDArray[np.float32]) -> NDArray[np.float32]:
        """(B, 3, S, S) planes, as ``normalised`` gives them -> (B, D): the network alone."""
        made = self._runtime.run(planes).reshape(len(planes), -1)
        clip = self.manifest.activation_clip
        return made if math.isinf(clip) else made.clip(-clip, clip)

    def normalised(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """What the network is given of ``crops`` (B, S, S, 3): planes (B, 3, S, S) float32."""
        ordered = crops[..., ::-1] if self.manifest.colour == "BGR" else crops
        scale = 1 / (255 * np.array(self.manifest.std, np.float64))
        shift = -np.array(self.manifest.mean, np.float64) / np.array(self.manifest.std)
        planes = np.ascontiguousarray(ordered.transpose(0, 3, 1, 2), dtype=np.float32)
        planes *= scale.astype(np.float32)[:, None, None]
        planes += shift.astype(np.float32)[:, None, None]
        return planes

    def __repr__(self) -> str:
        return f"Trunk({self.manifest.file}, D={self.feature_dim}, {self.hash[:12]})"


def load_trunk(
    path: Path, manifest: TrunkManifest | None = None, *, threads: int = 1
) -> tuple[Trunk, Tail]:
    """The trunk and the linear tail of the network at ``path``.

    ``path`` is a weights file (.onnx or .safetensors), its ``trunk.toml``, or their folder.

    Raises ``ConfigError`` for a wrong manifest, ``TrunkError`` if the file is not the one the
    manifest names, ``OperatorError`` or ``ModelError`` if the network cannot be used.
    """
    trunk, tail = load_split(path, manifest, threads=threads)
    if isinstance(tail, TailModule):
        raise ModelError(f"{path}: what follows the cut {trunk.manifest.cut!r} is not affine")
    return trunk, tail


def load_split(
    path: Path, manifest: TrunkManifest | None = None, *, threads: int = 1
) -> tuple[Trunk, Tail | TailModule]:
    """As ``load_trunk``, for any cut: behind a deeper one the tail is a trainable module."""
    weights, told = _locate(path, manifest)
    data = read_weights(weights)
    given = told or default_manifest(weights, data)
    if hashlib.sha256(data).hexdigest() != given.sha256:
        raise TrunkError(f"{weights}: its SHA-256 is not the manifest's [trunk] sha256")
    graph = _read_graph(weights, data, given)
    if graph.shape[1:] != (given.input_size, given.input_size):
        raise TrunkError(f"{weights}: takes {graph.shape[1:]} pixels, not [trunk] input_size")
    known = weights.suffix == ".safetensors"  # a network of the registry, written just now
    cut = given.cut or choose_cut(graph, str(weights), known=known)
    front, tail = split(graph, cut, str(weights), known=known)
    shape = output_shape(front)
    if given.feature_shape not in ((), shape):
        raise TrunkError(f"{weights}: features are {shape}, not [trunk] feature_shape")
    whole = dataclasses.replace(given, cut=cut, feature_shape=shape)
    return Trunk(whole, front, threads), tail


def _locate(path: Path, manifest: TrunkManifest | None) -> tuple[Path, TrunkManifest | None]:
    if path.is_dir() or path.name == NAME:
        toml = path / NAME if path.is_dir() else path
        told = manifest or read_manifest(toml)
        return toml.parent / told.file, told
    return path, manifest or find_manifest(path)


def _read_graph(weights: Path, data: bytes, manifest: TrunkManifest) -> Graph:
    if weights.suffix == ".onnx":
        return parse_graph(data, str(weights))
    if weights.suffix == ".safetensors":
        return export_graph(parse_weights(data, manifest, str(weights)), manifest.input_size)
    raise ModelError(f"{weights}: weights must be .onnx or .safetensors")
