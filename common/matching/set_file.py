"""Learnt weights of pictures in a file, with the hash of the trunk whose features they read.

safetensors: named arrays, and in the metadata the kind and the trunk. Nothing in it runs.
"""

import json
from pathlib import Path
from typing import Any

import torch

from common.errors import ModelError
from common.matching.set_weights import SetWeights, make_weights
from common.models.tail_file import checked

MOST = 64 * 2**20  # bytes of a file that is looked at
_TEXT = "pooling"  # the one key of the metadata: safetensors writes several in any order
_SIZES = (1, 4096)  # of a feature, and of what is read in it


def set_bytes(model: SetWeights, trunk: str) -> bytes:
    """``model`` for features of the trunk with the hash ``trunk``: the same model, the same bytes.

    Raises ``ModelError`` where ``trunk`` is no hash.
    """
    from safetensors.torch import save

    arrays = {name: array.contiguous() for name, array in model.state_dict().items()}
    told = json.dumps({"kind": model.kind, "trunk": checked(trunk)})
    return bytes(save(arrays, metadata={_TEXT: told}))


def parse_set(content: bytes, where: str) -> tuple[SetWeights, str]:
    """What ``set_bytes`` made: the weights, in eval mode, and the hash of their trunk.

    ``where`` names the file in messages. Raises ``ModelError`` for anything else, and for arrays
    of other names, shapes or types, or values that are not finite.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        arrays = load(content)
        told = _metadata(content)
        size, feature_dim = arrays["seen.weight"].shape
        if not all(_SIZES[0] <= number <= _SIZES[1] for number in (size, feature_dim)):
            raise ValueError("sizes")
        model = make_weights(told["kind"], int(feature_dim), int(size))
        sound = all(a.dtype == torch.float32 and bool(a.isfinite().all()) for a in arrays.values())
        if not sound:
            raise ModelError(f"{where}: an array is not of finite float32")
        model.load_state_dict(arrays)
        return model.eval(), checked(told["trunk"])
    except (
        SafetensorError, ValueError, KeyError, TypeError, OverflowError, RuntimeError,
        RecursionError,
    ):  # fmt: skip
        raise ModelError(f"{where}: no weights of pictures, or a truncated file") from None


def read_set(path: Path) -> tuple[SetWeights, str]:
    """The weights in the file at ``path`` and their trunk's hash, or a ``ModelError``."""
    try:
        if path.stat().st_size > MOST:
            raise ModelError(f"{path}: too large for weights of pictures")
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}") from None
    return parse_set(content, str(path))


def _metadata(content: bytes) -> dict[str, Any]:
    size = int.from_bytes(content[:8], "little")
    told = json.loads(json.loads(content[8 : 8 + size])["__metadata__"][_TEXT])
    if not isinstance(told, dict) or not all(isinstance(value, str) for value in told.values()):
        raise TypeError("metadata")
    return told
