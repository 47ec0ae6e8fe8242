"""A signature is by one key, over one content, for one purpose, in one spelling; keys stay in."""

import logging
import pickle
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from common.errors import ConfigError, SignatureError
from common.trust.keys import PublicKey, SigningKey, decode, encode
from server.admission.authority import private_pem

KEY = SigningKey.generate()


@given(st.text(max_size=20), st.binary(max_size=200))
def test_a_signature_verifies(purpose: str, content: bytes) -> None:
    KEY.public.verify(purpose, content, KEY.sign(purpose, content))


@given(st.binary(min_size=1, max_size=100), st.data())
def test_one_altered_bit_of_content_or_signature_is_refused(
    content: bytes, data: st.DataObject
) -> None:
    signature = KEY.sign("roster", content)
    words = bytearray(content + signature)
    bit = data.draw(st.integers(0, 8 * len(words) - 1))
    words[bit // 8] ^= 1 << bit % 8
    with pytest.raises(SignatureError):
        KEY.public.verify("roster", bytes(words[: len(content)]), bytes(words[len(content) :]))


@given(st.text(max_size=9), st.binary(max_size=20), st.text(max_size=9), st.binary(max_size=20))
def test_purpose_and_content_never_flow_into_each_other(
    purpose: str, content: bytes, other: str, others: bytes
) -> None:
    signature = KEY.sign(purpose, content)
    if (purpose, content) == (other, others):
        KEY.public.verify(other, others, signature)
    else:
        with pytest.raises(SignatureError, match="not by the key expected"):
            KEY.public.verify(other, others, signature)


@given(st.binary(max_size=30), st.integers(0, 8))
def test_a_purpose_that_is_a_beginning_of_another_is_another(content: bytes, cut: int) -> None:
    purpose = "ledger head"
    signature = KEY.sign(purpose[: -cut - 1], purpose[-cut - 1 :].encode() + content)
    with pytest.raises(SignatureError):
        KEY.public.verify(purpose, content, signature)


def test_another_key_is_not_this_one() -> None:
    with pytest.raises(SignatureError):
        SigningKey.generate().public.verify("roster", b"x", KEY.sign("roster", b"x"))


@pytest.mark.parametrize("length", [0, 1, 63, 65, 1000])
def test_a_signature_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(SignatureError):
        KEY.public.verify("roster", b"x", bytes(length))


# public keys ----------------------------------------------------------------------------------


def test_a_public_key_is_read_as_it_is_written() -> None:
    read = PublicKey.of(KEY.public.text)
    assert read == KEY.public and hash(read) == hash(KEY.public)
    assert read.fingerprint == KEY.public.fingerprint
    assert read != SigningKey.generate().public and read != KEY.public.text


@given(st.text(max_size=60))
def test_any_other_text_is_no_key(text: str) -> None:
    try:
        found = PublicKey.of(text)
    except SignatureError:
        return
    assert found.text == text


@given(st.binary(max_size=70), st.data())
def test_base64_has_one_spelling(raw: bytes, data: st.DataObject) -> None:
    """Unused bits of the last letter, other alphabets, spaces: all are other texts."""
    text = encode(raw)
    assert decode(text) == raw
    at = data.draw(st.integers(0, len(text)))
    put = data.draw(st.text(max_size=2))
    changed = text[:at] + put + text[at + 1 :]
    try:
        assert decode(changed) != raw or changed == text
    except ValueError:
        assert changed != text


def test_one_key_cannot_be_spelt_twice() -> None:
    """The last letter of 32 bytes has bits that mean nothing: two texts would be two sites."""
    text = KEY.public.text
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    twin = text[:-2] + letters[letters.index(text[-2]) ^ 1] + "="
    with pytest.raises(SignatureError):
        PublicKey.of(twin)


# files ----------------------------------------------------------------------------------------


def test_a_key_is_saved_for_its_owner_alone_and_never_over_another(tmp_path: Path) -> None:
    path = tmp_path / "key"
    KEY.save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert SigningKey.load(path).public == KEY.public
    with pytest.raises(ConfigError, match="File exists"):
        SigningKey.generate().save(path)
    assert SigningKey.load(path).public == KEY.public


def test_a_key_is_not_saved_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigError):
        KEY.save(tmp_path / "link")
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666, 0o620])
def test_a_key_that_others_may_touch_is_not_used(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "key"
    KEY.save(path)
    path.chmod(mode)
    with pytest.raises(ConfigError, match="chmod 600"):
        SigningKey.load(path)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "is not a private key"),
        (b"-----BEGIN PRIVATE KEY-----\n", "is not a private key"),
        (private_pem(ec.generate_private_key(ec.SECP384R1())), "is not an Ed25519 key"),
    ],
)
def test_a_file_that_is_no_key_is_told_and_not_repeated(
    tmp_path: Path, content: bytes, told: str
) -> None:
    path = tmp_path / "key"
    path.touch(mode=0o600)
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=told) as caught:
        SigningKey.load(path)
    assert "BEGIN" not in str(caught.value)
    with pytest.raises(ConfigError, match="No such file"):
        SigningKey.load(tmp_path / "nothing")


def test_a_key_is_neither_printed_logged_nor_pickled(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("common").debug("%s %r", KEY, {"key": KEY})
    assert "SigningKey(...)" in caplog.text
    body = b"".join(KEY.pem().splitlines()[1:-1]).decode()
    assert body not in caplog.text
    with pytest.raises(TypeError):
        pickle.dumps(KEY)
    with pytest.raises(TypeError):
        pickle.dumps([KEY])
