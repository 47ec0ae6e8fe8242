"""The rows of a gallery: float16 to score, int8 codes to find them, zeros where one has been.

The codes are half as long as the rows. Beside each stands the exact length of what it leaves
out, so that a search over codes knows how far it may be off. Nothing here is kept on disk.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

Halves = NDArray[np.float16]
Doubles = NDArray[np.float64]
Owners = NDArray[np.int64]

OFF = 1e-2  # how far from 1 the length of a unit row may be
PORTION = 4096  # rows worked on at once, so that copies stay small
STEPS = 127  # a code is between -STEPS and STEPS
WORDS = 8  # of 64 signs each
LINE = 64  # bytes of a cache line


def unit(rows: ArrayLike, dim: int) -> Doubles:
    """(B, E) rows of length 1, made exactly so.

    Raises ValueError, which never quotes a row, for another shape, a number that is not finite
    or a length further than OFF from 1; zero rows are such.
    """
    wide = np.array(rows, np.float64)
    if wide.ndim != 2 or wide.shape[1] != dim:
        raise ValueError(f"expected rows of {dim} numbers, got shape {wide.shape}")
    length = np.sqrt(np.square(wide).sum(axis=1))
    if not (np.abs(length - 1) <= OFF).all():  # also false where it is not a number
        raise ValueError("a row is not a finite vector of length 1; normalise embeddings first")
    wide /= length[:, None]
    return wide


class Matrix:
    """(N, E) rows in arrays that double when they are full; what is left behind is zeroed.

    A row's score may differ from that of the vector it was made from by float16 rounding: at
    most 2**-11 of its length, in practice about 1e-5.
    """

    def __init__(self, dim: int, capacity: int) -> None:
        self.dim, self.count = dim, 0
        self._arrays: dict[str, NDArray[Any]] = {
            "rows": _zeros((capacity, dim), np.float16),
            "codes": _zeros((capacity, dim), np.int8),
            "scale": _zeros((capacity,), np.float32),  # a code of 1, as a number of the row
            "slack": _zeros((capacity,), np.float32),  # length of row minus code
            "owner": _zeros((capacity,), np.int64),
        }
        self._frame: NDArray[np.float32] | None = None

    def __getitem__(self, name: str) -> NDArray[Any]:
        """A view of one array up to the last row in use."""
        return self._arrays[name][: self.count]

    def append(self, rows: Doubles, owner: Owners) -> None:
        """Adds (B, E) unit rows of (B,) owners behind the last one."""
        self._reserve(self.count + len(rows))
        for start in range(0, len(rows), PORTION):
            part = slice(self.count, self.count + len(rows[start : start + PORTION]))
            self._arrays["rows"][part] = rows[start : start + PORTION]
            self._arrays["owner"][part] = owner[start : start + PORTION]
            self._encode(part)
            self.count = part.stop

    def drop(self, row: int) -> int:
        """Zeroes ``row`` after moving the last row there; returns where that one was."""
        last = self.count - 1
        for array in self._arrays.values():
            array[row] = array[last]
            array[last] = 0
        self.count = last
        return last

    def clear(self) -> None:
        """Zeroes everything."""
        for array in self._arrays.values():
            array.fill(0)
        self.count = 0

    def sign(self, frame: NDArray[np.float32] | None) -> None:
        """Keeps the signs of rows in ``frame`` (64 * WORDS, E) from now on; None drops them."""
        old = self._arrays.pop("signs", None)
        if old is not None:
            old.fill(0)
        self._frame = frame
        if frame is None:
            return
        self._arrays["signs"] = _zeros((len(self._arrays["rows"]), WORDS), np.uint64)
        for start in range(0, self.count, PORTION):
            part = slice(start, min(start + PORTION, self.count))
            self._arrays["signs"][part] = signs(self._arrays["rows"][part], frame)

    def _reserve(self, rows: int) -> None:
        capacity = len(self._arrays["rows"])
        if rows <= capacity:
            return
        while capacity < rows:
            capacity *= 2
        for name, old in self._arrays.items():
            self._arrays[name] = _zeros((capacity, *old.shape[1:]), old.dtype)
            self._arrays[name][: self.count] = old[: self.count]
            old.fill(0)

    def _encode(self, part: slice) -> None:
        rows = self._arrays["rows"][part].astype(np.float64)
        scale = (np.abs(rows).max(axis=1) / STEPS).astype(np.float32)
        codes = np.rint(rows / scale[:, None])
        self._arrays["codes"][part] = codes
        self._arrays["scale"][part] = scale
        rows -= codes * scale[:, None]
        self._arrays["slack"][part] = np.sqrt(np.square(rows).sum(axis=1))
        if self._frame is not None:
            self._arrays["signs"][part] = signs(self._arrays["rows"][part], self._frame)
        rows.fill(0)
        codes.fill(0)


def signs(rows: ArrayLike, frame: NDArray[np.float32]) -> NDArray[np.uint64]:
    """(B, E) -> (B, WORDS): on which side of each direction of ``frame`` a row lies."""
    sides = np.asarray(rows, np.float32) @ frame.T > 0
    return np.ascontiguousarray(np.packbits(sides, axis=1)).view(np.uint64)


def _zeros(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """Zeros that begin where a cache line does: the products are a third slower elsewhere."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    memory = np.zeros(size + LINE, np.uint8)
    start = -memory.ctypes.data % LINE
    return memory[start : start + size].view(dtype).reshape(shape)
