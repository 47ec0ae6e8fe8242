from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from server.pretraining.options import PretrainOptions
from server.pretraining.sampling import Sampler

COUNTS = (1, 4, 16, 64)  # pictures of four people
LABEL = np.repeat(np.arange(4), COUNTS)
BATCHES = 3000


def sampler(**changes: Any) -> Sampler:
    return Sampler(LABEL, PretrainOptions(**{"licence": "test", "batch": 8, **changes}))


def shares(one: Sampler, batches: int = BATCHES) -> NDArray[np.float64]:
    """How often each of the four people was drawn, of all drawings."""
    rng = np.random.default_rng(0)
    drawn = np.concatenate([LABEL[one.draw(rng)] for _ in range(batches)])
    return np.bincount(drawn, minlength=4) / len(drawn)


def test_by_pictures_each_comes_once_before_any_comes_again() -> None:
    one, rng = sampler(batch=5), np.random.default_rng(0)
    passed = np.concatenate([one.draw(rng) for _ in range(len(LABEL) // 5)])
    assert sorted(passed) == list(range(len(LABEL)))


@pytest.mark.parametrize(
    ("sampling", "expected"),
    [
        ("pictures", [c / 85 for c in COUNTS]),
        ("people", [0.25] * 4),
        ("root", [r / 15 for r in (1, 2, 4, 8)]),
    ],
)
def test_people_come_as_often_as_the_option_says(sampling: str, expected: list[float]) -> None:
    # Two at a time: no picture twice in a batch, which would keep the one with one picture back.
    found = shares(sampler(sampling=sampling, batch=2))
    if sampling != "pictures":
        expected = expected_of_two(expected)
    assert found == pytest.approx(expected, abs=0.02)


def expected_of_two(first: list[float]) -> Any:
    """The share of each person where two pictures are drawn and none comes twice."""
    picture = np.repeat(np.array(first) / COUNTS, COUNTS)
    second = sum(
        p * np.where(np.arange(85) == i, 0, picture) / (1 - p) for i, p in enumerate(picture)
    )
    both = (picture + second) / 2
    return [float(both[person == LABEL].sum()) for person in range(4)]


@pytest.mark.parametrize("sampling", ["pictures", "people", "root"])
def test_no_picture_comes_twice_in_a_batch(sampling: str) -> None:
    one, rng = sampler(sampling=sampling, batch=40), np.random.default_rng(0)
    for _ in range(20):
        assert len(set(one.draw(rng).tolist())) == 40


def test_triplets_get_several_pictures_of_each_of_several_people() -> None:
    one, rng = (
        sampler(loss="triplet", views=3, batch=9, sampling="people"),
        np.random.default_rng(0),
    )
    for _ in range(50):
        drawn = one.draw(rng)
        people, times = np.unique(LABEL[drawn], return_counts=True)
        assert len(people) == 3
        assert len(set(drawn.tolist())) == len(drawn)
        for person, number in zip(people, times, strict=True):
            assert number == min(3, COUNTS[person])


def test_drawing_goes_on_from_what_was_left() -> None:
    one, rng = sampler(), np.random.default_rng(5)
    for _ in range(3):
        one.draw(rng)
    again, state, left = sampler(), dict(rng.bit_generator.state), one.left
    expected = [one.draw(rng).tolist() for _ in range(20)]
    again.left, rng.bit_generator.state = left, state
    assert [again.draw(rng).tolist() for _ in range(20)] == expected
