"""Sealed records open in their own place alone, and keys show themselves to nobody."""

import copy
import logging
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.vault.consent import Consent, from_bytes, to_bytes
from client.vault.handles import DataKey, framed
from client.vault.identity import PersonId, TemplateId
from client.vault.providers import Cost, FileKeyProvider, KeyProvider, PassphraseProvider
from client.vault.records import (
    About,
    NewTemplate,
    Particulars,
    open_feature,
    open_particulars,
    seal_feature,
    seal_particulars,
)
from common.errors import ConfigError, ConsentError, ModelError, SealedError, VaultError

PARTS = st.lists(st.one_of(st.binary(max_size=6), st.text(max_size=4), st.integers(0, 2**40)))
FEATURE = np.linspace(-1, 1, 32).astype(np.float16)
CHEAP = Cost(iterations=1, lanes=1, memory=8)
CONSENT = Consent(
    purposes=frozenset({"verify", "training"}), text_hash="ab" * 32, given=10.0, expires=20.0
)


def about(**other: object) -> About:
    table: dict[str, object] = {
        "site": "north",
        "person": PersonId(b"p" * 16),
        "template": TemplateId(b"t" * 16),
        "trunk": b"h" * 32,
        "dim": 32,
        "row": 3,
    }
    return About(**(table | other))  # type: ignore[arg-type]


@given(PARTS, PARTS)
def test_no_two_lists_of_parts_have_the_same_text(one: list[bytes], other: list[bytes]) -> None:
    same = [(type(a), a) for a in one] == [(type(b), b) for b in other]
    assert (framed(*one) == framed(*other)) == same


@pytest.mark.parametrize(
    "other",
    [
        {"site": "south"},
        {"person": b"q" * 16},
        {"template": b"u" * 16},
        {"trunk": b"i" * 32},
        {"dim": 31},
        {"row": 4},
    ],
    ids=lambda table: next(iter(table)),
)
def test_a_feature_opens_in_no_other_place(other: dict[str, object]) -> None:
    key = DataKey.generate(os.urandom)
    sealed = seal_feature(key, FEATURE, 0.5, about())
    stored = open_feature(key, sealed, about())
    assert (stored.feature == FEATURE).all() and stored.quality == 0.5
    with pytest.raises(VaultError):
        open_feature(key, sealed, about(**other))


@given(st.data())
def test_any_flipped_bit_or_lost_byte_of_a_record_is_noticed(data: st.DataObject) -> None:
    key = DataKey.generate(os.urandom)
    sealed = bytearray(seal_feature(key, FEATURE, 0.5, about()))
    position = data.draw(st.integers(0, len(sealed) - 1))
    whole = bytes(sealed)
    sealed[position] ^= 1 << data.draw(st.integers(0, 7))
    for bad in (bytes(sealed), whole[:position]):
        with pytest.raises(VaultError):
            open_feature(key, bad, about())


def test_particulars_return_and_open_for_no_other_person() -> None:
    key, person = DataKey.generate(os.urandom), PersonId(b"p" * 16)
    what = Particulars(CONSENT, 12.5, "Ω the night nurse")
    sealed = seal_particulars(key, "north", person, what)
    assert open_particulars(key, "north", person, sealed) == what
    for site, other in (("south", person), ("north", PersonId(b"q" * 16))):
        with pytest.raises(VaultError):
            open_particulars(key, site, other, sealed)


@pytest.mark.parametrize(
    "bad",
    [
        np.zeros(4, np.float16),
        np.array([1, np.nan], np.float16),
        np.ones(2049, np.float16),
        np.ones((2, 2), np.float16),
        np.ones(4, np.float32),
        np.ones(0, np.float16),
    ],
)
def test_what_is_no_feature_is_refused(bad: np.ndarray) -> None:
    with pytest.raises(ModelError):
        NewTemplate(trunk="00" * 32, feature=bad)


