"""The grid on which the detector answers: which cells there are, and what each of them says."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

STRIDES = (8, 16, 32)  # pixels between cells
ANSWERS = 15  # of a cell: is it a face, middle (2), size (2), five landmarks (10)
LARGEST = 4.0  # logarithm of a face's size in steps, at most


def cells(height: int, width: int) -> tuple[Floats, Floats]:
    """The middle (N, 2) of every cell in pixels, and its step (N,), in the network's order.

    For a picture whose sides are multiples of 32.
    """
    middles, steps = [], []
    for stride in STRIDES:
        row, column = np.mgrid[0 : height // stride, 0 : width // stride]
        middles.append((np.stack([column.ravel(), row.ravel()], 1) + 0.5) * stride)
        steps.append(np.full(row.size, stride))
    return np.concatenate(middles).astype(np.float32), np.concatenate(steps).astype(np.float32)
