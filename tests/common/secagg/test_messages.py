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
    Shares,
    SiteKeys,
    Survivors,
    boxed,
)
from common.secagg.packing import Message
from common.trust.keys import SigningKey
from tests.small_secagg import names, small_context, small_terms

KEY = SigningKey.generate()
CONTEXT = small_context(small_terms(4))
SITE_KEYS = SiteKeys(b"m" * 32, b"s" * 32).signed("site-a", KEY, CONTEXT)
MESSAGES: list[Message] = [
    SITE_KEYS,
    Cohort(("site-a", "site-b"), (SITE_KEYS, SITE_KEYS)),
    Cohort((), ()),
    Dealing(b"d" * 16, b"b" * 64, b"c" * 36),
    Boxes(("site-a", "site-b"), (b"", b"b" * 32), (b"c" * 12, b"c" * 12)),
    Masked(os.urandom(400)),
    Survivors(("site-a",), ("site-b", "site-c")),
    Consents(("site-a",), (Consent().signed("site-a", KEY, CONTEXT),)),
    Shares(b"s" * 96),
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
        lambda: SiteKeys(b"short", b"s" * 32),
        lambda: SiteKeys(b"m" * 32, b"s" * 32, signature=b"short"),
        lambda: Dealing(b"d" * 16, b"b" * 31, b"c" * 12),
        lambda: Dealing(b"d" * 16, b"b" * 32, b"c" * 8),
        lambda: Dealing(b"d" * 15, b"b" * 32, b"c" * 12),
        lambda: Dealing(b"d" * 16, b"", b"c" * 12 * 65),
        lambda: Boxes(("site-a",), (), (b"c" * 12,)),
        lambda: Boxes(("site-a",), (b"",), ()),
        lambda: Shares(b"s" * 31),
        lambda: Cohort(("site-a",) * 65, (SITE_KEYS,) * 65),
        lambda: Cohort(("site-a",), ()),
        lambda: Consents(("site-a",), ()),
    ):
        with pytest.raises(WireError):
            wrong()


def test_a_signature_is_good_for_one_key_attempt_view_and_kind_of_message() -> None:
    view = b"v" * 32
    consent = Consent().signed("site-a", KEY, CONTEXT, view)
    consent.verify("site-a", KEY.public, CONTEXT, view)
    other = small_context(small_terms(4), attempt=2)
    for site, key, context, seen in (
        ("site-b", KEY.public, CONTEXT, view),
        ("site-a", SigningKey.generate().public, CONTEXT, view),
        ("site-a", KEY.public, other, view),
        ("site-a", KEY.public, CONTEXT, b"w" * 32),
    ):
        with pytest.raises(SignatureError, match=site):
            consent.verify(site, key, context, seen)
    shares = Shares(b"", signature=consent.signature)
    with pytest.raises(SignatureError):
        shares.verify("site-a", KEY.public, CONTEXT, view)
    with pytest.raises(SignatureError):
        Consent().verify("site-a", KEY.public, CONTEXT, view)


def test_a_length_has_one_form_and_an_end() -> None:
    """127 bytes are announced by one byte, 128 by two; no other writing of it is read."""
    assert Masked(bytes(127)).to_bytes()[:3] == b"\0\x7f\0"
    assert Masked(bytes(128)).to_bytes()[:4] == b"\0\x80\1\0"
    for wrong in (b"\0\x81\0A", b"\0\x80\0", b"\0\x80", b"\0\xff\xff\xff\xff\xff\0", b"\0\2A"):
        with pytest.raises(WireError):
            Masked.from_bytes(wrong)


@pytest.mark.parametrize("sites", [3, 4, 7, 64])
def test_who_gets_no_box_follows_from_who_is_there_alone(sites: int) -> None:
    cohort = names(sites)
    for threshold in range(3, sites + 1):
        for dealer in cohort:
            some = boxed(cohort, dealer, threshold)
            assert len(some) == sites - threshold
            assert dealer not in some
            assert some == tuple(sorted(some, key=cohort.index))
