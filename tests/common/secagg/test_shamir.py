"""Any threshold of shares make the secret; one fewer says nothing of it."""

import itertools
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import AggregationError
from common.secagg import shamir

NUMBERS = st.integers(0, shamir.PRIME - 1)
SECRETS = NUMBERS.map(lambda n: n.to_bytes(shamir.SIZE, "big"))


def dealt(secret: bytes, threshold: int, members: int, pads: dict[int, bytes]) -> dict[int, bytes]:
    """All shares by number; ``pads`` has those that need not be sent."""
    rest = [number for number in range(1, members + 1) if number not in pads]
    assert len(pads) == threshold - 1
    return pads | shamir.share(secret, pads, rest)


def drawn(threshold: int, members: int) -> dict[int, bytes]:
    numbers = range(members, members - threshold + 1, -1)
    return {number: shamir.draw(os.urandom) for number in numbers}


@given(secret=SECRETS, data=st.data())
def test_every_threshold_of_shares_makes_the_secret(secret: bytes, data: st.DataObject) -> None:
    members = data.draw(st.integers(3, 64))
    threshold = data.draw(st.integers(1, members))
    order = data.draw(st.permutations(range(1, members + 1)))
    pads = {number: shamir.draw(os.urandom) for number in order[: threshold - 1]}
    shares = dealt(secret, threshold, members, pads)
    points = data.draw(st.permutations(range(1, members + 1)))[:threshold]
    chosen = {point: shares[point] for point in points}
    assert shamir.combine(chosen, shamir.weights(tuple(points))) == secret


@given(secret=SECRETS, other=SECRETS, data=st.data())
def test_one_share_too_few_fits_any_secret(
    secret: bytes, other: bytes, data: st.DataObject
) -> None:
    """A polynomial goes through the known shares, pads or not, and any secret one likes."""
    members = data.draw(st.integers(3, 12))
    threshold = data.draw(st.integers(2, members))
    shares = dealt(secret, threshold, members, drawn(threshold, members))
    known = data.draw(st.permutations(range(1, members + 1)))[: threshold - 1]
    fitting = {number: shares[number] for number in known}
    unknown = [number for number in shares if number not in fitting]
    wished = fitting | shamir.share(other, fitting, unknown)
    points = tuple(sorted((*known, unknown[0])))
    chosen = {point: wished[point] for point in points}
    assert shamir.combine(chosen, shamir.weights(points)) == other
    assert all((wished[number] == shares[number]) is (other == secret) for number in unknown)


@given(one=NUMBERS, other=NUMBERS)
def test_sums_and_differences_are_those_of_the_field(one: int, other: int) -> None:
    a, b = (number.to_bytes(16, "big") for number in (one, other))
    assert int.from_bytes(shamir.plus(a, b), "big") == (one + other) % shamir.PRIME
    assert shamir.plus(shamir.minus(a, b), b) == a
    assert shamir.reduced(b"\0" * 16 + a) == a
    wide = (shamir.PRIME * 5 + one).to_bytes(32, "big")
    assert shamir.reduced(wide) == a


def test_shares_below_the_threshold_are_uniform_whatever_the_secret() -> None:
    for secret in (bytes(16), b"\x01" * 16):
        first = [dealt(secret, 2, 3, drawn(2, 3))[1][0] for _ in range(4000)]
        counts = [sum(byte % 8 == k for byte in first) for k in range(8)]
        assert sum((count - 500) ** 2 / 500 for count in counts) < 45  # chance 1e-7


def test_a_changed_share_changes_the_secret() -> None:
    secret = shamir.draw(os.urandom)
    shares = dealt(secret, 3, 4, drawn(3, 4))
    for points in itertools.combinations(shares, 3):
        chosen = {point: shares[point] for point in points}
        chosen[points[0]] = bytes(16)
        assert shamir.combine(chosen, shamir.weights(points)) != secret


@pytest.mark.parametrize("wrong", [b"\xff" * 16, b"short", bytes(17)])
def test_what_is_not_of_the_field_is_refused(wrong: bytes) -> None:
    good = bytes(16)
    for use in (
        lambda: shamir.combine({1: wrong}, {1: 1}),
        lambda: shamir.share(wrong, {1: good}, (2,)),
        lambda: shamir.share(good, {1: wrong}, (2,)),
        lambda: shamir.plus(good, wrong),
        lambda: shamir.minus(wrong, good),
    ):
        with pytest.raises(AggregationError):
            use()


def test_a_draw_outside_the_field_is_drawn_again() -> None:
    draws = iter([b"\xff" * 16, b"\x07" * 16])
    assert shamir.draw(lambda _: next(draws)) == b"\x07" * 16


def test_the_prime_is_the_largest_below_two_to_the_128() -> None:
    def probably(number: int) -> bool:
        return all(pow(base, number - 1, number) == 1 for base in (2, 3, 5, 7, 11, 13))

    assert [n for n in range(2**128 - 1, shamir.PRIME - 1, -1) if probably(n)] == [shamir.PRIME]
