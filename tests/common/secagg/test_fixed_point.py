"""The bits of a word hold the largest honest sum, and the noise is never less than charged."""

import dataclasses
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import PlanError
from common.secagg.fixed_point import FixedPoint, finest

GRIDS = st.builds(
    lambda clip, sigma, people, sites, honest: finest(
        clip=clip, sigma=sigma, people=people, sites=sites, honest=min(honest, sites)
    ),
    st.floats(1e-3, 1e3),
    st.floats(0.1, 100),
    st.integers(1, 10**6),
    st.integers(3, 64),
    st.integers(1, 64),
)


@given(GRIDS)
def test_the_honest_sites_add_at_least_the_noise_that_is_charged(grid: FixedPoint) -> None:
    whole = Fraction(grid.sigma) ** 2 * grid.units**2
    assert grid.honest * grid.variance >= whole * Fraction(1025, 1024)
    assert grid.honest * grid.variance <= whole * Fraction(1025, 1024) + grid.honest


@given(GRIDS)
def test_the_largest_honest_total_leaves_a_bit_free(grid: FixedPoint) -> None:
    noise = 12 * math.sqrt(grid.sites * grid.variance)
    assert grid.sites * grid.people * grid.units + noise <= grid.bound <= 2 ** (grid.bits - 2)


@given(GRIDS, st.data())
def test_sums_of_wrapped_words_unwrap_to_the_sum(grid: FixedPoint, data: st.DataObject) -> None:
    most = grid.bound // grid.sites
    rows = data.draw(st.lists(st.integers(-most, most), min_size=grid.sites, max_size=grid.sites))
    words = sum(grid.wrap(np.array([row, -row])) for row in rows)
    assert grid.unwrap(np.asarray(words, grid.word)).tolist() == [sum(rows), -sum(rows)]


def test_32_bits_are_enough_for_a_million_people_and_more_take_64() -> None:
    usual = {"clip": 1.0, "sigma": 5.0, "honest": 3}
    assert finest(people=240, sites=64, **usual).bits == 32
    assert finest(people=240, sites=64, **usual).units == 2**16
    assert finest(people=10_000, sites=64, **usual).bits == 32
    assert finest(people=10**6, sites=64, **usual).bits == 64


def test_decoding_gives_the_clip_for_its_units() -> None:
    grid = finest(clip=0.3, sigma=1.0, people=10, sites=3, honest=2)
    assert grid.decode(np.array([grid.units, 0, -grid.units])).tolist() == [0.3, 0.0, -0.3]
    assert [grid.word.itemsize, dataclasses.replace(grid, bits=64).word.itemsize] == [4, 8]


@pytest.mark.parametrize(
    "change",
    [
        {"clip": 0.0},
        {"sigma": 0.0},
        {"sigma": math.inf},
        {"units": 1000},
        {"units": 2**9},
        {"people": 0},
        {"honest": 0},
        {"honest": 5},
        {"bits": 16},
        {"people": 10**9},
        {"sigma": 1e-4},
    ],
)
def test_a_grid_that_does_not_fit_is_refused(change: dict[str, float]) -> None:
    good = FixedPoint(clip=1.0, units=2**12, sigma=1.0, people=10, sites=4, honest=3)
    with pytest.raises(PlanError):
        dataclasses.replace(good, **change)
    with pytest.raises(PlanError, match="fit"):
        finest(clip=1.0, sigma=1e40, people=1, sites=3, honest=2)
