"""Where the crops of a data set come from: compressed bytes decoded when asked, or plain memory.

Thousands of crops fit in memory compressed (4 kB each) where decoded ones (37 kB) would not.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from common.errors import PictureError
from common.faces.pictures import decode

Crop = NDArray[np.uint8]  # (112, 112, 3) RGB
Indices = NDArray[np.int64]

SIDE = 112  # pixels


class Crops(Protocol):
    """An ordered, immutable collection of crops."""

    def __len__(self) -> int: ...

    def crop(self, index: int) -> Crop: ...

    def take(self, indices: Indices) -> Self: ...

    def digest(self) -> str:
        """SHA-256 of what the crops are made of, in order."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class EncodedCrops:
    """Crops as JPEG (or other allowed) bytes inside one blob, decoded each time one is asked for.

    blob (bytes,), start and stop (N,): crop i is ``blob[start[i]:stop[i]]``.
    """

    blob: NDArray[np.uint8]
    start: Indices
    stop: Indices
    source: str = "memory"  # begins every error message; never a path with a person in it
    ordinal: Indices | None = None  # (N,) numbers in the whole pack, if this is a part of it

    @classmethod
    def of(cls, encoded: Sequence[bytes]) -> Self:
        """Packs ``encoded`` pictures into one blob."""
        offsets = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
        return cls(np.frombuffer(b"".join(encoded), np.uint8), offsets[:-1], offsets[1:])

    def __len__(self) -> int:
        return len(self.start)

    def crop(self, index: int) -> Crop:
        """``PictureError`` naming the picture's ordinal if it is broken or not 112x112."""
        try:
            picture = decode(self.blob[self.start[index] : self.stop[index]].tobytes())
        except PictureError as error:
            raise PictureError(f"{self._place(index)}: {error}") from None
        if picture.shape != (SIDE, SIDE, 3):
            height, width = picture.shape[:2]
            raise PictureError(f"{self._place(index)} is {width}x{height}, not 112x112")
        return picture

    def _place(self, index: int) -> str:
        number = index if self.ordinal is None else self.ordinal[index]
        return f"{self.source}: picture {number}"

    def take(self, indices: Indices) -> Self:
        numbers = np.arange(len(self)) if self.ordinal is None else self.ordinal
        start, stop = self.start[indices], self.stop[indices]
        return type(self)(self.blob, start, stop, self.source, numbers[indices])

    def digest(self) -> str:
        total = hashlib.sha256(b"encoded")
        for start, stop in zip(self.start.tolist(), self.stop.tolist(), strict=True):
            total.update((stop - start).to_bytes(8, "little"))
            total.update(self.blob[start:stop].tobytes())
        return total.hexdigest()


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class StoredCrops:
    """Decoded crops, uint8 (N, 112, 112, 3)."""

    pixels: NDArray[np.uint8]

    def __post_init__(self) -> None:
        if self.pixels.dtype != np.uint8 or self.pixels.shape[1:] != (SIDE, SIDE, 3):
            raise ValueError("expected uint8 crops of shape (N, 112, 112, 3)")

    def __len__(self) -> int:
        return len(self.pixels)

    def crop(self, index: int) -> Crop:
        return np.array(self.pixels[index], np.uint8)

    def take(self, indices: Indices) -> Self:
        return type(self)(self.pixels[indices])

    def digest(self) -> str:
        total = hashlib.sha256(b"stored")
        for pixels in self.pixels:
            total.update(np.ascontiguousarray(pixels).tobytes())
        return total.hexdigest()
