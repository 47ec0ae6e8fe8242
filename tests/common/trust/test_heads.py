"""A ledger head is one site's own word about one row of its ledger."""

import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import ConfigError, SignatureError
from common.trust.heads import PURPOSE, SignedHead, read_head
from common.trust.keys import SigningKey
from common.trust.signed import Signed, seal

KEY = SigningKey.generate()


def head(sequence: int = 3, mac: bytes = b"row") -> SignedHead:
    tag = hashlib.sha256(mac).hexdigest()
    return SignedHead(federation="f" * 64, site="north", sequence=sequence, mac=tag)


@given(st.integers(0, 10**9), st.binary(max_size=9))
def test_a_head_is_read_as_it_was_signed(sequence: int, mac: bytes) -> None:
    made = head(sequence, mac)
    assert read_head(Signed.from_json(made.sign(KEY).to_json()), KEY.public) == made


@given(st.floats(0, 0.9999), st.text(max_size=1))
def test_not_a_letter_of_it_can_be_altered(place: float, put: str) -> None:
    signed = head().sign(KEY)
    at = int(place * len(signed.content))
    changed = signed.content[:at] + put + signed.content[at + 1 :]
    if changed != signed.content:
        with pytest.raises(SignatureError):
            read_head(Signed(changed, signed.signature), KEY.public)


def test_a_head_of_another_site_is_not_this_ones() -> None:
    with pytest.raises(SignatureError):
        read_head(head().sign(SigningKey.generate()), KEY.public)


@pytest.mark.parametrize("purpose", ["charter", "roster", "presence", "admission question"])
def test_nothing_else_a_site_signs_becomes_a_head(purpose: str) -> None:
    words = {"federation": "f", "site": "north", "sequence": 1, "mac": "0" * 64}
    with pytest.raises(SignatureError):
        read_head(seal(KEY, purpose, words), KEY.public)
    assert read_head(seal(KEY, PURPOSE, words), KEY.public).sequence == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"sequence": -1},
        {"sequence": "1"},
        {"sequence": 1.0},
        {"sequence": True},
        {"mac": ""},
        {"mac": "0" * 63},
        {"mac": "g" * 64},
        {"mac": "0" * 66},
        {"more": 1},
        {"site": None},
    ],
)
def test_signed_words_that_are_no_head_are_refused(changes: dict[str, Any]) -> None:
    words = {"federation": "f", "site": "north", "sequence": 1, "mac": "0" * 64, **changes}
    with pytest.raises(SignatureError, match="not a ledger head"):
        read_head(seal(KEY, PURPOSE, words), KEY.public)


def test_a_head_that_is_none_is_not_made() -> None:
    with pytest.raises(ConfigError, match="a row number and 32 bytes"):
        SignedHead(federation="f", site="north", sequence=-1, mac="0" * 64)
