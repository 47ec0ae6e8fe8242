import dataclasses

import numpy as np

from common.heads.labelled import labelled
from common.heads.sentences import bank_digest, prompt_bank
from tests.small_heads import COLUMNS, TEXTS, Letters, labelled_faces

FACES = labelled_faces(people=8)
ALL = ("attributes", "age", "gender", "words")


def test_columns_bear_the_names_of_the_vocabulary_and_say_the_same() -> None:
    found = labelled(FACES, ("attributes",))
    assert found.names == ("glasses", "beard", "hat")
    assert found.labels.attributes is not None and FACES.attributes is not None
    given = FACES.attributes[:, [COLUMNS.index(n) for n in ("Eyeglasses", "No_Beard", "hat")]]
    missing = given == -1
    shown = given ^ np.array([0, 1, 0], np.int8)
    assert np.array_equal(found.labels.attributes.numpy(), np.where(missing, -1, shown))


def test_forbidden_columns_are_left_out_and_told_by_category_alone() -> None:
    found = labelled(FACES, ALL, Letters())
    assert found.refused == {"race": 1, "religion": 1}
    assert found.unknown == 2
    assert not any(column in repr(found.refused) for column in COLUMNS)


def test_only_what_a_head_was_asked_for_is_read() -> None:
    found = labelled(FACES, ("attributes",), Letters()).labels
    assert (found.age, found.gender, found.words) == (None, None, None)
    found = labelled(FACES, ("gender", "age")).labels
    assert found.attributes is None and found.words is None
    assert found.age is not None and found.gender is not None and FACES.attributes is not None
    male = FACES.attributes[:, COLUMNS.index("Male")]
    assert np.array_equal(found.gender.numpy(), np.where(male == -1, -1, 1 - male))


def test_words_are_a_sentence_of_what_is_shown_and_nothing_where_nothing_is() -> None:
    silent = np.full_like(FACES.attributes, -1)
    assert FACES.attributes is not None
    silent[1:] = FACES.attributes[1:]
    ages = np.full(len(FACES), np.nan, np.float32)
    partly = dataclasses.replace(FACES, attributes=silent, age=ages)
    found = labelled(partly, ("words",), Letters()).labels.words
    assert found is not None and found.shape == (len(FACES), TEXTS)
    assert found[0].isnan().all() and found[1:].isfinite().any()
    bare = dataclasses.replace(FACES, attributes=None, attribute_names=(), age=None)
    nothing = labelled(bare, ALL, Letters()).labels
    assert nothing.attributes is None and nothing.words is not None and nothing.words.isnan().all()


def test_the_bank_of_prompts_is_the_same_for_everybody() -> None:
    letters = Letters()
    bank = prompt_bank(letters)
    assert bank.shape[1] == TEXTS and len(bank) > 100
    assert np.array_equal(bank, prompt_bank(Letters()))
    assert prompt_bank(letters) is bank, "it is embedded once"
    assert len(bank_digest()) == 64
