"""What crosses between site and centre about releases is read as a stranger's."""

import dataclasses
from typing import Any

import pytest

from common.errors import MascaronError, ReleaseError, SignatureError, WireError
from common.evidence.asking import (
    News,
    Piece,
    ReleaseQuestion,
    read_news,
    read_piece,
    read_release_question,
    send_release_question,
)
from common.trust.admission import QUESTION, read_envelope
from common.trust.keys import SigningKey
from common.trust.signed import Signed, seal
from tests.small_evidence import FEDERATION, MADE

KEY = SigningKey.generate()
ASKED = ReleaseQuestion(federation=FEDERATION, ask="release", time=MADE, release="a" * 64, offset=3)


def test_a_question_comes_back_with_who_asked_it() -> None:
    envelope = read_envelope(send_release_question(ASKED, KEY).to_json())
    assert read_release_question(envelope) == (KEY.public, ASKED)


def test_a_question_is_signed_for_its_purpose_and_has_no_negative_numbers() -> None:
    envelope = send_release_question(ASKED, KEY)
    other = seal(KEY, QUESTION, dataclasses.asdict(ASKED))
    with pytest.raises(SignatureError):
        read_release_question(dataclasses.replace(envelope, signature=other.signature))
    for change in ({"after": -1}, {"offset": -1}):
        asked = dataclasses.replace(ASKED, **change)  # type: ignore[arg-type]
        with pytest.raises(WireError):
            read_release_question(send_release_question(asked, KEY))


def test_answers_come_back_as_they_were() -> None:
    news = News(entries=(Signed("a", "b"),), witnesses={"north": "{}"}, number=4)
    piece = Piece(content=b"\x00bytes", offset=7, size=100)
    assert read_news(news.to_table()) == news
    assert read_piece(piece.to_table(), 7) == piece


@pytest.mark.parametrize(
    "change",
    [
        {"entries": None},
        {"entries": [1]},
        {"entries": ["{}"]},
        {"witnesses": []},
        {"witnesses": {"north": 1}},
        {"number": "4"},
        {"number": True},
    ],
)
def test_news_that_are_none_are_refused(change: dict[str, Any]) -> None:
    good = News(entries=(), witnesses={}, number=0).to_table()
    with pytest.raises(WireError):
        read_news({**good, **change})


@pytest.mark.parametrize(
    "change",
    [
        {"piece": None},
        {"piece": "?"},
        {"piece": ""},
        {"piece": "é"},
        {"offset": 1},
        {"size": 2},
        {"size": 10**12},
        {"size": 1.5},
    ],
)
def test_pieces_that_are_none_are_refused(change: dict[str, Any]) -> None:
    good = Piece(content=b"abc", offset=0, size=9).to_table()
    with pytest.raises((WireError, ReleaseError)) as caught:
        read_piece({**good, **change}, 0)
    assert isinstance(caught.value, MascaronError)
