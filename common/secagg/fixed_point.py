"""The grid that contributions are rounded to, and how the bits of one word are shared out.

A word holds the sum over all sites of one coordinate. From the top: one sign bit; one bit kept
empty, so that a sum whose masks do not cancel is seen to be out of range; then as many bits as
``sites * people * units`` and twelve deviations of the noise need. What is left over makes the
grid finer: ``units`` is the clip in steps of the grid, a power of two.
"""

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from common.errors import PlanError

LEAST_UNITS, MOST_UNITS = 2**10, 2**24
LEAST_VARIANCE = 64  # of one site, in steps: sums of such noise are Gaussian to e^-600
SURPLUS = Fraction(1, 1024)  # of variance, far above what the grid could cost; see ``variance``
TAIL = 12  # deviations of the summed noise that must fit: beyond lies less than 1e-32

Bits = Literal[32, 64]


@dataclass(frozen=True, kw_only=True, slots=True)
class FixedPoint:
    """One sum of clipped contributions over sites, as integers modulo 2^``bits``.

    Guarantee: a contribution on the grid has L2 norm <= ``units`` exactly, so the sum has that
    sensitivity; ``honest`` sites together add integer Gaussian noise of at least
    (sigma * units)^2 * 1025/1024 (Kairouz, Liu & Steinke 2021, arXiv:2102.06387, theorem 1: a sum
    of discrete Gaussians this wide differs from one by less than e^-600). What the ledger charges,
    a Gaussian of multiplier ``sigma``, is therefore not exceeded.
    Raises ``PlanError`` for a grid on which the sum or the noise does not fit.
    """

    clip: float  # L2 norm of one person's contribution, as in the plan
    units: int  # the same in steps of the grid
    sigma: float  # the plan's noise multiplier, of the sum
    people: int  # a site's declared number: bounds its sum
    sites: int  # that may take part at most
    honest: int  # that add their noise for certain
    bits: Bits = 32

    def __post_init__(self) -> None:
        if not (0 < self.clip < math.inf and 0 < self.sigma < math.inf):
            raise PlanError("clip and sigma of a secure sum must be positive")
        if self.units.bit_count() != 1 or not LEAST_UNITS <= self.units <= MOST_UNITS:
            raise PlanError(f"units must be a power of 2 in [{LEAST_UNITS}, {MOST_UNITS}]")
        if not (self.people >= 1 and 1 <= self.honest <= self.sites):
            raise PlanError("a secure sum needs people, and no more honest sites than sites")
        if self.bits not in (32, 64):
            raise PlanError("words have 32 or 64 bits")
        if self.variance < LEAST_VARIANCE:
            raise PlanError("the noise is too narrow for the grid: a finer one, or a larger sigma")
        if self.bound > 2 ** (self.bits - 2):
            raise PlanError(f"the sum does not fit {self.bits} bits: fewer units or wider words")

    @property
    def variance(self) -> int:
        """Of one site's noise, in squared steps: the ``honest``-th part of the whole, rounded up.

        The surplus of 1/1024 pays for the noise being on a grid: the exact probabilities of
        integer noise are then below those of the Gaussian that is charged.
        """
        whole = Fraction(self.sigma) ** 2 * self.units**2 * (1 + SURPLUS)
        return math.ceil(whole / self.honest)

    @property
    def most(self) -> int:
        """The largest coordinate of one site's sum before noise; sums are held to it."""
        return self.people * self.units

    @property
    def bound(self) -> int:
        """No coordinate of an honest total is beyond it but with probability 1e-32."""
        return self.sites * self.most + TAIL * (math.isqrt(self.sites * self.variance) + 1)

    @property
    def word(self) -> np.dtype[np.unsignedinteger]:
        """Little-endian unsigned integers: how a masked vector travels."""
        return np.dtype("<u4") if self.bits == 32 else np.dtype("<u8")

    def wrap(self, steps: NDArray[np.int64]) -> NDArray[np.unsignedinteger]:
        """Signed integers as words modulo 2^bits."""
        return steps.astype("<i8").view("<u8").astype(self.word)

    def unwrap(self, words: NDArray[np.unsignedinteger]) -> NDArray[np.int64]:
        """The signed integers nearest to 0 of :meth:`wrap`."""
        signed = words.view("<i4" if self.bits == 32 else "<i8")
        return signed.astype(np.int64)

    def decode(self, steps: NDArray[np.int64]) -> NDArray[np.float64]:
        """Integers of the grid in the units of the plan's clip."""
        return np.asarray(steps * (self.clip / self.units), np.float64)


def finest(*, clip: float, sigma: float, people: int, sites: int, honest: int) -> FixedPoint:
    """The finest grid whose sum fits 32 bits; of 64 bits where a coarse one would not do.

    Everything it is made of is public and in the plan or the roster, so each site and the centre
    find the same grid by themselves. 32 bits hold ``sites * people`` up to about a million.
    """
    choices: list[tuple[int, Bits]] = [*((2**k, 32) for k in range(24, 9, -1)), (2**20, 64)]
    failure = PlanError("no grid")
    for units, bits in choices:
        try:
            return FixedPoint(
                clip=clip,
                units=units,
                sigma=sigma,
                people=people,
                sites=sites,
                honest=honest,
                bits=bits,
            )
        except PlanError as error:
            failure = error
    raise failure
