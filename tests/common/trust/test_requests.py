"""What a site sends to be admitted names its keys, is signed by each, and is read strictly."""

import dataclasses
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from common.errors import ConfigError, MascaronError, SignatureError, VersionError, WireError
from common.trust.admission import (
    LONGEST,
    Question,
    make_csr,
    read_envelope,
    read_question,
    read_request,
    send_question,
    send_request,
)
from common.trust.fingerprints import read_typed, spoken
from common.trust.keys import SigningKey
from common.trust.nodes import check_node, load_node_key, node_text, read_node, sign_as_node
from common.trust.token import Token
from tests.small_federation import PaperSite

FEDERATION = "f" * 64
TOKEN = Token.generate(b"a CA")
SITE = PaperSite()
P384 = ec.SECP384R1()


def sent(site: PaperSite = SITE, **changes: Any) -> bytes:
    request = site.asked(FEDERATION, **changes)
    return send_request(request, site.key, site.node_key, TOKEN).to_json()


def test_a_request_is_read_as_it_was_sent() -> None:
    envelope = read_envelope(sent(trunk="0" * 64))
    assert TOKEN.proves(envelope.proven, envelope.proof)
    request = read_request(envelope)
    assert request.identity == SITE.key.public
    assert request.entry().node == SITE.node
    assert (request.name, request.people, request.trunk) == ("north", 240, "0" * 64)


def test_a_request_holds_no_private_part() -> None:
    body = sent()
    assert b"PRIVATE" not in body
    assert len(body) < LONGEST / 4


def test_the_same_request_has_the_same_words_every_time() -> None:
    assert json.loads(sent())["content"] == json.loads(sent())["content"]


@given(st.sampled_from(["identity", "content", "signature", "node_signature"]), st.data())
def test_no_part_of_a_request_can_be_put_in_the_place_of_another(
    field: str, data: st.DataObject
) -> None:
    mine, other = json.loads(sent()), json.loads(sent(PaperSite("south")))
    envelope = read_envelope(json.dumps({**mine, field: other[field]}).encode())
    with pytest.raises((SignatureError, WireError)):
        read_request(envelope)


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_as_one_error(body: bytes) -> None:
    with pytest.raises(WireError):
        read_envelope(body)


@given(
    st.dictionaries(
        st.sampled_from(["protocol", "identity", "content", "signature", "proof", "x"]),
        st.none() | st.integers() | st.text(max_size=5) | st.just(1) | st.lists(st.none()),
    )
)
def test_any_object_is_refused_as_ours(table: dict[str, Any]) -> None:
    with pytest.raises(MascaronError):
        read_request(read_envelope(json.dumps(table).encode()))


def test_another_protocol_is_told_from_nonsense() -> None:
    with pytest.raises(VersionError):
        read_envelope(json.dumps({**json.loads(sent()), "protocol": 2}).encode())


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "../north"},
        {"people": 0},
        {"camera_type": "\x1b[2J"},
        {"trunk": "0" * 65},
        {"trunk": "\n"},
        {"csr": "text"},
        {"csr": "-----BEGIN CERTIFICATE REQUEST-----\n-----END CERTIFICATE REQUEST-----"},
        {"node": "ssh-rsa AAAA"},
        {"node": ""},
    ],
)
def test_what_cannot_be_declared_is_not(changes: dict[str, Any]) -> None:
    with pytest.raises(MascaronError):
        SITE.asked(FEDERATION, **changes)


def test_a_csr_of_an_altered_key_is_none() -> None:
    csr = make_csr(SITE.key, "north")
    lines = csr.splitlines()
    for at in range(1, len(lines) - 1):
        for sign in ("A", "Z"):
            line = lines[at][:9] + sign + lines[at][10:]
            if line == lines[at]:
                continue
            changed = "\n".join([*lines[:at], line, *lines[at + 1 :], ""])
            with pytest.raises(MascaronError):
                SITE.asked(FEDERATION, csr=changed)


def test_a_question_is_not_a_request_and_a_request_no_question() -> None:
    question = send_question(Question(federation=FEDERATION, ask="status", time=1), SITE.key)
    assert read_question(question)[0] == SITE.key.public
    with pytest.raises(SignatureError):
        read_request(question)
    with pytest.raises(SignatureError):
        read_question(read_envelope(sent()))


@pytest.mark.parametrize("changes", [{"ask": "roster"}, {"time": "now"}, {"time": 1.5}])
def test_a_question_that_cannot_be_meant_is_refused(changes: dict[str, Any]) -> None:
    question = dataclasses.replace(Question(federation=FEDERATION, ask="status", time=1), **changes)
    with pytest.raises(WireError):
        read_question(send_question(question, SITE.key))


# node keys ------------------------------------------------------------------------------------


def test_a_node_key_has_one_text_whatever_its_comment() -> None:
    for line in (SITE.node, f" {SITE.node} somebody@somewhere\n"):
        assert node_text(read_node(line)) == SITE.node


@pytest.mark.parametrize(
    "key",
    [
        ec.generate_private_key(ec.SECP256R1()),
        Ed25519PrivateKey.generate(),
        rsa.generate_private_key(public_exponent=65537, key_size=2048),
    ],
)
def test_only_p384_keys_are_nodes(key: Any) -> None:
    form = serialization.PublicFormat.OpenSSH
    line = key.public_key().public_bytes(serialization.Encoding.OpenSSH, form).decode()
    with pytest.raises(SignatureError, match="ecdsa-sha2-nistp384"):
        read_node(line)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    with pytest.raises(ConfigError, match="not an EC P-384 private key"):
        load_node_key(pem)


@given(st.text(max_size=60))
def test_any_other_text_is_no_node(text: str) -> None:
    with pytest.raises(SignatureError):
        read_node(text)


@pytest.mark.parametrize(
    "form", [serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.OpenSSH]
)
def test_a_node_key_is_loaded_from_either_form(form: Any) -> None:
    none = serialization.NoEncryption()
    pem = SITE.node_key.private_bytes(serialization.Encoding.PEM, form, none)
    assert node_text(load_node_key(pem).public_key()) == SITE.node


@given(st.binary(max_size=50), st.binary(max_size=50))
def test_a_node_signs_one_content(content: bytes, other: bytes) -> None:
    signature, key = sign_as_node(SITE.node_key, content), SITE.node_key.public_key()
    check_node(key, content, signature)
    if other != content:
        with pytest.raises(SignatureError):
            check_node(key, other, signature)
    with pytest.raises(SignatureError):
        check_node(ec.generate_private_key(P384).public_key(), content, signature)


# fingerprints ---------------------------------------------------------------------------------


@given(st.binary(min_size=32, max_size=32), st.integers(8, 16), st.sampled_from(" -:\t"))
def test_a_fingerprint_survives_the_telephone(raw: bytes, groups: int, between: str) -> None:
    told = spoken(raw.hex())
    typed = between.join(told.split("-")[:groups]).upper()
    assert raw.hex().startswith(read_typed(typed))
    assert len(read_typed(typed)) == 4 * groups


@given(st.text(max_size=80))
def test_a_typed_text_is_a_fingerprint_or_refused(text: str) -> None:
    try:
        digits = read_typed(text)
    except ConfigError:
        return
    assert 32 <= len(digits) <= 64 and set(digits) <= set("0123456789abcdef")


def test_less_than_half_proves_nothing() -> None:
    with pytest.raises(ConfigError, match="at least the first 8"):
        read_typed("0" * 31)


def test_keys_that_are_made_are_not_alike() -> None:
    assert SigningKey.generate().public.fingerprint != SITE.key.public.fingerprint
