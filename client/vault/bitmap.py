"""A set of enrolled people as bits, for searches among some of them only."""

import numpy as np
from numpy.typing import NDArray


class Bitmap:
    """Made by ``Gallery.bitmap`` for that gallery alone.

    A bit stands for a person and never for another one later: people removed since are not
    found, people added since are not in it.
    """

    def __init__(self, gallery: object, slots: NDArray[np.int64], size: int) -> None:
        bits = np.zeros(size, np.bool_)
        bits[slots] = True
        self._bits, self._size = np.packbits(bits), size
        self._gallery = gallery

    def covers(self, gallery: object, owner: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which rows belong to people in the set, given the slot that owns each row.

        Raises ValueError in another gallery: its bits stand for other people.
        """
        if gallery is not self._gallery:
            raise ValueError("this bitmap was made by another gallery")
        bits = np.append(np.unpackbits(self._bits, count=self._size).view(np.bool_), False)
        return bits[np.minimum(owner, self._size)]
