"""How to learn a template by asking: from scores, from bands at chosen points, from pictures.

The attacker asks with embeddings, which is more than whoever must show pictures can do, knows
public people's embeddings, and wants the one template of one person. An answer at a point x is
whether <x, t> reaches a threshold. Around a point x0 that does, every direction u that x0 is turned
towards tells the ratio of <u, t> to <x0, t> by where the answer changes, so a search by halves in
each direction, widest first, is a reading of t bit by bit.
"""

import heapq
import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float64]
Told = Callable[[Rows], bool]  # whether the answer at a unit point (E,) is a band above no
Score = Callable[[Rows], float]

EXACT = 1e-5  # posterior standard deviation of a ratio, at which its direction is left alone
BITS = 20  # of the angles from which the threshold itself is found
NARROW = 0.05  # intervals of so many standard deviations are flat
WIDEST = 8.0  # standard deviations: beyond, nothing is expected
_NORMAL = NormalDist()


class Curve:
    """How near (cosine) the estimate was to the ``template`` (E,) at numbers of calls."""

    def __init__(self, template: Rows, marks: tuple[int, ...]) -> None:
        self._template, self._marks = template, marks
        self.calls, self.found = 0, np.zeros(len(marks))
        self._next, self._last = 0, 0.0

    @property
    def over(self) -> bool:
        """Whether the last mark is reached."""
        return self._next == len(self._marks)

    def ask(self, estimate: Callable[[], Rows | None]) -> None:
        """Counts a call that is about to be made, knowing ``estimate`` before it."""
        if not self.over and self.calls >= self._marks[self._next]:
            self.note(estimate())
        self.calls += 1

    def note(self, estimate: Rows | None) -> None:
        """Says what is known by now, at all marks that are reached."""
        if estimate is not None:
            length = float(np.linalg.norm(estimate)) or 1.0
            self._last = float(estimate @ self._template) / length
        while not self.over and self._marks[self._next] <= self.calls:
            self.found[self._next] = self._last
            self._next += 1

    def close(self, estimate: Rows | None) -> None:
        """No call is answered any more: what is known stays what it is."""
        self.end(estimate)
        self._next = len(self._marks)

    def end(self, estimate: Rows | None) -> NDArray[np.float64]:
        """Nothing more is learnt: the estimate stays for all marks that are left."""
        self.note(estimate)
        self.found[self._next :] = self._last
        return self.found


class Limited:
    """Answers ``told`` until so many were given, or so many of them were a miss."""

    def __init__(self, told: Told, misses: int, claims: int) -> None:
        self._told, self._misses, self._claims = told, misses, claims

    @property
    def over(self) -> bool:
        return not (self._misses and self._claims)

    def __call__(self, probe: Rows) -> bool:
        answer = self._told(probe)
        self._claims -= 1
        self._misses -= not answer
        return answer


def by_scores(score: Score, basis: Rows, curve: Curve) -> NDArray[np.float64]:
    """Asks for the score along each of ``basis`` (E, E), which are orthonormal."""
    known = np.zeros(len(basis))
    for direction in basis:
        curve.ask(lambda: known)
        if curve.over:
            break
        np.add(known, score(direction) * direction, out=known)
    return curve.end(known)


def by_pictures(told: Told, pictures: Rows, curve: Curve) -> NDArray[np.float64]:
    """Asks with strangers' embeddings (N, E) as they come, and averages those told apart."""
    mean, near = pictures.mean(axis=0), np.zeros(pictures.shape[1])
    for picture in pictures:
        curve.ask(lambda: near)
        if curve.over:
            break
        if told(picture):
            np.add(near, picture - mean, out=near)
    return curve.end(near if near.any() else None)


@dataclass(frozen=True, kw_only=True, eq=False)
class Prior:
    """What public people's embeddings teach of a stranger's: directions, and how much lies there.

    ``spread`` (E, E) is the mean of their outer products; ``likeness`` a guess of how alike the
    starting point and the template are.
    """

    spread: Rows
    likeness: float

    def around(self, start: Rows) -> tuple[Rows, Rows]:
        """Directions (E - 1, E) across ``start``, and standard deviations of the ratios there."""
        across = np.eye(len(start)) - np.outer(start, start)
        values, vectors = np.linalg.eigh(across @ self.spread @ across)
        order = np.argsort(values)[::-1][: len(start) - 1]
        share = np.clip(values[order], 1e-6, None)
        rest = (1 - self.likeness**2) / self.likeness**2
        return vectors[:, order].T, np.sqrt(rest * share / share.sum())


def by_bands(told: Told, start: Rows, prior: Prior, curve: Curve) -> NDArray[np.float64]:
    """Reads the template bit by bit around ``start`` (E,), at which the answer is above no."""
    basis, widths = prior.around(start)
    ratios = [_Ratio(float(width)) for width in widths]

    def estimate() -> Rows:
        known: Rows = start + np.array([ratio.mean for ratio in ratios]) @ basis
        return known

    def asked(turned: Rows) -> bool:
        if isinstance(told, Limited) and told.over:
            curve.close(estimate())
            return False
        curve.ask(estimate)
        return told(turned / np.linalg.norm(turned))

    level = _level(asked, start, basis[0])
    heap = [(-ratio.deviation, i) for i, ratio in enumerate(ratios)]
    heapq.heapify(heap)
    while heap and not curve.over and -heap[0][0] > EXACT:
        _, i = heap[0]
        value = ratios[i].middle
        angle = math.atan(value) + math.acos(min(1.0, level / math.hypot(1, value)))
        ratios[i].cut(value, above=asked(math.cos(angle) * start + math.sin(angle) * basis[i]))
        heapq.heapreplace(heap, (-ratios[i].deviation, i))
    return curve.end(estimate())


def _level(asked: Told, start: Rows, direction: Rows) -> float:
    """The threshold as a multiple of the score at ``start``: from both sides of one direction."""
    sides = []
    for sign in (1, -1):
        low, high = 0.0, math.pi
        for _ in range(BITS):
            angle = (low + high) / 2
            if asked(math.cos(angle) * start + sign * math.sin(angle) * direction):
                low = angle
            else:
                high = angle
        sides.append((low + high) / 2)
    ahead, behind = sides
    ratio = (math.cos(behind) - math.cos(ahead)) / (math.sin(ahead) + math.sin(behind))
    return math.cos(ahead) + math.sin(ahead) * ratio


class _Ratio:
    """What is known of one ratio: a normal variable between two bounds."""

    __slots__ = ("_high", "_low", "_width", "deviation", "mean", "middle")

    def __init__(self, width: float) -> None:
        self._width, self._low, self._high = width, -WIDEST, WIDEST
        self._settle()

    def cut(self, value: float, *, above: bool) -> None:
        """It is at least ``value``, or below it."""
        if above:
            self._low = max(self._low, value / self._width)
        else:
            self._high = min(self._high, value / self._width)
        self._settle()

    def _settle(self) -> None:
        low, high = self._low, self._high
        mean = middle = (low + high) / 2
        deviation = (high - low) / math.sqrt(12)
        mass = _NORMAL.cdf(high) - _NORMAL.cdf(low)
        if high - low > NARROW and mass > 1e-12:
            left, right = _NORMAL.pdf(low), _NORMAL.pdf(high)
            mean = (left - right) / mass
            deviation = math.sqrt(max(1e-12, 1 + (low * left - high * right) / mass - mean * mean))
            middle = _NORMAL.inv_cdf(_NORMAL.cdf(low) + mass / 2)
        self.mean, self.middle = mean * self._width, middle * self._width
        self.deviation = deviation * self._width
