"""Both ends of a pair find the same keys, and no two uses share one."""

import os

import numpy as np
import pytest

from common.errors import AggregationError
from common.secagg import masks
from common.secagg.masks import End
from tests.small_secagg import small_grid

ATTEMPT = b"a" * 32


def pair() -> tuple[bytes, End, bytes, End]:
    first, second = os.urandom(32), os.urandom(32)
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
    assert masks.public_of(nine).hex() == expected


def test_both_ends_derive_the_same_mask_and_box_keys() -> None:
    a, end_a, b, end_b = pair()
    assert masks.mask_key(a, end_a, end_b, ATTEMPT) == masks.mask_key(b, end_b, end_a, ATTEMPT)
    there = masks.box_key(a, (end_a, end_b), end_b.key, ATTEMPT)
    assert there == masks.box_key(b, (end_a, end_b), end_a.key, ATTEMPT)


def test_no_two_uses_share_a_key() -> None:
    a, end_a, _, end_b = pair()
    keys = {
        masks.mask_key(a, end_a, end_b, ATTEMPT),
        masks.mask_key(a, end_a, end_b, b"b" * 32),
        masks.mask_key(a, end_a, End("c", end_b.key), ATTEMPT),
        masks.box_key(a, (end_a, end_b), end_b.key, ATTEMPT),
        masks.box_key(a, (end_b, end_a), end_b.key, ATTEMPT),
        masks.self_key(a, "a", ATTEMPT),
        masks.self_key(a, "b", ATTEMPT),
    }
    assert len(keys) == 7


@pytest.mark.parametrize("weak", [bytes(32), b"\1" + bytes(31)])
def test_a_key_of_small_order_agrees_on_nothing(weak: bytes) -> None:
    a, end_a, _, _ = pair()
    with pytest.raises(AggregationError):
        masks.mask_key(a, end_a, End("b", weak), ATTEMPT)


def test_a_box_opens_with_its_key_and_binding_only() -> None:
    box = masks.shut(b"k" * 32, b"s" * 64, b"from|to")
    assert len(box) == masks.BOX
    assert masks.opened(b"k" * 32, box, b"from|to") == b"s" * 64
    for key, content, bound in (
        (b"l" * 32, box, b"from|to"),
        (b"k" * 32, box[:-1] + bytes([box[-1] ^ 1]), b"from|to"),
        (b"k" * 32, box, b"to|from"),
        (b"k" * 32, b"", b"from|to"),
    ):
        with pytest.raises(AggregationError):
            masks.opened(key, content, bound)


def test_a_stream_is_chacha20_and_has_the_words_of_the_grid() -> None:
    """The first block of RFC 8439's all-zero test vector (appendix A.1, number 1)."""
    grid = small_grid(3)
    words = masks.stream(bytes(32), 4, grid)
    assert words.tobytes().hex() == "76b8e0ada0f13d90405d6ae55386bd28"
    assert words.dtype == np.dtype("<u4")
