"""The basis of the whitened distance in a file: of public people alone, so anybody may read it."""

import numpy as np

from common.errors import ModelError
from common.matching.distances import Whitened

MEAN, BASIS = "whitened.mean", "whitened.basis"  # names of the arrays


def basis_bytes(whitened: Whitened) -> bytes:
    """The safetensors file of ``whitened``: the same basis, the same bytes."""
    from safetensors.numpy import save

    return bytes(save({MEAN: whitened.mean, BASIS: np.ascontiguousarray(whitened.basis)}))


def parse_basis(content: bytes, where: str) -> Whitened:
    """What ``basis_bytes`` made, to the bit; ``ModelError``, which names ``where``, else."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        arrays = load(content)
    except (SafetensorError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        raise ModelError(f"{where}: not a safetensors file, or a truncated one") from None
    mean, basis = arrays.get(MEAN), arrays.get(BASIS)
    if len(arrays) != 2 or mean is None or basis is None:
        raise ModelError(f"{where}: not the basis of a whitened distance")
    if mean.ndim != 1 or basis.shape != mean.shape * 2 or {mean.dtype, basis.dtype} != {_F4}:
        raise ModelError(f"{where}: a basis is (E,) and (E, E), of float32")
    if not (np.isfinite(mean).all() and np.isfinite(basis).all()):
        raise ModelError(f"{where}: a basis must be finite")
    return Whitened(mean, basis)


_F4 = np.dtype("<f4")
