"""What is said in a secure sum survives the trip, and nothing else is taken for it."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import SignatureError, WireError
from common.secagg.messages import (
    Boxes,
    Cohort,
    Consent,
    Consents,
    Dealing,
    Masked,
    Message,
    Shares,
    SiteKeys,
    Survivors,
)
from common.trust.keys import SigningKey
from tests.small_secagg import small_context, small_terms

KEY = SigningKey.generate()
CONTEXT = small_context(small_terms(4))
SITE_KEYS = SiteKeys("site-a", b"m" * 32, b"s" * 32).signed(KEY, CONTEXT)
MESSAGES: list[Message] = [
    SITE_KEYS,
    Cohort((SITE_KEYS, SITE_KEYS)),
    Cohort(()),
    Dealing("site-a", b"d" * 32, (b"", b"b" * 80), b"c" * 32),
    Boxes(("site-a", "site-b"), (b"", b"b" * 80)),
    Masked("site-a", os.urandom(40)),
    Survivors(("site-a",), ("site-b", "site-c")),
    Consents((Consent("site-a").signed(KEY, CONTEXT),)),
    Shares("site-a", b"s" * 96),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda m: type(m).__name__)
def test_a_message_is_read_as_it_was_written(message: Message) -> None:
    assert type(message).from_bytes(message.to_bytes()) == message


@pytest.mark.parametrize("message", MESSAGES, ids=lambda m: type(m).__name__)
@given(data=st.data())
def test_a_mutated_message_is_another_message_or_an_error(
    message: Message, data: st.DataObject
) -> None:
    raw = bytearray(message.to_bytes())
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at : at + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=6))
    try:
        found = type(message).from_bytes(bytes(raw))
    except WireError:
        return
    assert found.to_bytes() == bytes(raw)


@given(st.binary(max_size=300))
def test_noise_is_no_message_or_reads_back(raw: bytes) -> None:
    for kind in {type(message) for message in MESSAGES}:
        try:
            assert kind.from_bytes(raw).to_bytes() == raw
        except WireError:
            continue


def test_lengths_that_no_honest_site_sends_are_refused() -> None:
    for wrong in (
        lambda: SiteKeys("site-a", b"short", b"s" * 32),
        lambda: SiteKeys("Site A", b"m" * 32, b"s" * 32),
        lambda: Dealing("site-a", b"d" * 32, (b"b",), b"c" * 16),
        lambda: Dealing("site-a", b"d" * 32, (b"b" * 80,), b"c" * 8),
        lambda: Boxes(("site-a",), ()),
        lambda: Shares("site-a", b"s" * 31),
        lambda: Cohort((SITE_KEYS,) * 65),
    ):
        with pytest.raises(WireError):
            wrong()


def test_a_signature_is_good_for_one_key_attempt_view_and_kind_of_message() -> None:
    view = b"v" * 32
    consent = Consent("site-a").signed(KEY, CONTEXT, view)
    consent.verify(KEY.public, CONTEXT, view)
    other = small_context(small_terms(4), attempt=2)
    for key, context, seen in (
        (SigningKey.generate().public, CONTEXT, view),
        (KEY.public, other, view),
        (KEY.public, CONTEXT, b"w" * 32),
    ):
        with pytest.raises(SignatureError, match="site-a"):
            consent.verify(key, context, seen)
    shares = Shares("site-a", b"", signature=consent.signature)
    with pytest.raises(SignatureError):
        shares.verify(KEY.public, CONTEXT, view)
    with pytest.raises(SignatureError):
        Consent("site-a").verify(KEY.public, CONTEXT, view)
