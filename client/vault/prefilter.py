"""Sign bits that shorten a search, for as long as they are measured to lose nobody.

Each row leaves 512 signs under a fixed public rotation. Rows whose signs differ least from those
of the probe are scored exactly, the others not at all. That can lose a person, so a shortlist is
only trusted while the upper 95 % bound on the share of probes it fails, counted on exact
searches of this very gallery at the operating threshold, is at most ``MISSES``.
"""

import math
from collections import deque

import numpy as np
from numpy.typing import NDArray

from client.vault.matrix import WORDS, Doubles, Matrix, signs
from client.vault.scan import Index

MISSES = 1e-4  # share of probes at or above the threshold that may lose somebody
RECENT = 100_000  # searches remembered
AUDIT = 64  # one search in so many is exact, and counted
GROWTH = 1.25  # a gallery that grew more than this since it was measured is another one
SEED = 24745  # the rotation is public: it hides nothing and needs no key
PORTION = 16384  # rows compared at once

_FIELDS = np.uint64(0x00FF00FF00FF00FF)
_ONES = np.uint64(0x0001000100010001)


class Prefilter:
    """A shortlist of ``most`` rows by their signs, and the record of what it would have lost.

    ``threshold`` is the score from which an answer is a match; below it nothing is promised.
    The bound holds at each look, for probes like those counted; it is not one over all looks.
    """

    def __init__(self, dim: int, threshold: float, most: int = 1024) -> None:
        self.threshold, self.most = threshold, most
        self.frame = _frame(dim)
        self._lost: deque[bool] = deque(maxlen=RECENT)
        self._rows = self._turn = 0

    def ready(self, rows: int) -> bool:
        """Whether the next search in a gallery of ``rows`` rows may use the shortlist.

        Every ``AUDIT``-th may not, so that the record stays one of now.
        """
        if rows > GROWTH * self._rows or self.bound() > MISSES:
            return False
        self._turn += 1
        return self._turn % AUDIT != 0

    def bound(self) -> float:
        """Upper 95 % bound on the share of searches that lose somebody (Clopper-Pearson)."""
        return upper_bound(sum(self._lost), len(self._lost))

    def shortlist(
        self, matrix: Matrix, probe: Doubles, allowed: NDArray[np.bool_] | None = None
    ) -> Index:
        """Rows nearest to a unit probe (E,) by signs, all of those equally near included."""
        distance = _distances(matrix["signs"], signs(probe[None], self.frame)[0])
        if allowed is not None:
            distance[~allowed] = 64 * WORDS + 1
        if len(distance) <= self.most:
            return np.flatnonzero(distance <= 64 * WORDS)
        radius = np.partition(distance, self.most - 1)[self.most - 1]
        return np.flatnonzero(distance <= min(int(radius), 64 * WORDS))

    def learn(self, matrix: Matrix, probe: Doubles, matches: Index) -> None:
        """Counts one exact search that found the rows ``matches`` at or above the threshold."""
        if len(matches) == 0:
            return
        if matrix.count > GROWTH * self._rows:
            self._lost.clear()
            self._rows = matrix.count
        self._lost.append(not np.isin(matches, self.shortlist(matrix, probe)).all())


def upper_bound(lost: int, searches: int, confidence: float = 0.95) -> float:
    """The largest share under which at most ``lost`` of ``searches`` is not too unlikely."""
    if lost >= searches:
        return 1.0
    low, high = lost / searches, 1.0
    for _ in range(60):
        share = (low + high) / 2
        if _at_most(lost, searches, share) > 1 - confidence:
            low = share
        else:
            high = share
    return high


def _at_most(lost: int, searches: int, share: float) -> float:
    """Probability of at most ``lost`` in ``searches``."""
    each = np.arange(lost + 1)
    ways = np.array(
        [
            math.lgamma(searches + 1) - math.lgamma(i + 1) - math.lgamma(searches - i + 1)
            for i in each
        ]
    )
    return float(
        np.exp(ways + each * math.log(share) + (searches - each) * math.log1p(-share)).sum()
    )


def _frame(dim: int) -> NDArray[np.float32]:
    """(64 * WORDS, E) directions: as many as can be at right angles, the same everywhere."""
    drawn = np.random.default_rng(SEED).standard_normal((64 * WORDS, dim))
    frame = np.linalg.qr(drawn)[0] if dim <= 64 * WORDS else np.linalg.qr(drawn.T)[0].T
    return np.ascontiguousarray(frame, np.float32)


def _distances(rows: NDArray[np.uint64], probe: NDArray[np.uint64]) -> NDArray[np.uint16]:
    """(N, WORDS), (WORDS,) -> (N,) how many signs differ."""
    distances = np.empty(len(rows), np.uint16)
    for start in range(0, len(rows), PORTION):
        part = rows[start : start + PORTION]
        counts = np.bitwise_count(part ^ probe).view(np.uint64)[:, 0]  # eight counts of a byte
        pairs = (counts & _FIELDS) + ((counts >> np.uint64(8)) & _FIELDS)  # four of two bytes
        distances[start : start + PORTION] = (pairs * _ONES) >> np.uint64(48)
    return distances
