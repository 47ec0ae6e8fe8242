"""Shamir's secret sharing: any ``threshold`` shares make a secret, fewer say nothing of it.

Shamir 1979, over the field of the largest prime below 2^256, so that a share has the 32 bytes of
the secret. A member's share is the polynomial's value at its number from 1.
"""

from collections.abc import Callable, Mapping

from common.errors import AggregationError

PRIME = 2**256 - 189
SIZE = 32  # bytes of a secret, and of a share


def draw(random: Callable[[int], bytes]) -> bytes:
    """A uniform secret; ``random(n)`` gives n random bytes."""
    while True:
        candidate = random(SIZE)
        if int.from_bytes(candidate, "big") < PRIME:
            return candidate


def share(
    secret: bytes, threshold: int, members: int, random: Callable[[int], bytes]
) -> tuple[bytes, ...]:
    """``members`` shares of a secret of ``draw``, for the numbers 1, 2, ...

    Guarantee: ``threshold`` - 1 of them are independent of the secret.
    """
    slopes = [_number(draw(random)) for _ in range(threshold - 1)]
    coefficients = (*slopes, _number(secret))  # from the highest power down
    shares = []
    for point in range(1, members + 1):
        value = 0
        for coefficient in coefficients:
            value = (value * point + coefficient) % PRIME
        shares.append(value.to_bytes(SIZE, "big"))
    return tuple(shares)


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
    total = sum(_number(share) * weights[point] for point, share in shares.items())
    return (total % PRIME).to_bytes(SIZE, "big")


def _number(secret: bytes) -> int:
    number = int.from_bytes(secret, "big")
    if len(secret) != SIZE or number >= PRIME:
        raise AggregationError("a share or secret is not of the field")
    return number
