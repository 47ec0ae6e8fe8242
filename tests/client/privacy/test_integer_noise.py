"""Integer noise has the exact probabilities, and the grid costs no privacy that is not charged."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats
from scipy.signal import fftconvolve

from client.privacy import integer_noise
from client.privacy.entropy import OsEntropy
from client.privacy.integer_noise import discrete_gaussian, grid_rows, private_steps
from client.privacy.moments import clip_rows
from common.privacy.accountant import Event, delta_of
from common.secagg.fixed_point import FixedPoint, finest
from simulations.entropy import SeededEntropy

CHANCE = 1e-4  # of a false alarm, had the seeds not been fixed

Draws = NDArray[np.int64]


def exact(variance: int, reach: int) -> tuple[Draws, NDArray[np.float64]]:
    """The integers up to ``reach`` and their probabilities."""
    values = np.arange(-reach, reach + 1)
    mass = np.exp(-np.square(values, dtype=np.float64) / (2 * variance))
    return values, mass / mass.sum()


def fit(draws: Draws, variance: int) -> float:
    """The p value of a chi-square test of ``draws`` against the exact probabilities."""
    values, mass = exact(variance, int(12 * variance**0.5) + 2)
    counts = np.array([(draws == value).sum() for value in values], np.float64)
    expected = mass * len(draws)
    rare = expected < 5  # all in one cell
    seen = np.append(counts[~rare], counts[rare].sum())
    hoped = np.append(expected[~rare], expected[rare].sum())
    return float(stats.chisquare(seen, hoped, sum_check=False).pvalue)


@pytest.mark.parametrize("variance", [1, 2, 3, 7, 64, 1000])
def test_draws_have_the_exact_probabilities(variance: int) -> None:
    draws = discrete_gaussian(variance, 100_000, SeededEntropy(variance))
    assert draws.dtype == np.int64
    assert fit(draws, variance) > CHANCE


def test_rounded_gaussians_and_a_doubled_zero_are_told_apart_from_it() -> None:
    rng = np.random.default_rng(0)
    rounded = np.rint(rng.standard_normal(100_000)).astype(np.int64)
    assert fit(rounded, 1) < CHANCE
    honest = discrete_gaussian(2, 100_000, SeededEntropy(1))
    doubled = np.concatenate([honest, honest[honest == 0]])
    assert fit(doubled, 2) < CHANCE
    assert fit(discrete_gaussian(7, 100_000, SeededEntropy(2)), 8) < CHANCE


@pytest.mark.parametrize("variance", [2**40 + 1, 10**20, 2**78])
def test_wide_noise_is_gaussian_to_the_eye_of_kolmogorov(variance: int) -> None:
    draws = discrete_gaussian(variance, 50_000, SeededEntropy(3)) / float(variance) ** 0.5
    assert stats.kstest(draws, "norm").pvalue > CHANCE
    assert abs(draws.var() - 1) < 0.03


def test_a_toss_near_the_edge_is_decided_by_more_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(integer_noise, "_DOUBT", 1e9)  # everything is near the edge now
    draws = discrete_gaussian(3, 4000, SeededEntropy(4))
    assert fit(draws, 3) > CHANCE


@given(
    toss=st.floats(0, 0.999), heads=st.integers(0, 5), size=st.integers(0, 300), v=st.integers(1, 9)
)
def test_both_ways_to_decide_agree_away_from_the_edge(
    toss: float, heads: int, size: int, v: int
) -> None:
    variance = 100 * v
    edge = 2.0**heads * np.exp(-(size**2) / (2 * variance))
    if abs(toss - edge) > 1e-9:
        below = integer_noise._below(toss, heads, size**2, variance, OsEntropy())
        assert below == (toss < edge)


def test_a_sum_over_sites_has_the_sum_of_variances() -> None:
    grid = finest(clip=2.0, sigma=3.0, people=100, sites=5, honest=4)
    total = sum(discrete_gaussian(grid.variance, 40_000, SeededEntropy(5, i)) for i in range(5))
    assert total.var() / (5 * grid.variance) == pytest.approx(1, abs=0.03)
    in_units = total.std() * grid.clip / grid.units
    assert in_units == pytest.approx(3.0 * 2.0 * (5 / 4) ** 0.5, rel=0.02)


def test_nothing_but_a_variance_the_sampler_can_hold_is_taken() -> None:
    for variance in (0, -1, 2**78 + 1):
        with pytest.raises(ValueError, match="variance"):
            discrete_gaussian(variance, 1, OsEntropy())
    assert discrete_gaussian(5, 0, OsEntropy()).shape == (0,)


GRID = finest(clip=0.7, sigma=1.5, people=50, sites=4, honest=3)


@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(1, 300), st.floats(-3, 3))
def test_a_row_on_the_grid_is_never_longer_than_the_clip(
    seed: int, people: int, size: int, scale: float
) -> None:
    vectors = np.random.default_rng(seed).standard_normal((people, size)) * 10.0**scale
    rows = grid_rows(vectors, GRID)
    assert all(sum(int(x) ** 2 for x in row) <= GRID.units**2 for row in rows)
    for one in range(people):
        assert np.array_equal(grid_rows(vectors[one : one + 1], GRID)[0], rows[one])


def test_rounding_moves_a_coordinate_by_a_step_at_most() -> None:
    vectors = np.random.default_rng(6).standard_normal((20, 400)) * 0.1
    real = clip_rows(vectors, GRID.clip) * (GRID.units / GRID.clip)
    assert np.abs(grid_rows(vectors, GRID) - real).max() < 1
    assert np.array_equal(grid_rows(np.full((1, 3), np.nan), GRID), np.zeros((1, 3)))


def test_the_clip_along_an_axis_is_the_whole_sensitivity_and_no_more() -> None:
    assert grid_rows(np.array([[1e9, 0.0]]), GRID).tolist() == [[GRID.units, 0]]
    tight = grid_rows(np.array([[0.7 / 2**0.5, 0.7 / 2**0.5]]), GRID)
    assert 0 <= GRID.units**2 - int(np.square(tight).sum()) < 4 * GRID.units


@given(st.integers(0, 2**32 - 1), st.integers(1, 120))
def test_one_person_more_moves_the_sum_by_no_more_than_the_clip(seed: int, people: int) -> None:
    """Also where the sum is held to the largest that a declared number of people can make."""
    narrow = dataclasses.replace(GRID, people=2)
    vectors = np.abs(np.random.default_rng(seed).standard_normal((people, 3)))
    noiseless = [private_steps(rows, narrow, SeededEntropy(7)) for rows in (vectors, vectors[:-1])]
    moved = sum(int(x) ** 2 for x in noiseless[0] - noiseless[1])  # the same noise in both
    assert moved <= narrow.units**2


def test_without_people_there_is_still_noise() -> None:
    steps = private_steps(np.zeros((0, 20_000)), GRID, SeededEntropy(8))
    assert steps.var() / GRID.variance == pytest.approx(1, abs=0.05)
    assert not np.array_equal(steps, private_steps(np.zeros((0, 20_000)), GRID, OsEntropy()))


@pytest.mark.parametrize("sigma", [0.5, 1.0, 4.0])
@pytest.mark.parametrize("axes", [1, 2])
def test_the_noise_of_the_honest_sites_keeps_what_the_ledger_charges(
    sigma: float, axes: int
) -> None:
    """The exact probabilities of a sum of four sites' noise, moved by one person's clip."""
    grid = FixedPoint(clip=1.0, units=2**10, sigma=sigma, people=9, sites=5, honest=4)
    shift = axes * int(grid.units / axes**0.5)
    moved = axes * (shift // axes) ** 2
    assert grid.units**2 * 0.99 < moved <= grid.units**2
    mass = noise_of(grid, 4 * axes)
    for epsilon in (0.1, 0.5, 1.0, 2.0, 4.0):
        found = hockey_stick(mass, shift, epsilon)
        charged = delta_of([Event(sigma)], epsilon)
        if charged > 1e-12:
            assert found <= charged
            assert found >= 0.9 * charged or axes > 1


def noise_of(grid: FixedPoint, sites: int) -> NDArray[np.float64]:
    """The exact probabilities of the sum of ``sites`` draws, by doubling."""
    _, mass = exact(grid.variance, int(9 * grid.variance**0.5))
    while sites > 1:
        mass, sites = np.maximum(fftconvolve(mass, mass), 0), sites // 2
    return mass


def hockey_stick(mass: NDArray[np.float64], shift: int, epsilon: float) -> float:
    padded = np.concatenate([mass, np.zeros(shift)])
    moved = np.concatenate([np.zeros(shift), mass])
    return float(np.maximum(moved - np.exp(epsilon) * padded, 0).sum())
