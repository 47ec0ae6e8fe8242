"""Public statistics as named arrays, so that whoever runs a charter has those it was made with."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.models.tail import Tail
from common.moments.reference import Reference

REFERENCE = "reference."

_VECTORS = ("uncentred", "within")
_NUMBERS = tuple(f.name for f in fields(Reference) if f.name not in ("frame", *_VECTORS))


def reference_arrays(reference: Reference) -> dict[str, NDArray[Any]]:
    """``reference`` as ``stored_reference`` reads it, exactly."""
    arrays: dict[str, NDArray[Any]] = {
        "weight": reference.frame.weight,
        "bias": reference.frame.bias,
        "numbers": np.array([getattr(reference, name) for name in _NUMBERS], np.float64),
        **{name: np.asarray(getattr(reference, name), np.float64) for name in _VECTORS},
    }
    return {REFERENCE + name: np.ascontiguousarray(array) for name, array in arrays.items()}


def stored_reference(arrays: Mapping[str, NDArray[Any]]) -> Reference | None:
    """The reference among ``arrays``, None if there is none.

    ``KeyError``, ``ValueError`` or ``ModelError`` for one that is not whole.
    """
    if not any(name.startswith(REFERENCE) for name in arrays):
        return None
    frame = Tail(arrays[REFERENCE + "weight"], arrays[REFERENCE + "bias"])
    vectors = {name: np.asarray(arrays[REFERENCE + name], np.float64) for name in _VECTORS}
    numbers = np.asarray(arrays[REFERENCE + "numbers"], np.float64)
    shapes = [*(v.shape for v in vectors.values()), numbers.shape]
    sides = (frame.embedding_dim,)
    if shapes != [sides, sides, (len(_NUMBERS),)]:
        raise ValueError("statistics of another size than their frame")
    if not all(np.isfinite(a).all() for a in (*vectors.values(), numbers)):
        raise ValueError("statistics that are not finite")
    told = dict(zip(_NUMBERS, numbers.tolist(), strict=True))
    uncentred, within = (vectors[name] for name in _VECTORS)
    return Reference(frame=frame, uncentred=uncentred, within=within, **told)
