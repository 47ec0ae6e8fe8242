"""Searches that may find nobody are judged by their best score, at the gallery's own size."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import common.metrics.openset as module
from common.errors import InsufficientCalibrationError
from common.metrics.impostors import Faces
from common.metrics.openset import OpenSearches, open_threshold, search_open
from common.metrics.verification import unit_rows

SEEDS = st.integers(0, 10**6)


@given(seed=SEEDS, people=st.integers(2, 8))
def test_searches_are_those_of_comparing_one_by_one(seed: int, people: int) -> None:
    enrolled, strangers = drawn(seed, people), drawn(seed + 1, 3)
    found = search_open(enrolled, strangers)
    unit = rows(enrolled)
    table = unit @ unit.T
    np.fill_diagonal(table, -np.inf)
    same = enrolled.person[:, None] == enrolled.person[None]
    others = np.where(same, -np.inf, table).max(axis=1)
    theirs = (rows(strangers) @ unit.T).max(axis=1)
    order = np.argsort(enrolled.person, kind="stable")
    assert np.allclose(found.stranger, [*others[order], *theirs], atol=1e-6)
    own = np.where(same, table, -np.inf).max(axis=1)
    again = [i for i in order if same[i].sum() > 1]
    expected = [own[i] if own[i] > others[i] else -np.inf for i in again]
    assert np.allclose(found.mated, expected, atol=1e-6)
    assert found.gallery == people
    assert found.people == people + 3
    assert found.by_enrolled().people == people


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    enrolled, strangers = drawn(1, 20), drawn(2, 9)
    whole = search_open(enrolled, strangers)
    monkeypatch.setattr(module, "_ROWS", 3)
    parts = search_open(enrolled, strangers)
    assert np.allclose(parts.stranger, whole.stranger, atol=1e-6)
    assert np.allclose(parts.mated, whole.mated, atol=1e-6)


@given(seed=SEEDS, fpir=st.sampled_from([0.03, 0.05, 0.1]))
def test_the_bound_keeps_the_rate(seed: int, fpir: float) -> None:
    searches = search_open(drawn(seed, 110), drawn(seed + 1, 30))
    found = open_threshold(searches, fpir)
    assert found.estimate < found.bound <= fpir
    assert found.estimate == np.mean(searches.stranger >= np.float32(found.value))
    assert searches.rate(found.value).bound == found.bound
    assert found.fnir is not None
    assert found.fnir == np.mean(searches.mated < np.float32(found.value))
    assert found.fnir_bound is not None
    assert found.fnir <= found.fnir_bound <= 1


def test_searches_by_one_person_count_as_one_person() -> None:
    # 300 people search 4 times; those taken for somebody are 3 people, or 12.
    person = np.repeat(np.arange(300), 4)
    together = searched(np.where(person < 3, 1.0, 0.0), person)
    apart = searched(np.where((person < 12) & (np.arange(1200) % 4 == 0), 1.0, 0.0), person)
    assert together.rate(1.0).value == apart.rate(1.0).value == 0.01
    assert together.rate(1.0).bound > apart.rate(1.0).bound > 0.01


def test_too_few_people_are_told_how_many_are_missing() -> None:
    searches = search_open(drawn(1, 50))
    with pytest.raises(InsufficientCalibrationError) as refused:
        open_threshold(searches, 0.01)
    assert refused.value.people == 300 - 50
    assert refused.value.comparisons >= 250
    assert open_threshold(searches, 0.06).bound <= 0.06


@given(seed=SEEDS, threshold=st.floats(0.4, 0.9))
def test_two_galleries_together_mistake_no_more_strangers_than_each_by_itself(
    seed: int, threshold: float
) -> None:
    # Why a gallery of m times as many people has at most m times the FPIR.
    everybody, strangers = drawn(seed, 20), drawn(seed + 1, 60)

    def mistaken(part: np.ndarray) -> int:
        enrolled = Faces(everybody.embeddings[part], everybody.person[part])
        found = search_open(enrolled, strangers)
        return int(np.sum(found.stranger[-len(strangers) :] >= threshold))

    half = everybody.person < 10
    both = mistaken(half | ~half)
    assert max(mistaken(half), mistaken(~half)) <= both <= mistaken(half) + mistaken(~half)


def test_without_second_pictures_nothing_is_said_of_missed_people() -> None:
    person = np.arange(400)
    faces = Faces(np.random.default_rng(0).standard_normal((400, 16)).astype(np.float32), person)
    found = open_threshold(search_open(faces), 0.05)
    assert found.fnir is None
    assert found.fnir_bound is None


def test_one_person_cannot_search_for_others() -> None:
    with pytest.raises(ValueError, match="two people"):
        search_open(drawn(0, 1))
    with pytest.raises(ValueError, match="false positive"):
        open_threshold(search_open(drawn(0, 4)), 1)


def test_pooled_rows_are_searched_by_pictures_of_others_alone() -> None:
    rng = np.random.default_rng(11)
    person = np.repeat(np.arange(7)[::-1], 3)
    rows = unit_rows(rng.standard_normal((21, 8)))
    pooled = Faces(unit_rows(rng.standard_normal((7, 8))), rng.permutation(7))
    outside = Faces(unit_rows(rng.standard_normal((4, 8))), np.arange(4))
    found = search_open(Faces(rows, person), outside, pooled)
    row_of = {int(p): row for p, row in zip(pooled.person, pooled.embeddings, strict=True)}
    for score, who in zip(found.stranger[:21], found.stranger_person[:21], strict=True):
        others = [row for p, row in row_of.items() if p != who]
        pictures = rows[person == who]
        assert any(abs(max(picture @ row for row in others) - score) < 1e-6 for picture in pictures)
    expected = (outside.embeddings @ pooled.embeddings.T).max(axis=1)
    assert np.allclose(found.stranger[21:], expected, atol=1e-6)
    assert not len(found.mated) and found.gallery == 7


def searched(scores: np.ndarray, person: np.ndarray) -> OpenSearches:
    return OpenSearches(
        stranger=scores.astype(np.float32),
        stranger_person=person,
        mated=np.empty(0, np.float32),
        mated_person=np.empty(0, np.int64),
        gallery=10,
    )


def rows(faces: Faces) -> np.ndarray:
    return faces.embeddings / np.linalg.norm(faces.embeddings, axis=1, keepdims=True)


def drawn(seed: int, people: int) -> Faces:
    rng = np.random.default_rng(seed)
    person = rng.permutation(np.repeat(np.arange(people), rng.integers(1, 4, people)))
    means = rng.standard_normal((people, 16))
    embeddings = means[person] + rng.standard_normal((len(person), 16)) / 2
    return Faces(embeddings.astype(np.float32), person)
