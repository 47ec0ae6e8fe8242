"""Learnt weights of pictures in a file, with the hash of the trunk whose features they read.

safetensors: named arrays, and in the metadata the kind and the trunk. Nothing in it runs, and torch
is not needed to read it.
"""

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from common.errors import ModelError
from common.matching.learnt import KINDS, Learnt, shapes
from common.models.file_header import metadata
from common.models.tail_file import checked

if TYPE_CHECKING:
    from common.matching.set_weights import SetWeights

ENDING = ".pooling.safetensors"
MOST = 64 * 2**20  # bytes of a file that is looked at
_TEXT = "pooling"  # the one key of the metadata: safetensors writes several in any order
_SIZES = (1, 4096)  # of a feature, and of what is read in it


def set_bytes(model: "SetWeights", trunk: str) -> bytes:
    """``model`` for features of the trunk with the hash ``trunk``: the same model, the same bytes.

    Raises ``ModelError`` where ``trunk`` is no hash.
    """
    from safetensors.numpy import save

    arrays = {name: array.numpy(force=True) for name, array in model.state_dict().items()}
    told = json.dumps({"kind": model.kind, "trunk": checked(trunk)})
    return bytes(save(arrays, metadata={_TEXT: told}))


def parse_set(content: bytes, where: str) -> Learnt:
    """What ``set_bytes`` made, ready to weigh.

    ``where`` names the file in messages. Raises ``ModelError`` for anything else, and for arrays
    of other names, shapes or types, or values that are not finite.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        arrays = load(content)
        told = json.loads(metadata(content)[_TEXT])
        kind, trunk = told["kind"], checked(told["trunk"])
        size, feature_dim = arrays["seen.weight"].shape
        sized = all(_SIZES[0] <= number <= _SIZES[1] for number in (size, feature_dim))
        if kind not in KINDS or set(told) != {"kind", "trunk"} or not sized:
            raise ValueError("kind or sizes")
        found = {name: array.shape for name, array in arrays.items()}
        if found != shapes(kind, feature_dim, size):
            raise ValueError("shapes")
    except (
        SafetensorError, ValueError, KeyError, TypeError, OverflowError, RecursionError,
    ):  # fmt: skip
        raise ModelError(f"{where}: no weights of pictures, or a truncated file") from None
    if not all(a.dtype == np.float32 and bool(np.isfinite(a).all()) for a in arrays.values()):
        raise ModelError(f"{where}: an array is not of finite float32")
    return Learnt(kind, trunk, hashlib.sha256(content).hexdigest(), arrays)


def read_set(path: Path) -> Learnt:
    """The weights in the file at ``path``, or a ``ModelError``."""
    try:
        if path.stat().st_size > MOST:
            raise ModelError(f"{path}: too large for weights of pictures")
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}") from None
    return parse_set(content, str(path))
