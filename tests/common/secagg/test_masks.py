"""Both ends of a pair find the same keys, and no two uses share one."""

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from scipy import stats

from common.errors import AggregationError
from common.secagg import masks
from common.secagg.masks import End
from tests.small_secagg import small_grid

ATTEMPT, COHORT = b"a" * 32, b"v" * 32


def pair() -> tuple[X25519PrivateKey, End, X25519PrivateKey, End]:
    first, second = X25519PrivateKey.generate(), X25519PrivateKey.generate()
    return (
        first,
        End("a", masks.public_of(first)),
        second,
        End("b", masks.public_of(second)),
    )


def test_the_key_agreement_is_x25519() -> None:
    """RFC 7748, section 5.2: one iteration from the base point."""
    nine = b"\x09" + bytes(31)
    expected = "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079"
    private = X25519PrivateKey.from_private_bytes(nine)
    assert masks.public_of(private).hex() == expected
    assert masks.agreed(private, nine).hex() == expected


def test_both_ends_derive_the_same_mask_keys_and_pads() -> None:
    a, end_a, b, end_b = pair()
    agreed = masks.agreed(a, end_b.key)
    assert agreed == masks.agreed(b, end_a.key)
    there = masks.mask_key(agreed, end_a, end_b, ATTEMPT)
    assert there == masks.mask_key(agreed, end_b, end_a, ATTEMPT)
    assert there not in masks.pads(agreed, (end_a, end_b), COHORT, ATTEMPT)


def test_no_two_uses_share_a_key_or_a_pad() -> None:
    """A pad names dealer and keeper in this order, the cohort, the attempt and the secret."""
    a, end_a, _, end_b = pair()
    agreed, secret = masks.agreed(a, end_b.key), b"s" * 16
    keys = {
        masks.mask_key(agreed, end_a, end_b, ATTEMPT),
        masks.mask_key(agreed, end_a, end_b, b"b" * 32),
        masks.mask_key(agreed, end_a, End("c", end_b.key), ATTEMPT),
        *masks.pads(agreed, (end_a, end_b), COHORT, ATTEMPT),
        *masks.pads(agreed, (end_b, end_a), COHORT, ATTEMPT),
        *masks.pads(agreed, (end_a, end_b), b"w" * 32, ATTEMPT),
        *masks.pads(agreed, (end_a, end_b), COHORT, b"b" * 32),
        *masks.pads(agreed, (end_a, End("c", end_b.key)), COHORT, ATTEMPT),
        masks.self_key(secret, "a", ATTEMPT),
        masks.self_key(secret, "b", ATTEMPT),
        masks.private_of(secret, "a", ATTEMPT).private_bytes_raw(),
        masks.private_of(secret, "b", ATTEMPT).private_bytes_raw(),
        masks.private_of(secret, "a", b"b" * 32).private_bytes_raw(),
    }
    assert len(keys) == 18


def test_pads_are_uniform_in_the_field() -> None:
    """Chi-square over the 256 values of each byte, of 4,000 pads under one agreed key."""
    rows = [
        b"".join(masks.pads(b"k" * 32, (End("a", b""), End("b", b"")), bytes([i, j]), ATTEMPT))
        for i in range(50)
        for j in range(80)
    ]
    for place in np.array([list(row) for row in rows]).T:
        assert stats.chisquare(np.bincount(place, minlength=256)).pvalue > 1e-5


@pytest.mark.parametrize("weak", [bytes(32), b"\1" + bytes(31)])
def test_a_key_of_small_order_agrees_on_nothing(weak: bytes) -> None:
    with pytest.raises(AggregationError):
        masks.agreed(pair()[0], weak)


def test_a_stream_is_chacha20_and_has_the_words_of_the_grid() -> None:
    """The first block of RFC 8439's all-zero test vector (appendix A.1, number 1)."""
    grid = small_grid(3)
    words = masks.stream(bytes(32), 4, grid)
    assert words.tobytes().hex() == "76b8e0ada0f13d90405d6ae55386bd28"
    assert words.dtype == np.dtype("<u4")
