"""From what crosses the wire back to features: sums of moments, and gradients of a linear tail.

Without clip and noise all of it is arithmetic. The gradient of a linear layer is a sum of products
delta x feature, and that of its offset the sum of the deltas: of one person's pictures the two give
the feature back exactly (Phong et al. 2018; Geiping et al. 2020 for deep networks). A feature is a
face.
"""

import math

import numpy as np
from numpy.typing import NDArray

from common.errors import ModelError

Doubles = NDArray[np.float64]

_SMALL = 1e-6  # of the largest singular value: below, float32 has nothing to say


def mean_of_sum(total: NDArray[np.floating], people: int) -> Doubles:
    """The mean contribution (K,) behind a released sum (K,): what it says of each of ``people``."""
    if people < 1:
        raise ModelError("a sum is over one person or more")
    return np.asarray(total, np.float64) / people


def out_of_frame(
    point: Doubles, weight: NDArray[np.floating], bias: NDArray[np.floating]
) -> Doubles:
    """The shortest x with weight @ x + bias = ``point``: back out of the coordinates asked for."""
    found, *_ = np.linalg.lstsq(weight.astype(np.float64), point - bias, rcond=None)
    return np.asarray(found, np.float64)


def feature_of_gradient(
    weight: NDArray[np.floating],
    bias: NDArray[np.floating],
    known: NDArray[np.floating],
    pictures: int,
    noise: float = 0.0,
) -> Doubles:
    """A person's feature (D,) from the gradient of a linear tail, ``weight`` (E, D), ``bias`` (E,).

    The gradient is sum_a delta_a x_a^T over own pictures a, plus public ones that lie in the span
    of ``known`` (M, D) and are taken out. Then weight @ w = bias has the solution w with x_a . w =
    1 for all own pictures: the point of their affine hull that is nearest to 0, over its squared
    length. Exact without noise, whatever the loss was and however it was clipped, up to the part
    in the span of ``known``. Against noise of deviation ``noise`` in each entry there is the rank,
    at most ``pictures``, and that singular values below the edge of noise alone tell nothing.
    """
    basis = _basis(known, weight.shape[1])
    rest = weight.astype(np.float64) - (weight @ basis) @ basis.T
    left, values, right = np.linalg.svd(rest, full_matrices=False)
    if values[0] <= 0:
        return np.zeros(weight.shape[1])
    edge = max(_SMALL * values[0], noise * sum(map(math.sqrt, weight.shape)))
    kept = slice(0, min(pictures, max(1, int((values > edge).sum()))))
    solution = right[kept].T @ ((left[:, kept].T @ bias.astype(np.float64)) / values[kept])
    return np.asarray(solution / max(float(solution @ solution), 1e-300), np.float64)


def _basis(known: NDArray[np.floating], size: int) -> Doubles:
    """(D, r) orthonormal columns that span the rows of ``known`` (M, D)."""
    if not len(known):
        return np.zeros((size, 0))
    _, values, right = np.linalg.svd(known.astype(np.float64), full_matrices=False)
    return np.asarray(right[values > _SMALL * values[0]].T, np.float64)
