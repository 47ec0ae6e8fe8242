"""Sentences say what a site's labels say, in the grammar's words, and nothing that may not be."""

import logging
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from client.agent.labels import labels_of
from client.agent.sentences import Said, Speech
from common.faces.crops import StoredCrops
from common.faces.faceset import FaceSet
from common.text.encoder import built_in
from common.text.forbidden import category
from common.text.grammar import sentence
from common.text.phrasing import Phrasing
from tests.small_heads import TEXTS, Letters

NAMES = ("glasses", "beard", "young", "hat")
CANARY = "Nobodys-Real-Name"


class Listening(Letters):
    """Keeps every text that is ever embedded."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def encode(self, texts: Any) -> Any:
        self.heard.extend(texts)
        return super().encode(texts)


def told(*texts: str, shown: Any = None, years: Any = None) -> Said:
    count = max(len(texts), 0 if shown is None else len(shown))
    return Said(
        count=count,
        names=NAMES if shown is not None else (),
        shown=None if shown is None else np.array(shown, np.int8),
        years=None if years is None else np.array(years, np.float32),
        texts=texts or None,
    )


def heard(said: Said, *denied: str) -> tuple[set[str], Any]:
    ears = Listening()
    rows = Speech(encoder=ears, denied=denied).rows(said)
    return set(ears.heard), rows


def test_labels_come_to_sentences_and_a_description_stands_in_their_place() -> None:
    shown = [[1, -1, 0, 0], [1, 1, -1, -1], [-1, -1, -1, -1]]
    said = told("", "no beard, but a hat", " ", shown=shown, years=[np.nan, np.nan, 41])
    spoken, rows = heard(said)
    assert spoken == {
        sentence({"glasses": True}),
        sentence({"hat": True, "beard": False}),
        sentence({}, 41),
    }
    assert rows.shape == (3, TEXTS)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, rtol=1e-5)


def test_where_nothing_is_said_there_is_no_row_and_nothing_at_all_is_none() -> None:
    _, rows = heard(told("", "glasses", "zxqv", shown=np.full((3, 4), -1)))
    assert np.isnan(rows[[0, 2]]).all()
    assert np.isfinite(rows[1]).all()
    assert heard(told("", "zxqv")) == (set(), None)
    assert heard(Said(count=2)) == (set(), None)


FORBIDDEN = (
    "a Muslim with glasses",
    "gl\u200basses and a hea\u200bdscarf",
    "ASIAN WITH A BEARD",
    "glasses, and he looks depressed",
    "\u6234\u773c\u955c\u7684\u7a46\u65af\u6797",
    "wearing glasses, gay",
    "a happy person with a hat",
)


@pytest.mark.parametrize("text", FORBIDDEN)
def test_a_forbidden_description_is_left_out_whole_before_it_is_embedded(text: str) -> None:
    spoken, rows = heard(told(text, "hat", shown=[[1, 1, 1, 1], [0, 0, 0, 1]]))
    assert spoken == {sentence({"hat": True})}, "nor do its labels speak in its place"
    assert np.isnan(rows[0]).all()


def test_what_the_operator_denies_is_neither_said_of_labels_nor_of_descriptions() -> None:
    said = told("a hat and glasses", "", "", shown=[[0, 0, 0, 0], [1, 1, 1, 1], [0, 0, 0, 1]])
    spoken, rows = heard(said, "Eyeglasses", "age", "hat")
    assert spoken == {sentence({"beard": True})}
    assert [bool(np.isfinite(row).all()) for row in rows] == [False, True, False]
    assert heard(told(shown=[[-1] * 4], years=[41]), "age") == (set(), None)
    assert heard(told("glasses and a scar"), "scar") == (set(), None)


def test_of_a_description_only_what_the_vocabulary_knows_is_said_again() -> None:
    text = f"A young woman, {CANARY}, with glasses and no hat, room 4711, aged about forty"
    spoken, _ = heard(told(text))
    assert spoken == {"A person of about forty with glasses, no hat, young."}


LETTERS = "no not without hat glasses beard or and , . \u4e0d\u6ca1\u6234\u773c\u955c"
PIECES = [*FORBIDDEN, "glasses", "no", "\x00", "\u202e", "@", CANARY]
hostile = st.one_of(
    st.text(max_size=60),
    st.text(alphabet=LETTERS, max_size=80),
    st.lists(st.sampled_from(PIECES), max_size=8).map(" ".join),
    st.integers(0, 10**6).map(lambda n: Phrasing(np.random.default_rng(n)).draw().text),
)


@given(text=hostile)
@example(text="no " * 200)
@example(text="bald and long hair and no hair")
@settings(max_examples=60)
def test_whatever_is_typed_what_is_embedded_is_the_grammars_and_allowed(text: str) -> None:
    speech = Speech(encoder=Letters())
    spoken = speech.again(text)
    assert category(spoken) is None
    assert CANARY not in spoken
    assert speech.again(spoken) == spoken, "said again it says the same"


def test_a_hostile_description_stops_no_site_and_is_in_no_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    crops = StoredCrops(np.zeros((3, 112, 112, 3), np.uint8))
    faces = FaceSet(
        source=crops,
        person=np.array([0, 1, 1]),
        names=("a", "b"),
        description=(f"{CANARY}, a Muslim", "x" * 5000, "glasses"),
    )
    assert labels_of(faces) is None, "without speech descriptions are not looked at"
    said = labels_of(faces, Speech(encoder=built_in()))
    assert said is not None
    assert said.words is not None
    assert [bool(np.isfinite(row).all()) for row in said.words] == [False, False, True]
    np.testing.assert_allclose(said.words[2], built_in().encode([sentence({"glasses": True})])[0])
    assert CANARY not in caplog.text + repr(said)
    with pytest.raises(TypeError):
        pickle.dumps(said)


def test_columns_of_forbidden_things_and_sex_say_nothing() -> None:
    crops = StoredCrops(np.zeros((2, 112, 112, 3), np.uint8))
    faces = FaceSet(
        source=crops,
        person=np.array([0, 1]),
        names=("a", "b"),
        attributes=np.array([[1, 1, 1], [1, 1, -1]], np.int8),
        attribute_names=("Pale_Skin", "female", "Eyeglasses"),
    )
    ears = Listening()
    said = labels_of(faces, Speech(encoder=ears))
    assert set(ears.heard) == {sentence({"glasses": True})}
    assert said is not None
    assert said.words is not None
    assert np.isnan(said.words[1]).all()


def test_people_who_agreed_to_no_text_are_put_in_no_words() -> None:
    said = told("hat", "beard", shown=[[1] * 4, [1] * 4], years=[40, 50])
    spoken, rows = heard(said.of(np.array([False, True])))
    assert spoken == {sentence({"beard": True})}
    assert np.isnan(rows[0]).all()
    assert heard(said.of(np.zeros(2, bool))) == (set(), None)