def test_keys_and_features_show_nothing(caplog: pytest.LogCaptureFixture) -> None:
    raw = b"\xa7SECRETSECRET" + bytes(19)
    key = DataKey(raw, os.urandom)
    template = NewTemplate(trunk="00" * 32, feature=FEATURE)
    what = Particulars(CONSENT, 1.0, "Gertrude")
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("client").info("%r %s %r %r", key, key, template, what)
    for secret in ("SECRET", raw.hex(), "0.9", "Gertrude"):
        assert secret not in caplog.text
    for show in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            show(key)  # type: ignore[operator]
    assert not hasattr(key, "__dict__")
    key.wipe()
    key.wipe()
    uses: list[Callable[[], object]] = [
        lambda: key.seal(b"", b""),
        lambda: key.open(bytes(40), b""),
        lambda: key.tag(b""),
        lambda: key.derive("x"),
        lambda: key.sealed_with(lambda raw, about: raw, b""),
    ]
    for use in uses:
        with pytest.raises(VaultError):
            use()


def providers(folder: Path) -> list[KeyProvider]:
    words = folder / "words"
    words.write_text("a good long passphrase\n")
    words.chmod(0o600)
    return [FileKeyProvider.create(folder / "kek"), PassphraseProvider(words, CHEAP)]


def test_a_provider_unwraps_its_own_alone_and_says_which_it_is_not(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    for folder in (first, second):
        folder.mkdir()
    key = os.urandom(32)
    for one, other in zip(providers(first), providers(second), strict=True):
        wrapped = one.wrap(key, b"epoch 1")
        assert one.unwrap(wrapped, b"epoch 1") == key and key not in wrapped
        with pytest.raises(VaultError):
            one.unwrap(wrapped, b"epoch 2")
        for position in range(len(wrapped)):
            altered = bytearray(wrapped)
            altered[position] ^= 1
            with pytest.raises(VaultError):
                one.unwrap(bytes(altered), b"epoch 1")
            with pytest.raises(VaultError):
                one.unwrap(wrapped[:position], b"epoch 1")
        assert repr(one).endswith("(...)")
        with pytest.raises(TypeError):
            pickle.dumps(one)
        if isinstance(one, FileKeyProvider):
            with pytest.raises(SealedError):
                other.unwrap(wrapped, b"epoch 1")
    again = PassphraseProvider(first / "words", CHEAP)
    assert again.unwrap(providers_wrapped(first, key), b"x") == key


def providers_wrapped(folder: Path, key: bytes) -> bytes:
    return PassphraseProvider(folder / "words", CHEAP).wrap(key, b"x")


def test_keys_that_others_may_read_or_that_are_none_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "kek"
    FileKeyProvider.create(path)
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(ConfigError):
        FileKeyProvider.create(path)
    path.chmod(0o640)
    with pytest.raises(ConfigError):
        FileKeyProvider(path)
    for content in (b"", b"short", b"\xff" * 32):
        path.write_bytes(content)
        path.chmod(0o600)
        with pytest.raises(ConfigError):
            PassphraseProvider(path)
    path.write_bytes(bytes(31))
    with pytest.raises(ConfigError):
        FileKeyProvider(path)


@pytest.mark.parametrize(
    "bad",
    [
        {"purposes": frozenset()},
        {"purposes": frozenset({"verify", "advertising"})},
        {"text_hash": "AB" * 32},
        {"text_hash": ""},
        {"expires": 10.0},
        {"expires": float("inf")},
        {"given": float("nan")},
    ],
)
def test_consent_without_purpose_words_or_end_is_none(bad: dict[str, object]) -> None:
    table = {"purposes": {"verify"}, "text_hash": "ab" * 32, "given": 10.0, "expires": 20.0}
    with pytest.raises(ConsentError):
        Consent(**(table | bad))  # type: ignore[arg-type]


def test_consent_holds_from_its_first_moment_to_just_before_its_last() -> None:
    assert [CONSENT.covers("verify", t) for t in (9.9, 10, 19.9, 20)] == [0, 1, 1, 0]
    assert CONSENT.covers(None, 15) and not CONSENT.covers("identify", 15)
    with pytest.raises(ConsentError):
        CONSENT.covers("advertising", 15)
    assert from_bytes(to_bytes(CONSENT)) == CONSENT
    for bad in (b"", b"[]", b"{}", to_bytes(CONSENT)[:-1]):
        with pytest.raises(VaultError):
            from_bytes(bad)
