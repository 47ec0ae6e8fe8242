"""One clipped contribution a person, summed, noised once: the private moment release."""

import numpy as np
from numpy.typing import NDArray

from client.privacy.entropy import Entropy

GRID = 2.0**-20  # of the noise's deviation


def clip_rows(vectors: NDArray[np.floating], clip: float) -> NDArray[np.float64]:
    """Each person's vector (P, K), scaled down to L2 norm ``clip`` where it is longer; float64.

    A person with any non-finite entry contributes zeros: the whole person, because a partly
    repaired vector would have another norm than the one that was clipped.
    Guarantee: row i depends on row i alone, bit for bit.
    """
    rows: NDArray[np.float64] = np.array(vectors, np.float64)
    if rows.ndim != 2:
        raise ValueError(f"expected one row a person, got shape {rows.shape}")
    rows[~np.isfinite(rows).all(axis=1)] = 0
    peaks = np.abs(rows).max(axis=1, initial=np.finfo(np.float64).tiny)
    units = rows / peaks[:, None]  # squares of huge or tiny entries would leave float64
    norms = np.sqrt(np.square(units).sum(axis=1))
    with np.errstate(over="ignore"):
        long = norms * peaks > clip
    rows[long] = units[long] * (clip / norms[long])[:, None]
    return rows


def private_sum(
    vectors: NDArray[np.floating], clip: float, sigma: float, entropy: Entropy
) -> NDArray[np.float64]:
    """The noised sum over people of their clipped vectors: (P, K) -> (K,), also for P = 0.

    ``sigma`` is this site's noise multiplier (``PrivacyPlan.site_sigma``). The result is rounded
    to a grid of 2^-20 noise deviations, so that the low bits of a float tell nothing.
    Guarantee: a Gaussian mechanism of L2 sensitivity ``clip`` and deviation ``sigma * clip``
    under adding or removing one person. The ledger must be charged before the call.
    Leaks: nothing else; the number of people shows only through the sum itself.
    """
    total: NDArray[np.float64] = clip_rows(vectors, clip).sum(axis=0)
    if sigma == 0:
        return total
    deviation = sigma * clip
    step = deviation * GRID
    noised = total + deviation * entropy.normal(total.size)
    return np.asarray(np.rint(noised / step) * step, np.float64)
