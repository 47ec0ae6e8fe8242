"""Shamir's secret sharing: any ``threshold`` shares make a secret, fewer say nothing of it.

Shamir 1979, over the field of the largest prime below 2^128, so that a share has the 16 bytes of
the secret: as hard to guess as the keys made of it. A member's share is the polynomial's value at
its number from 1. The polynomial is not drawn by coefficients: it goes through the secret at 0 and
through ``threshold`` - 1 values that dealer and keepers know already, which need not be sent then.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache

from common.errors import AggregationError

PRIME = 2**128 - 159
SIZE = 16  # bytes of a secret, and of a share


def draw(random: Callable[[int], bytes]) -> bytes:
    """A uniform secret; ``random(n)`` gives n random bytes."""
    while True:
        candidate = random(SIZE)
        if int.from_bytes(candidate, "big") < PRIME:
            return candidate


def reduced(wide: bytes) -> bytes:
    """An element of the field from uniform bytes; of 32 bytes, uniform but for 2^-128."""
    return _bytes(int.from_bytes(wide, "big"))


def plus(one: bytes, other: bytes) -> bytes:
    """The sum in the field; ``AggregationError`` for what is not of it, as everywhere here."""
    return _bytes(_number(one) + _number(other))


def minus(one: bytes, other: bytes) -> bytes:
    """The difference in the field."""
    return _bytes(_number(one) - _number(other))


def share(secret: bytes, given: Mapping[int, bytes], numbers: Iterable[int]) -> dict[int, bytes]:
    """The shares of a secret of ``draw`` for ``numbers``, beside those ``given`` by number.

    One polynomial of degree ``len(given)`` takes these values; with T - 1 given, any T of all
    shares make the secret.
    Guarantee: where the given ones are uniform and independent, T - 1 of all shares, whichever,
    are independent of the secret: to each secret and each T - 1 shares belongs one choice of the
    given ones. Where they are pseudo-random, this holds against who cannot tell them apart.
    """
    points = (0, *given)
    slopes = [_number(secret), *map(_number, given.values())]
    for order in range(1, len(points)):  # Newton's divided differences, in place
        for at in range(len(points) - 1, order - 1, -1):
            rise, run = slopes[at] - slopes[at - 1], points[at] - points[at - order]
            slopes[at] = rise * _inverse(run) % PRIME
    shares = {}
    for number in numbers:
        value = 0
        for point, slope in zip(reversed(points), reversed(slopes), strict=True):
            value = (value * (number - point) + slope) % PRIME
        shares[number] = _bytes(value)
    return shares


def weights(points: tuple[int, ...]) -> dict[int, int]:
    """Lagrange's weights at 0 for shares of the given numbers; they serve every secret."""
    found = {}
    for point in points:
        above = below = 1
        for other in points:
            if other != point:
                above = above * other % PRIME
                below = below * (other - point) % PRIME
        found[point] = above * pow(below, -1, PRIME) % PRIME
    return found


def combine(shares: Mapping[int, bytes], weights: Mapping[int, int]) -> bytes:
    """The secret of ``shares`` by member's number; ``weights`` are those of the same numbers.

    Wrong shares give a wrong secret: compare it with a digest of the right one.
    """
    return _bytes(sum(_number(share) * weights[point] for point, share in shares.items()))


@lru_cache(maxsize=256)
def _inverse(number: int) -> int:
    return pow(number, -1, PRIME)


def _number(element: bytes) -> int:
    number = int.from_bytes(element, "big")
    if len(element) != SIZE or number >= PRIME:
        raise AggregationError("a share or secret is not of the field")
    return number


def _bytes(number: int) -> bytes:
    return (number % PRIME).to_bytes(SIZE, "big")
