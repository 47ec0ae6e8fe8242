"""Any threshold of shares make the secret; one fewer says nothing of it."""

import itertools
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import AggregationError
from common.secagg import shamir

SECRETS = st.integers(0, shamir.PRIME - 1).map(lambda n: n.to_bytes(shamir.SIZE, "big"))


@given(secret=SECRETS, data=st.data())
def test_every_threshold_of_shares_makes_the_secret(secret: bytes, data: st.DataObject) -> None:
    members = data.draw(st.integers(3, 64))
    threshold = data.draw(st.integers(1, members))
    shares = shamir.share(secret, threshold, members, os.urandom)
    points = data.draw(st.permutations(range(1, members + 1)))[:threshold]
    chosen = {point: shares[point - 1] for point in points}
    assert shamir.combine(chosen, shamir.weights(tuple(points))) == secret


@given(secret=SECRETS, other=SECRETS)
def test_one_share_too_few_fits_any_secret(secret: bytes, other: bytes) -> None:
    """There is a polynomial through the known shares and through whatever one likes at 0."""
    shares = shamir.share(secret, 3, 5, os.urandom)
    known = {1: int.from_bytes(shares[0], "big"), 2: int.from_bytes(shares[1], "big")}
    wished = int.from_bytes(other, "big")
    p = shamir.PRIME
    third = (wished - known[1] * 3 + known[2] * 3) % p  # weights of 1, 2, 3 at 0: 3, -3, 1
    chosen = {**{k: v.to_bytes(32, "big") for k, v in known.items()}, 3: third.to_bytes(32, "big")}
    assert shamir.combine(chosen, shamir.weights((1, 2, 3))) == other


def test_shares_below_the_threshold_are_uniform_whatever_the_secret() -> None:
    for secret in (bytes(32), b"\x01" * 32):
        first = [shamir.share(secret, 2, 3, os.urandom)[0][0] for _ in range(4000)]
        counts = [sum(byte % 8 == k for byte in first) for k in range(8)]
        assert sum((count - 500) ** 2 / 500 for count in counts) < 45  # chance 1e-7


def test_a_changed_share_changes_the_secret() -> None:
    secret = shamir.draw(os.urandom)
    shares = dict(enumerate(shamir.share(secret, 3, 4, os.urandom), start=1))
    for points in itertools.combinations(shares, 3):
        chosen = {point: shares[point] for point in points}
        chosen[points[0]] = bytes(32)
        assert shamir.combine(chosen, shamir.weights(points)) != secret


def test_what_is_not_of_the_field_is_refused() -> None:
    for share in (b"\xff" * 32, b"short", bytes(33)):
        with pytest.raises(AggregationError):
            shamir.combine({1: share}, {1: 1})


def test_a_draw_outside_the_field_is_drawn_again() -> None:
    draws = iter([b"\xff" * 32, b"\x07" * 32])
    assert shamir.draw(lambda _: next(draws)) == b"\x07" * 32


def test_the_prime_is_one() -> None:
    assert all(pow(base, shamir.PRIME - 1, shamir.PRIME) == 1 for base in (2, 3, 5, 7, 11, 13))
