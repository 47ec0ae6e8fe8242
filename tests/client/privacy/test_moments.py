"""One person moves a private sum by at most the clip, and the sum carries all its noise."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from client.privacy.contributions import CONTRIBUTIONS, contributions
from client.privacy.entropy import OsEntropy
from client.privacy.moments import GRID, clip_rows, private_sum
from client.privacy.sampler import choose, poisson

ENTROPY = OsEntropy()
ROWS = hnp.arrays(
    st.sampled_from([np.float32, np.float64]),
    st.tuples(st.integers(0, 8), st.integers(1, 6)),
    elements=st.floats(width=32),
)
CLIPS = st.floats(1e-3, 1e3)


def by_hand(vectors: NDArray[np.floating], clip: float) -> list[float]:
    total = [0.0] * vectors.shape[1]
    for row in vectors.astype(np.float64).tolist():
        if not all(math.isfinite(x) for x in row):
            continue
        norm = math.hypot(*row)
        factor = clip / norm if norm > clip else 1.0
        total = [t + factor * x for t, x in zip(total, row, strict=True)]
    return total


@given(ROWS, CLIPS)
def test_the_sum_without_noise_is_the_hand_loop(vectors: NDArray[np.floating], clip: float) -> None:
    mine = private_sum(vectors, clip, 0.0, ENTROPY)
    np.testing.assert_allclose(mine, by_hand(vectors, clip), rtol=1e-12, atol=1e-12 * clip)
    assert mine.dtype == np.float64


@given(ROWS, CLIPS)
def test_no_person_counts_more_than_the_clip(vectors: NDArray[np.floating], clip: float) -> None:
    clipped = clip_rows(vectors, clip)
    assert np.isfinite(clipped).all()
    assert (np.linalg.norm(clipped, axis=1) <= clip * (1 + 1e-14)).all()


@given(ROWS, CLIPS, st.data())
def test_removing_a_person_changes_nobody_else_by_a_single_bit(
    vectors: NDArray[np.floating], clip: float, data: st.DataObject
) -> None:
    if not len(vectors):
        return
    gone = data.draw(st.integers(0, len(vectors) - 1))
    rest = np.delete(vectors, gone, axis=0)
    left = np.delete(clip_rows(vectors, clip), gone, axis=0)
    assert clip_rows(rest, clip).tobytes() == left.tobytes()


@given(ROWS)
def test_a_person_who_is_not_finite_counts_as_nothing(vectors: NDArray[np.floating]) -> None:
    broken = ~np.isfinite(vectors).all(axis=1)
    assert not clip_rows(vectors, 1.0)[broken].any()


@pytest.mark.parametrize("kind", sorted(CONTRIBUTIONS))
@pytest.mark.parametrize("gone", range(5))
def test_removing_a_person_leaves_every_moment_contribution_of_the_others_bitwise(
    kind: str, gone: int
) -> None:
    rng = np.random.default_rng(0)
    bags = [rng.normal(size=(k, 12)).astype(np.float32) for k in (1, 4, 2, 7, 3)]
    weight, bias = rng.normal(size=(6, 12)), rng.normal(size=6)
    everybody = clip_rows(contributions(kind, bags, weight, bias), 0.5)
    rest = bags[:gone] + bags[gone + 1 :]
    without = clip_rows(contributions(kind, rest, weight, bias), 0.5)
    assert without.tobytes() == np.delete(everybody, gone, axis=0).tobytes()


@pytest.mark.parametrize("people", [0, 3])
def test_the_noise_has_the_stated_deviation(people: int) -> None:
    vectors = np.full((people, 40_000), 1e-3)
    noise = private_sum(vectors, 2.0, 3.0, ENTROPY) - private_sum(vectors, 2.0, 0.0, ENTROPY)
    assert noise.std() == pytest.approx(6.0, rel=0.03)
    assert abs(noise.mean()) < 6 * 6.0 / 200


def test_a_release_lies_on_a_grid_far_coarser_than_floats() -> None:
    released = private_sum(np.full((3, 50), 0.1), 1.0, 2.0, ENTROPY) / (2.0 * GRID)
    np.testing.assert_array_equal(released, np.rint(released))


def test_sums_are_over_rows_of_people() -> None:
    with pytest.raises(ValueError, match="one row a person"):
        clip_rows(np.zeros(3), 1.0)


@given(st.integers(0, 300), st.floats(0.01, 1.0))
def test_the_sampler_gives_sorted_distinct_indices(people: int, rate: float) -> None:
    sample = poisson(people, rate, ENTROPY)
    assert (np.diff(sample) > 0).all()
    assert all(0 <= index < people for index in sample)
    assert len(poisson(people, 1.0, ENTROPY)) == people


@pytest.mark.parametrize("rate", [0.0, -0.1, 1.1, math.nan])
def test_impossible_rates_are_refused(rate: float) -> None:
    with pytest.raises(ValueError, match="rate"):
        poisson(10, rate, ENTROPY)


@given(st.integers(0, 12), st.integers(0, 6))
def test_chosen_pictures_are_distinct_and_at_most_as_many_as_asked(count: int, most: int) -> None:
    chosen = choose(count, most, ENTROPY).tolist()
    assert len(chosen) == len(set(chosen)) == min(count, most)
    assert chosen == sorted(chosen)
    assert set(chosen) <= set(range(count))


def test_every_picture_is_chosen_equally_often() -> None:
    counts = np.bincount(np.concatenate([choose(5, 2, ENTROPY) for _ in range(5000)]))
    assert (abs(counts - 2000) < 6 * (5000 * 0.4 * 0.6) ** 0.5).all()
