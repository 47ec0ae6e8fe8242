"""A token survives being read aloud, notices being misread, and gives its secret to nobody."""

import pickle

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from common.errors import AdmissionError
from common.trust.token import Token

CA = b"a certificate"
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
TOKENS = st.builds(Token, st.binary(min_size=16, max_size=16), st.binary(min_size=16, max_size=16))


def token() -> Token:
    return Token.generate(CA)


@given(st.data(), TOKENS)
def test_a_token_is_read_however_it_is_typed(data: st.DataObject, made: Token) -> None:
    typed = "".join(
        data.draw(st.sampled_from(_ways(letter))) + data.draw(st.sampled_from(["", " ", "-", "\n"]))
        for letter in made.text.replace("-", "")
    )
    assert Token.parse(typed).text == made.text


def _ways(letter: str) -> list[str]:
    digit = {"O": ["0"], "I": ["1"]}.get(letter, [])
    return [letter, letter.lower(), *digit]


@given(st.data(), TOKENS)
def test_one_wrong_letter_is_noticed(data: st.DataObject, made: Token) -> None:
    letters = made.text.replace("-", "")
    at = data.draw(st.integers(0, len(letters) - 1))
    other = data.draw(st.sampled_from(ALPHABET).filter(lambda letter: letter != letters[at]))
    with pytest.raises(AdmissionError, match="copy it again"):
        Token.parse(letters[:at] + other + letters[at + 1 :])


@given(st.data(), TOKENS)
def test_two_letters_in_the_wrong_order_are_noticed(data: st.DataObject, made: Token) -> None:
    letters = made.text.replace("-", "")
    unequal = [i for i in range(len(letters) - 1) if letters[i] != letters[i + 1]]
    assume(unequal)
    at = data.draw(st.sampled_from(unequal))
    with pytest.raises(AdmissionError, match="not right"):
        Token.parse(letters[:at] + letters[at + 1] + letters[at] + letters[at + 2 :])


@given(st.text(max_size=120))
def test_any_other_text_is_refused_with_what_to_do_and_without_repeating_it(text: str) -> None:
    with pytest.raises(AdmissionError, match="copy it again as `mascaron-admin init` printed it"):
        Token.parse(text)


@pytest.mark.parametrize("wrong", ["8", "9", "!", "é", "="])
def test_a_sign_that_no_token_has_is_told(wrong: str) -> None:
    letters = token().text.replace("-", "")
    with pytest.raises(AdmissionError, match="only the letters A-Z and the digits 2-7"):
        Token.parse(wrong + letters[1:])


def test_a_mistyped_token_is_not_repeated_in_the_error() -> None:
    letters = token().text.replace("-", "")
    with pytest.raises(AdmissionError) as caught:
        Token.parse(letters[1:] + letters[0])
    assert letters[5:15] not in str(caught.value)


@given(st.binary(max_size=64), st.binary(max_size=64))
def test_only_the_ca_of_the_token_is_pinned(ca: bytes, other: bytes) -> None:
    made = Token.generate(ca)
    assert made.pins(ca)
    assert made.pins(other) == (ca == other)
    assert Token.parse(made.text).pins(ca)


@given(st.binary(max_size=64), st.binary(max_size=64))
def test_a_proof_is_of_one_content_and_one_secret(content: bytes, other: bytes) -> None:
    made, another = token(), token()
    assert Token.parse(made.text).proves(content, made.proof(content))
    assert made.proves(other, made.proof(content)) == (content == other)
    assert not another.proves(content, made.proof(content))


@given(st.text(max_size=80))
def test_a_proof_that_is_any_text_proves_nothing(proof: str) -> None:
    assert not token().proves(b"content", proof)


def test_two_tokens_of_one_ca_share_the_pin_and_not_the_secret() -> None:
    first, second = token(), token()
    one, other = (made.text.replace("-", "") for made in (first, second))
    assert one[:25] != other[:25]
    assert one[26:51] == other[26:51]
    assert first.pins(CA) and second.pins(CA)


def test_a_token_is_neither_printed_nor_pickled() -> None:
    made = token()
    assert repr(made) == str(made) == "Token(...)"
    with pytest.raises(TypeError):
        pickle.dumps(made)
