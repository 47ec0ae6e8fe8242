"""Integer Gaussian noise for sums over sites: exact probabilities, whole numbers, no float's grid.

The discrete Gaussian of Canonne, Kamath & Steinke 2020 (arXiv:2004.00010): P(x) proportional to
exp(-x^2 / 2 variance) over the integers. It is proposed in blocks of a power of two: a uniform
place in a block, a block by coin tosses, so that no proposal needs rounding. A proposal is kept
with a probability that float64 knows to 44 bits; where a toss falls closer than that to the edge
(once in 10^12), 106 more bits of the toss and 120 digits of the edge decide.
"""

import math
from collections.abc import Iterable
from decimal import Context, Decimal

import numpy as np
from numpy.typing import NDArray

from client.privacy.entropy import Entropy
from client.privacy.moments import clip_rows
from common.secagg.fixed_point import FixedPoint

MOST_VARIANCE = 2**78
_PEOPLE = 256  # rounded at a time, to save memory
_TOSS = 2.0**-53  # resolution of a uniform number
_DOUBT = 2.0**-49  # relative error of exp(-z), for each unit of z: 4 times what it can be
_DIGITS = Context(prec=120)


def discrete_gaussian(variance: int, count: int, entropy: Entropy) -> NDArray[np.int64]:
    """``count`` independent draws of the discrete Gaussian of mean 0, int64.

    ``variance``, the parameter of the distribution, is a whole number in [1, 2^78]; the true
    variance is below it by 1e-7 at 1 and by nothing that can be seen from 4 on. Guarantee: each
    draw is within 2^-150 of the exact distribution, however unlikely the value; time and memory
    tell the number of rejected proposals, which says nothing of the draws that were kept.
    """
    if not 1 <= variance <= MOST_VARIANCE:
        raise ValueError(f"variance must be in [1, 2^78], got {variance}")
    bits = max(math.isqrt(2 * variance - 1), 1).bit_length()  # block > sqrt(2 ln 2 variance)
    found = [np.empty(0, np.int64)]
    missing = count
    while missing > 0:
        kept = _proposals(variance, bits, 3 * missing + 64, entropy)
        found.append(kept[:missing])
        missing -= len(found[-1])
    return np.concatenate(found)


def grid_rows(vectors: NDArray[np.floating], grid: FixedPoint) -> NDArray[np.int64]:
    """Each person's vector (P, K), clipped and rounded to ``grid``: L2 norm <= ``grid.units``.

    To the nearest step; a row that this makes too long is rounded towards zero instead, which
    never lengthens. Guarantee: the norm holds in whole numbers, without rounding error, and row i
    depends on row i alone.
    """
    real = clip_rows(vectors, grid.clip) * (grid.units / grid.clip)
    rows = np.rint(real).astype(np.int64)
    long = _too_long(rows, grid)
    rows[long] = np.trunc(real[long]).astype(np.int64)
    while (long := _too_long(rows, grid)).any():  # the clip itself was an ulp too long
        rows[long] -= np.sign(rows[long])
    return rows


def private_steps(
    vectors: NDArray[np.floating], grid: FixedPoint, entropy: Entropy
) -> NDArray[np.int64]:
    """This site's part of a secure sum over people: (P, K) -> (K,) steps of ``grid``, int64.

    The sum is held to ``grid.most`` a coordinate, which moves no two sums apart, and gets this
    site's share of the noise. Guarantee: added to at least ``grid.honest`` - 1 others like it, a
    Gaussian mechanism of L2 sensitivity ``clip`` and deviation ``sigma * clip`` or more under
    adding or removing one person. Alone it has only a part of that noise: it may leave the site
    only under the masks of a secure sum. The ledger must be charged before the call.
    """
    blocks = (vectors[first : first + _PEOPLE] for first in range(0, len(vectors), _PEOPLE))
    return steps_of_blocks(blocks, np.shape(vectors)[1], grid, entropy)


def steps_of_blocks(
    blocks: Iterable[NDArray[np.floating]], size: int, grid: FixedPoint, entropy: Entropy
) -> NDArray[np.int64]:
    """:func:`private_steps` of the rows of all ``blocks`` (P, size), which are looked at one by
    one: rows that are long need not be there at once."""
    total = np.zeros(size, np.int64)
    for block in blocks:
        total += grid_rows(block, grid).sum(axis=0)
    total = np.clip(total, -grid.most, grid.most)
    noise = discrete_gaussian(grid.variance, total.size, entropy)
    return np.asarray(total + noise, np.int64)


def _too_long(rows: NDArray[np.int64], grid: FixedPoint) -> NDArray[np.bool_]:
    return np.asarray(np.square(rows).sum(axis=1) > grid.units**2)


def _proposals(variance: int, bits: int, count: int, entropy: Entropy) -> NDArray[np.int64]:
    """What is kept of ``count`` proposals.

    A size is a place in [0, 2^bits) plus 2^bits times the number of heads before the first tail;
    it is kept with probability 2^heads exp(-size^2 / 2 variance), which is at most 1.
    """
    place, coins, toss = (entropy.uniform(count) for _ in range(3))
    number = (place * 2.0**53).astype(np.int64)
    negative = number >> 52 == 1
    heads = np.where(coins > 0, -np.frexp(coins)[1], 53).astype(np.int64)
    size = (number & (2**bits - 1)) + (heads << bits)
    exponent = np.square(size.astype(np.float64)) / (2.0 * variance)
    edge = np.exp(-exponent)
    tossed = np.ldexp(toss, -heads.astype(np.int32))
    slack = edge * (exponent + 4) * _DOUBT + np.ldexp(_TOSS, -heads.astype(np.int32))
    keep = tossed < edge
    for i in np.flatnonzero(np.abs(tossed - edge) <= slack):
        keep[i] = _below(float(toss[i]), int(heads[i]), int(size[i]) ** 2, variance, entropy)
    keep &= ~(negative & (size == 0))  # or 0 would be twice as likely
    return np.asarray(np.where(negative, -size, size)[keep], np.int64)


def _below(toss: float, heads: int, square: int, variance: int, entropy: Entropy) -> bool:
    """Whether ``toss``, with more bits drawn for it, is below 2^heads exp(-square / 2 variance)."""
    high, low = (int(x * 2.0**53) for x in entropy.uniform(2))
    number = (int(toss * 2.0**53) << 106) + (high << 53) + low
    exact = _DIGITS.divide(Decimal(number), Decimal(2 ** (159 + heads)))
    edge = _DIGITS.exp(_DIGITS.divide(Decimal(-square), Decimal(2 * variance)))
    return exact < edge
