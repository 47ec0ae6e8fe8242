"""What one person adds to a moment release, from that person's pictures alone.

Coordinates are what the centre asked for: y = weight @ feature + bias, (K,). Whatever they are,
every contribution is clipped afterwards, so the sensitivity does not rest on the centre's honesty.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from common.moments.names import sum_size
from common.moments.packing import pack_symmetric

Bag = NDArray[np.float32]  # (k, D) features of one person
Contribution = Callable[[NDArray[np.float64]], NDArray[np.float64]]


def mean(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """The person's mean (K,) over own pictures (k, K)."""
    return np.asarray(points.mean(axis=0), np.float64)


def scatter(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """The person's covariance around the own mean, packed; zero for a single picture.

    (k, K) -> (K (K + 1) / 2,), see ``pack_symmetric``.
    """
    centred = points - points.mean(axis=0)
    return pack_symmetric(centred.T @ centred / len(points))


def moments(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean and scatter in one vector, (K + K (K + 1) / 2,): clipped and noised together."""
    return np.concatenate([mean(points), scatter(points)])


CONTRIBUTIONS: dict[str, Contribution] = {"mean": mean, "scatter": scatter, "moments": moments}


def contributions(
    kind: str, bags: Sequence[Bag], weight: NDArray[np.floating], bias: NDArray[np.floating]
) -> NDArray[np.float64]:
    """One row a person, (P, size of ``kind``), not yet clipped.

    Guarantee: row i is computed from bag i, ``weight`` and ``bias`` only.
    """
    contribute = CONTRIBUTIONS[kind]
    rows = np.zeros((len(bags), sum_size(kind, len(bias))))
    matrix, offset = weight.astype(np.float64).T, bias.astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):  # such a person counts as zero, silently
        for row, bag in zip(rows, bags, strict=True):
            row[:] = contribute(bag.astype(np.float64) @ matrix + offset)
    return rows
