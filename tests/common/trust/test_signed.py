"""The exact words that were signed travel; nothing is parsed before they verify."""

import contextlib
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import SignatureError
from common.trust import signed as module
from common.trust.keys import SigningKey
from common.trust.signed import Signed, seal, unseal

KEY = SigningKey.generate()
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)  # fmt: skip
TABLES = st.dictionaries(st.text(max_size=9), VALUES, max_size=5)


@given(TABLES)
def test_a_table_comes_back_as_it_was_sealed(table: dict[str, Any]) -> None:
    signed = seal(KEY, "roster", table)
    assert unseal(KEY.public, "roster", Signed.from_json(signed.to_json())) == table


@given(TABLES)
def test_the_same_table_has_the_same_words_whatever_its_order(table: dict[str, Any]) -> None:
    turned = dict(reversed(list(table.items())))
    assert seal(KEY, "roster", turned) == seal(KEY, "roster", table)
    assert " " not in seal(KEY, "roster", {"a": [1, 2], "b": 1}).content


@given(TABLES, st.floats(0, 0.9999), st.text(max_size=2))
def test_every_alteration_of_words_or_signature_is_refused(
    table: dict[str, Any], place: float, put: str
) -> None:
    signed = seal(KEY, "roster", table)
    for words, make in (
        (signed.content, lambda text: Signed(text, signed.signature)),
        (signed.signature, lambda text: Signed(signed.content, text)),
    ):
        at = int(place * len(words))
        changed = words[:at] + put + words[at + 1 :]
        if changed == words:
            continue
        with pytest.raises(SignatureError):
            unseal(KEY.public, "roster", make(changed))


@given(TABLES)
def test_what_was_sealed_for_one_purpose_is_nothing_for_another(table: dict[str, Any]) -> None:
    with pytest.raises(SignatureError):
        unseal(KEY.public, "charter", seal(KEY, "roster", table))


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused_as_one_error(text: str) -> None:
    with contextlib.suppress(SignatureError):
        assert Signed.from_json(text).to_json()


@pytest.mark.parametrize(
    "text",
    [
        '{"content": "{}"}',
        '{"content": "{}", "signature": 1}',
        '{"content": "{}", "signature": "", "more": 1}',
        '{"content": "{}", "content": "{}", "signature": ""}',
        "[]",
        "[" * 100_000,
        "9" * 5000,
        "\ud800",
    ],
)
def test_what_is_no_envelope_is_refused(text: str) -> None:
    with pytest.raises(SignatureError):
        Signed.from_json(text)


def test_a_text_without_an_end_is_not_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LONGEST", 10)
    with pytest.raises(SignatureError, match="too long"):
        Signed.from_json(" " * 11)


@pytest.mark.parametrize("content", ['{"a":1,"a":2}', '{"a":NaN}', '{"a":-Infinity}', "[1]", "{"])
def test_even_signed_words_must_mean_one_thing(content: str) -> None:
    words = Signed(content, module.encode(KEY.sign("roster", content.encode())))
    with pytest.raises(SignatureError):
        unseal(KEY.public, "roster", words)


def test_nothing_is_parsed_before_it_verifies(monkeypatch: pytest.MonkeyPatch) -> None:
    def parsed(*_: Any, **__: Any) -> Any:
        raise AssertionError("parsed")

    signed = seal(SigningKey.generate(), "roster", {"a": 1})
    monkeypatch.setattr(json, "loads", parsed)
    with pytest.raises(SignatureError, match="not by the key expected"):
        unseal(KEY.public, "roster", signed)


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_what_is_no_number_is_not_sealed(number: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        seal(KEY, "roster", {"a": number})


def test_lone_surrogates_neither_break_nor_verify() -> None:
    with pytest.raises(SignatureError):
        unseal(KEY.public, "roster", Signed("\ud800", seal(KEY, "roster", {}).signature))
