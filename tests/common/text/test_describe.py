"""A description says what is sure enough, as sure as it is, and a search what was asked."""

import hashlib
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from common.errors import ConfigError, ModelError, QueryError
from common.heads.heads import Readings
from common.text.bank import embed_bank, prompts
from common.text.describe import describe
from common.text.encoding import unit
from common.text.forbidden import category
from common.text.parsing import parse
from common.text.search import Searcher
from common.text.vocabulary import FEMALE, names, vocabulary

NAMES = ("glasses", "beard", "smiling", "hat", "black_hair", "brown_hair", "young")


class Deaf:
    """An encoder that hardly sees a negation: each text lies at what it is about."""

    hash = "0" * 64
    size = 48

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return unit(np.stack([self._one(text) for text in texts]))

    def understood(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return np.ones(len(texts), np.float32)

    def _one(self, text: str) -> NDArray[np.float32]:
        place = np.zeros(self.size)
        for name, so in parse(text).wanted.items():
            seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")
            place += np.random.default_rng(seed).standard_normal(self.size)
            place[0] += 0.3 if so else -0.3
        return (place + 1e-3).astype(np.float32)


def readings(rows: list[list[float]], ages: list[float] | None = None) -> Readings:
    age = None if ages is None else np.array(ages)
    return Readings(
        names=NAMES,
        attributes=np.array(rows),
        age=age,
        age_range=None if age is None else np.stack([age - 4, age + 4], axis=1),
    )


def test_an_age_that_is_no_number_is_not_said() -> None:
    found = describe(readings([[0.99, 0.02, 0.5, 0.5, 0.5, 0.5, 0.5]], [float("nan")]))
    assert (found.age, found.age_range) == (None, None)
    assert found.sentence == "A person, almost certainly with glasses, almost certainly no beard."


def test_a_sentence_says_what_is_sure_as_sure_as_it_is() -> None:
    found = describe(readings([[0.99, 0.02, 0.88, 0.55, 0.74, 0.71, 0.9]], [41.0]))
    assert found.sentence == (
        "A person of about forty, almost certainly with glasses, almost certainly no beard, "
        "very likely smiling, probably with black hair."
    )
    assert {one.name: one.present for one in found.said} == {
        **{"glasses": True, "beard": False, "smiling": True, "black_hair": True, "young": True}
    }
    assert found.age_range == (37.0, 45.0)


@pytest.mark.parametrize(
    ("age", "low", "high", "said"),
    [
        (41.0, 37.0, 45.0, "of about forty"),
        (43.0, 38.2, 47.9, "of about forty-three"),
        (47.0, 42.5, 52.0, "of about forty-seven"),
        (43.0, 38.2, 46.9, "aged between thirty-eight and forty-seven"),
        (45.0, 40.0, 50.0, "of about forty-five"),
    ],
)
def test_about_is_said_where_it_holds_the_whole_range(
    age: float, low: float, high: float, said: str
) -> None:
    one = readings([[0.5] * len(NAMES)], [age])
    one.age_range[:] = [[low, high]]  # type: ignore[index]
    sentence = describe(one).sentence
    meant = parse(sentence).age
    assert meant is not None and meant[0] <= low + 0.5 and high - 0.5 <= meant[1]
    assert sentence == f"A person {said}."


def test_nothing_is_said_where_nothing_is_sure() -> None:
    unsure = readings([[0.6] * len(NAMES)], [40.0])
    unsure.age_range[:] = [[20, 70]]  # type: ignore[index]
    assert describe(unsure).sentence == "A person."
    assert describe(unsure).age is None
    with pytest.raises(ConfigError):
        describe(unsure, least=0.4)


@given(
    rows=st.lists(st.floats(0, 1), min_size=len(NAMES), max_size=len(NAMES)),
    age=st.floats(15, 90),
    least=st.floats(0.5, 1),
    language=st.sampled_from(["en", "zh"]),
)
def test_what_a_sentence_says_is_what_is_sure_enough(rows, age, least, language) -> None:
    found = describe(readings([rows], [age]), least=least, language=language)
    meant = parse(found.sentence)
    assert category(found.sentence) is None and not meant.remainder
    sure = {one.name: one.present for one in found.said}
    assert meant.wanted.items() <= sure.items()
    for name, chance in zip(NAMES, rows, strict=True):
        assert name not in meant.wanted or max(chance, 1 - chance) >= least


def test_a_gender_that_is_not_sure_is_no_subject() -> None:
    one = readings([[0.99] * len(NAMES)])
    for chance, subject in ((0.9, "A person"), (0.99, "A woman"), (0.01, "A man")):
        told = Readings(names=one.names, attributes=one.attributes, female=np.array([chance]))
        assert describe(told).sentence.startswith(subject)


def test_a_search_ranks_by_all_that_is_asked_for_and_tells_what_nobody_reads() -> None:
    faces = readings(
        [[0.9, 0.1, 0.5, 0.1, 0.9, 0.1, 0.5], [0.9, 0.9, 0.5, 0.1, 0.1, 0.9, 0.5]] * 2,
        [40.0, 40.0, 70.0, 70.0],
    )
    found = Searcher().rank(parse("glasses, no beard, about forty, freckles"), faces)
    assert found.order[0] == 0
    assert found.asked == ("glasses", "beard", "age")
    assert found.unread == ("freckles",)
    assert found.attribute is not None and found.text is None
    assert Searcher().rank(parse("bald or brown hair"), faces).order[0] == 1
    assert Searcher().rank(parse("over 60 with a beard"), faces).order[0] == 3


def test_a_negated_search_is_the_search_turned_round_whatever_the_encoder_sees() -> None:
    encoder = Deaf()
    faces = Readings(words=encoder.encode(["a beard", "glasses", "a beard and glasses"]))
    searcher = Searcher(encoder)
    having = searcher.rank(parse("glasses"), faces)
    lacking = searcher.rank(parse("no glasses"), faces)
    assert having.text is not None and lacking.text is not None
    np.testing.assert_allclose(having.text, -lacking.text)
    assert lacking.order[0] == 0
    assert abs(float(encoder.encode(["glasses"])[0] @ encoder.encode(["no glasses"])[0])) > 0.9


def test_a_query_that_cannot_be_answered_is_told() -> None:
    faces = readings([[0.5] * len(NAMES)])
    with pytest.raises(QueryError):
        Searcher().rank(parse("freckles"), faces)
    with pytest.raises(QueryError):
        Searcher(Deaf()).rank(parse("woman", gender=True), faces)
    with pytest.raises(ModelError):
        Searcher(None, embed_bank(Deaf(), ["glasses"]))


def test_gender_is_searched_where_it_is_read() -> None:
    read = Readings(female=np.array([0.1, 0.9]))
    assert Searcher().rank(parse("woman", gender=True), read).order[0] == 1
    assert Searcher().rank(parse("not a woman", gender=True), read).asked == (FEMALE,)


def test_the_bank_says_everything_both_ways_and_nothing_forbidden() -> None:
    listed = prompts()
    assert len(listed) == len(names()) * 2 * 2 * 3
    for prompt in listed:
        assert category(prompt.text) is None
        assert parse(prompt.text).wanted == {prompt.attribute: prompt.present}, prompt.text
    assert set(vocabulary()) == {prompt.attribute for prompt in listed}
