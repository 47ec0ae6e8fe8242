"""The highest impostor scores are all there, whoever compares them, and who met whom is counted."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import common.metrics.impostors as module
from common.errors import ModelError
from common.metrics.impostors import (
    Faces,
    GroupedScores,
    among,
    between,
    by_person,
    claims_among,
    claims_between,
)
from common.metrics.verification import Pairs

SEEDS = st.integers(0, 10**6)


@given(seed=SEEDS, people=st.integers(2, 9), most=st.floats(0.01, 1))
def test_among_keeps_the_highest_of_all_pairs(seed: int, people: int, most: float) -> None:
    faces = drawn(seed, people)
    pairs = Pairs.of(faces.person)
    expected = np.sort(pairs.score(faces.embeddings).impostor)[::-1]
    found = among(faces.embeddings, faces.person, most=most)
    assert found.comparisons == len(expected)
    assert len(found.score) == min(len(expected), int(most * len(expected) + 1e-9) + 1)
    assert np.allclose(found.score, expected[: len(found.score)], atol=1e-6)
    assert (np.diff(found.score) <= 0).all()
    assert (found.first != found.second).all()


@given(seed=SEEDS, people=st.integers(2, 9))
def test_comparisons_are_counted_at_both_people(seed: int, people: int) -> None:
    faces = drawn(seed, people)
    for found in (
        among(faces.embeddings, faces.person, most=1),
        crossed(faces, most=1),
        claims_among(faces, most=1),
        claims_between(faces, strangers(seed, people), most=1),
    ):
        count = np.zeros((found.people, found.people))
        np.add.at(count, (found.first, found.second), 1)
        assert (found.met == count.sum(axis=0) + count.sum(axis=1)).all()
        together = np.triu(count + count.T)
        assert found.squares == (together**2).sum()
        assert found.person_pairs == np.count_nonzero(together)
        assert found.comparisons == count.sum()


@given(seed=SEEDS, people=st.integers(2, 9), most=st.floats(0.01, 1))
def test_between_compares_everybody_with_every_stranger(
    seed: int, people: int, most: float
) -> None:
    faces = drawn(seed, people)
    found = crossed(faces, most=most)
    unit = faces.embeddings / np.linalg.norm(faces.embeddings, axis=1, keepdims=True)
    expected = np.sort((unit @ unit.T).ravel())[::-1]
    assert np.allclose(found.score, expected[: len(found.score)], atol=1e-6)
    own = len(np.unique(faces.person))
    assert found.people == 2 * own
    assert (found.first < own).all()
    assert (found.second >= own).all()


@given(seed=SEEDS, people=st.integers(0, 9), most=st.floats(0.01, 1))
def test_a_claim_has_the_score_of_the_best_picture(seed: int, people: int, most: float) -> None:
    faces, others = drawn(seed, people), strangers(seed, 4)
    assert_claims(claims_among(faces, most=most), faces, faces)
    assert_claims(claims_between(faces, others, most=most), faces, others)


@given(seed=SEEDS, people=st.integers(0, 9))
def test_a_claim_is_decided_by_what_people_are_enrolled_with(seed: int, people: int) -> None:
    faces, other = drawn(seed, people), drawn(seed + 1, people)
    row, who = np.unique(other.person, return_index=True)
    enrolled = Faces(other.embeddings[who], row)
    found = claims_among(faces, most=1, enrolled=enrolled)
    unit, rows = (
        f.embeddings / np.linalg.norm(f.embeddings, axis=1)[:, None] for f in (faces, enrolled)
    )
    apart = faces.person[:, None] != enrolled.person[None]
    expected = np.sort((unit @ rows.T)[apart])[::-1]
    assert found.comparisons == len(expected)
    assert np.allclose(found.score, expected, atol=1e-6)


def assert_claims(found: GroupedScores, claimed: Faces, by: Faces) -> None:
    unit, probes = (
        f.embeddings / np.linalg.norm(f.embeddings, axis=1)[:, None] for f in (claimed, by)
    )
    expected = [
        float((unit[claimed.person == person] @ probe).max())
        for person in np.unique(claimed.person)
        for probe, whose in zip(probes, by.person, strict=True)
        if claimed is not by or whose != person
    ]
    assert found.comparisons == len(expected)
    highest = np.sort(np.array(expected, np.float32))[::-1]
    assert np.allclose(found.score, highest[: len(found.score)], atol=1e-6)
    assert (found.first != found.second).all() and (np.diff(found.score) <= 0).all()


def test_with_one_picture_each_a_claim_is_a_comparison() -> None:
    faces = drawn(3, 12)
    one = np.unique(faces.person, return_index=True)[1]
    single = Faces(faces.embeddings[one], faces.person[one])
    pairs, claims = among(single.embeddings, single.person, most=1), claims_among(single, most=1)
    assert claims.comparisons == 2 * pairs.comparisons  # from either side
    assert np.allclose(claims.score, np.repeat(pairs.score, 2), atol=1e-6)


def test_blocks_and_a_full_memory_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    faces = drawn(5, 40)
    whole = among(faces.embeddings, faces.person, most=0.05)
    crossing = crossed(faces, most=0.05)
    claims = claims_among(faces, most=0.05)
    others = claims_between(faces, strangers(5, 20), most=0.05)
    monkeypatch.setattr(module, "_ROWS", 3)
    for parts, expected in (
        (among(faces.embeddings, faces.person, most=0.05), whole),
        (crossed(faces, most=0.05), crossing),
        (claims_among(faces, most=0.05), claims),
        (claims_between(faces, strangers(5, 20), most=0.05), others),
    ):
        assert np.allclose(parts.score, expected.score, atol=1e-6)
        assert (parts.met == expected.met).all()


def test_embeddings_that_are_no_numbers_and_other_lengths_are_refused() -> None:
    faces = drawn(1, 3)
    broken = faces.embeddings.copy()
    broken[0, 0] = np.nan
    with pytest.raises(ModelError):
        among(broken, faces.person)
    with pytest.raises(ValueError, match="pictures"):
        among(faces.embeddings, faces.person[1:])
    with pytest.raises(ValueError, match="most"):
        among(faces.embeddings, faces.person, most=0)


def test_nobody_has_no_pictures_and_everybody_theirs() -> None:
    assert by_person(np.empty(0, int)) == []
    assert [each.tolist() for each in by_person([7, 3, 7])] == [[1], [0, 2]]


def crossed(faces: Faces, *, most: float) -> module.GroupedScores:
    """Everybody with strangers who look exactly like them."""
    return between(faces, Faces(faces.embeddings, faces.person + 100), most=most)


def drawn(seed: int, people: int) -> Faces:
    rng = np.random.default_rng(seed)
    person = np.repeat(rng.permutation(people), rng.integers(1, 4, people))
    embeddings = rng.standard_normal((people, 4))[person] + rng.standard_normal((len(person), 4))
    return Faces(embeddings.astype(np.float32), person)


def strangers(seed: int, people: int) -> Faces:
    return drawn(seed + 10**7, people)
