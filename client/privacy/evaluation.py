"""What one person adds to an evaluation: how often own pictures match, and public impostors pass.

Tail and thresholds are the centre's choice and may be anything: whatever they are, a person's
cells stay within the bound that the plan is priced at, and are clipped to it all the same.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from common.models.tail import Tail
from common.privacy.cells import cells_of, person_cells

MOST_PICTURES = 16  # of a person: 120 pairs; more would cost time and say little more
MOST_IMPOSTORS = 1024  # public pictures that a person's are compared with

Bag = NDArray[np.float32]  # (k, D) features of one person
Doubles = NDArray[np.float64]


def evaluations(
    bags: Sequence[Bag], public: NDArray[np.float32], tail: Tail, thresholds: NDArray[np.floating]
) -> Doubles:
    """One row a person, (P, 2 m + 2): the cells of ``common.privacy.cells`` at ``thresholds`` (m,).

    Pairs are compared by the cosine of their embeddings, 0 for one of length 0. ``public`` (M, D)
    are features of public people. Of a bag of more than ``MOST_PICTURES`` so many are taken,
    spread evenly: no draw is needed, so a row is a function of its bag.
    Guarantee: row i is computed from bag i, ``public``, ``tail`` and ``thresholds`` only, and its
    L2 norm is at most ``cells.sensitivity(m)``; a person with any number that is not finite
    counts as zero, in every cell.
    """
    rows = np.zeros((len(bags), cells_of(len(thresholds))))
    impostors = _units(_spread(public, MOST_IMPOSTORS), tail)
    for row, bag in zip(rows, bags, strict=True):
        own = _units(_spread(bag, MOST_PICTURES), tail)
        cosines = own @ own.T, own @ impostors.T
        if all(np.isfinite(scores).all() for scores in cosines):
            pairs = cosines[0][np.triu_indices(len(own), 1)]
            matched = _shares(pairs, thresholds) if len(pairs) else None
            row[:] = person_cells(matched, _shares(cosines[1], thresholds))
    return rows


def _shares(scores: Doubles, thresholds: NDArray[np.floating]) -> Doubles:
    """Of ``scores``, the share at or above each threshold (m,); 0 of none."""
    accepted = [np.count_nonzero(scores >= threshold) for threshold in thresholds.tolist()]
    return np.array(accepted, np.float64) / max(scores.size, 1)


def _units(features: NDArray[np.float32], tail: Tail) -> Doubles:
    """Embeddings (k, E) of length 1, or 0; not finite where a feature is not."""
    with np.errstate(invalid="ignore", over="ignore"):  # such a person counts as zero, silently
        points = features.astype(np.float64) @ tail.weight.astype(np.float64).T + tail.bias
        norms = np.linalg.norm(points, axis=1, keepdims=True)
        units: Doubles = points / np.where(norms > 0, norms, 1.0)
    return units


def _spread(rows: NDArray[np.float32], most: int) -> NDArray[np.float32]:
    """At most ``most`` of ``rows``, from the first to the last at equal distances."""
    if len(rows) <= most:
        return rows
    chosen: NDArray[np.float32] = rows[np.linspace(0, len(rows) - 1, most).round().astype(int)]
    return chosen
