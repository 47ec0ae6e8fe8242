"""The gate: the only way out of a site, a list of what may pass and a refusal of all the rest."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.errors import GateError

ALLOWED_TYPES = ("float32", "float64")


@dataclass(frozen=True, slots=True)
class Entry:
    """One array that may leave: its exact name, shape and type, and its largest L2 norm."""

    name: str
    shape: tuple[int, ...]
    dtype: str = "float64"
    bound: float | None = None  # None: any finite values

    def __post_init__(self) -> None:
        if self.dtype not in ALLOWED_TYPES:
            raise ValueError(f"dtype must be one of {ALLOWED_TYPES}, got {self.dtype!r}")
        if self.bound is not None and not 0 < self.bound < math.inf:
            raise ValueError(f"bound must be positive and finite, got {self.bound}")


class Gate:
    """Lets exactly the declared arrays through.

    Guarantee: what ``check`` returns has the declared names, shapes and types, is finite, keeps
    its norm bounds, and shares no memory with what was handed in. Anything else is GateError and
    nothing passes, the rest of the message included. The local part of a tail has no entry, so
    it cannot leave.
    Leaks: the gate cannot tell noised values from raw ones: noise and charge come before it. A
    refusal is visible to the centre, so bounds must hold for every honest release.
    """

    def __init__(self, entries: tuple[Entry, ...]) -> None:
        self._entries = {entry.name: entry for entry in entries}
        if len(self._entries) != len(entries):
            raise ValueError("two entries have the same name")

    @property
    def entries(self) -> tuple[Entry, ...]:
        return tuple(self._entries.values())

    def check(self, arrays: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.generic]]:
        """Clean copies of ``arrays`` in the declared order, or GateError.

        Only a plain ``dict`` of plain ``ndarray`` is read: a subclass could answer differently
        the second time it is asked.
        """
        if type(arrays) is not dict:
            raise GateError("only a plain dict of arrays may leave")
        if any(type(name) is not str for name in arrays):
            raise GateError("every name must be plain text")
        if extra := len(arrays.keys() - self._entries.keys()):
            raise GateError(f"{extra} undeclared arrays")  # whose names may themselves tell
        if missing := self._entries.keys() - arrays.keys():
            raise GateError(f"missing {', '.join(sorted(missing))}")
        return {name: _passed(arrays[name], entry) for name, entry in self._entries.items()}


def release_bound(people: int, clip: float, sigma: float, size: int) -> float:
    """A norm that no honest noised sum of ``size`` numbers exceeds, for ``Entry.bound``.

    ``people`` clipped contributions plus a Gaussian of ``size`` dimensions; the chance to be over
    is below 1e-21 (Laurent & Massart 2000, lemma 1).
    """
    return people * clip + sigma * clip * (math.sqrt(size) + 10)


def _passed(array: object, entry: Entry) -> NDArray[np.generic]:
    if type(array) is not np.ndarray:
        raise GateError(f"{entry.name}: not a plain array")
    if array.dtype != np.dtype(entry.dtype):
        raise GateError(f"{entry.name}: expected {entry.dtype}")
    if array.shape != entry.shape:
        raise GateError(f"{entry.name}: expected shape {entry.shape}")
    clean = np.empty(entry.shape, entry.dtype)  # neither views nor metadata travel along
    clean[...] = array
    if not np.isfinite(clean).all():
        raise GateError(f"{entry.name}: not finite")
    if entry.bound is not None:
        with np.errstate(over="ignore"):
            norm = math.sqrt(float(np.square(clean, dtype=np.float64).sum()))
        if not norm <= entry.bound:
            raise GateError(f"{entry.name}: longer than {entry.bound:g}")
    return clean
