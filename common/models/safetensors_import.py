"""Weights of a registry network in a safetensors file: reading, and writing beside a manifest.

safetensors holds named arrays and nothing that runs. Files are written folded; a file that still
has running statistics (from someone's public training) is folded on reading.
"""

import contextlib
import hashlib
import os
import tempfile
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from common.errors import ModelError
from common.models.embedder import Embedder
from common.models.fold import fold_batchnorm, refuse_batch_dependence
from common.models.manifest import NAME, TrunkManifest
from common.models.registry import build

_COUNTER = "num_batches_tracked"  # of BatchNorm: no use, may be missing


def parse_weights(data: bytes, manifest: TrunkManifest, where: str) -> nn.Module:
    """The network ``manifest`` names with the weights in ``data``, folded, frozen, in eval mode.

    Raises ``ModelError``, naming the array, for anything missing, unexpected, of another shape or
    type, or not finite; and for bytes that are no safetensors file.
    """
    if not manifest.architecture:
        raise ModelError(f"{where}: safetensors needs [trunk] architecture in {NAME}")
    with torch.device("meta"):
        model = build(manifest.architecture, manifest.embedding, 0, manifest.width)
    return parse_into(data, model, where)


def parse_into(data: bytes, model: nn.Module, where: str) -> nn.Module:
    """As ``parse_weights``, into a freshly built ``model``, which may lie on the meta device."""
    try:
        arrays = safetensors.torch.load(data)
    except (SafetensorError, ValueError, KeyError, TypeError, OverflowError, RuntimeError) as error:
        raise ModelError(f"{where}: not a safetensors file, or a truncated one") from error
    trained = any(name.endswith("running_mean") for name in arrays)
    if not trained:
        model = fold_batchnorm(model)
    _check(arrays, model.state_dict(), where)
    for name, tensor in model.state_dict().items():
        if name.endswith(_COUNTER):
            arrays[name] = torch.zeros(tensor.shape, dtype=torch.int64)
    model.load_state_dict(arrays, assign=True)
    folded = fold_batchnorm(model) if trained else model.eval()
    refuse_batch_dependence(folded)
    return folded.requires_grad_(False)


def save_trunk(folder: Path, model: Embedder, licence: str, name: str = "trunk") -> TrunkManifest:
    """Writes ``name``.safetensors and trunk.toml into ``folder``; nothing half-written stays.

    BatchNorm is folded first. Crops are to be normalised to [-1, 1]. Returns the manifest.
    """
    folded = fold_batchnorm(model)
    refuse_batch_dependence(folded)
    tensors = {k: v.detach().contiguous() for k, v in folded.state_dict().items()}
    data = safetensors.torch.save(tensors)
    manifest = TrunkManifest(
        file=f"{name}.safetensors",
        sha256=hashlib.sha256(data).hexdigest(),
        licence=licence,
        feature_shape=(model.feature_dim,),
        architecture=model.architecture.name,
        embedding=model.architecture.embedding,
        width=model.architecture.width,
    )
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / manifest.file, data)
    write_whole(folder / NAME, manifest.to_toml().encode())
    return manifest


def _check(arrays: dict[str, Tensor], expected: dict[str, Tensor], where: str) -> None:
    needed = {name for name in expected if not name.endswith(_COUNTER)}
    for name in sorted(needed - set(arrays)):
        raise ModelError(f"{where}: array {name!r} is missing")
    for name in sorted(set(arrays) - set(expected)):
        raise ModelError(f"{where}: array {name!r} is not part of the architecture")
    for name in needed:
        given = arrays[name]
        if given.shape != expected[name].shape or given.dtype != torch.float32:
            raise ModelError(
                f"{where}: array {name!r} is {given.dtype} {tuple(given.shape)}, "
                f"not float32 {tuple(expected[name].shape)}"
            )
        if not bool(given.isfinite().all()):
            raise ModelError(f"{where}: array {name!r} has values that are not finite")


def write_whole(path: Path, data: bytes) -> None:
    """Puts ``data`` at ``path``, readable by all, or leaves what was there."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, suffix=".part")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise
