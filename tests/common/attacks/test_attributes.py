"""Attributes are read from vectors that hold them, and from no others."""

import numpy as np
import pytest

from common.attacks.attributes import Probe, cross_fit, inferred
from common.errors import ModelError

PEOPLE, PICTURES, SIZE = 120, 3, 16
PERSON = np.repeat(np.arange(PEOPLE), PICTURES)


@pytest.fixture(scope="module")
def truth() -> np.ndarray:
    """A common attribute and a rare one, a person's own."""
    drawn = np.random.default_rng(0).random((PEOPLE, 2)) < [0.5, 0.15]
    return drawn[PERSON]


@pytest.fixture(scope="module")
def vectors(truth: np.ndarray) -> np.ndarray:
    rng = np.random.default_rng(1)
    return 2 * truth @ rng.standard_normal((2, SIZE)) + rng.standard_normal((len(PERSON), SIZE))


def accuracy(
    vectors: np.ndarray, truth: np.ndarray, taught: np.ndarray | None = None
) -> np.ndarray:
    rng = np.random.default_rng(2)
    said = cross_fit(vectors if taught is None else taught, vectors, truth, PERSON, rng)
    return inferred(said, truth, PERSON, rng).value


def test_what_is_in_the_vectors_is_told_of_strangers(
    vectors: np.ndarray, truth: np.ndarray
) -> None:
    assert (accuracy(vectors, truth) > 0.9).all()


def test_what_is_not_there_is_told_as_the_majority_tells_it(truth: np.ndarray) -> None:
    noise = np.random.default_rng(3).standard_normal((len(PERSON), SIZE))
    assert np.abs(accuracy(noise, truth) - 0.5).max() < 0.12


def test_people_are_not_recognised_instead_of_their_attributes() -> None:
    """Vectors that name a person tell all about those who taught, and nothing about others."""
    own = np.random.default_rng(4).standard_normal((PEOPLE, 200))[PERSON]
    label = (np.random.default_rng(5).random((PEOPLE, 1)) < 0.5)[PERSON]
    assert Probe.fit(own, label, decay=1e-6).told(own)[:, 0].tolist() == label[:, 0].tolist()
    assert abs(accuracy(own, label)[0] - 0.5) < 0.15


def test_probes_of_clear_vectors_read_what_leaked_of_others(
    vectors: np.ndarray, truth: np.ndarray
) -> None:
    leaked = vectors + 0.1 * np.random.default_rng(6).standard_normal(vectors.shape)
    assert (accuracy(leaked, truth, taught=vectors) > 0.9).all()


def test_whoever_always_says_the_majority_is_right_in_half_of_the_cases(truth: np.ndarray) -> None:
    found = inferred(np.zeros_like(truth), truth, PERSON, np.random.default_rng(7))
    assert found.value.tolist() == [0.5, 0.5]
    assert found.interval() == (0.5, 0.5)


def test_intervals_are_as_wide_as_people_are_few(vectors: np.ndarray, truth: np.ndarray) -> None:
    widths = []
    for people in (20, 120):
        chosen = people > PERSON
        rng = np.random.default_rng(8)
        said = np.random.default_rng(9).random(truth[chosen].shape) < 0.5
        low, high = inferred(said, truth[chosen], PERSON[chosen], rng).interval(0)
        widths.append(high - low)
    assert widths[0] > 1.5 * widths[1]


def test_one_person_teaches_nobody() -> None:
    with pytest.raises(ModelError, match="two are needed"):
        cross_fit(*[np.zeros((2, 3))] * 2, np.zeros((2, 1), bool), np.zeros(2, int), None)
    with pytest.raises(ModelError, match="a probe learns"):
        Probe.fit(np.full((2, 3), np.nan), np.zeros((2, 1), bool))
