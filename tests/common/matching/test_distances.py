import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import ConfigError, ModelError
from common.matching.distances import DEFAULT, NAMES, Distance, Whitened, make_distance
from common.metrics.verification import Floats


def drawn(number: int, dim: int = 24, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).standard_normal((number, dim)).astype(np.float32)


def made(name: str, dim: int = 24) -> Distance:
    return make_distance(name, drawn(90, dim, 7) if name == "whitened" else None)


def alike(distance: Distance, values: Floats) -> Floats:
    return values if distance.higher_is_better else -values


@pytest.mark.parametrize("name", NAMES)
def test_every_measure_says_the_same_of_pairs_and_of_tables(name: str) -> None:
    distance = made(name)
    left, right = (distance.prepare(drawn(6, seed=seed)) for seed in (1, 2))
    table = distance.table(left, right)
    assert table.shape == (6, 6)
    assert np.allclose(distance.pairs(left, right), np.diag(table), atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_by_every_measure_an_embedding_is_most_alike_to_itself(name: str) -> None:
    distance = made(name)
    rows = distance.prepare(drawn(30))
    assert (alike(distance, distance.table(rows, rows)).argmax(axis=1) == np.arange(30)).all()


@pytest.mark.parametrize("name", NAMES)
def test_a_noisy_mate_is_more_alike_than_a_stranger(name: str) -> None:
    distance = made(name, 64)
    base = drawn(50, 64, 3)
    mates = distance.prepare(base + 0.5 * drawn(50, 64, 4))
    values = alike(distance, distance.table(distance.prepare(base), mates))
    assert (values.argmax(axis=1) == np.arange(50)).mean() > 0.9


@pytest.mark.parametrize("name", [n for n in NAMES if n != "euclid"])
def test_only_euclid_sees_how_long_an_embedding_is(name: str) -> None:
    distance, rows = made(name), drawn(5)
    prepared = distance.prepare(3 * rows)
    assert np.allclose(prepared, distance.prepare(rows), atol=1e-6)
    euclid = made("euclid")
    assert not np.allclose(euclid.prepare(3 * rows), euclid.prepare(rows))


@pytest.mark.parametrize("name", NAMES)
def test_what_is_not_finite_is_refused(name: str) -> None:
    rows = drawn(3)
    rows[1, 2] = np.nan
    with pytest.raises(ModelError):
        made(name).prepare(rows)


@given(st.integers(0, 2**32 - 1), st.integers(1, 70))
def test_hamming_counts_the_signs_that_differ(seed: int, dim: int) -> None:
    left, right = drawn(4, dim, seed), drawn(4, dim, seed + 1)
    distance = make_distance("hamming")
    found = distance.table(distance.prepare(left), distance.prepare(right))
    expected = ((left > 0)[:, None] != (right > 0)[None]).sum(axis=2)
    assert np.array_equal(found, expected)


def test_public_people_are_round_once_whitened() -> None:
    stretched = drawn(4000, 6, 8) * np.array([9, 5, 3, 2, 1, 1], np.float32)
    unit = stretched / np.linalg.norm(stretched, axis=1, keepdims=True)
    distance = Whitened.of(stretched)
    spread = np.linalg.eigvalsh(np.cov(((unit - distance.mean) @ distance.basis).T))
    plain = np.linalg.eigvalsh(np.cov(unit.T))
    assert plain[-1] / plain[0] > 10
    assert spread[-1] / spread[0] < 3


def test_the_default_is_the_cosine() -> None:
    rows = drawn(4)
    distance = make_distance(DEFAULT)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    assert np.allclose(
        distance.table(distance.prepare(rows), distance.prepare(rows)), unit @ unit.T
    )


def test_what_cannot_be_made_is_refused() -> None:
    for name, public in (
        ("manhattan", None),
        ("whitened", None),
        ("whitened", drawn(1)),
        ("whitened", np.ones((5, 4), np.float32)),
    ):
        with pytest.raises(ConfigError):
            make_distance(name, public)
    with pytest.raises(ModelError, match="24"):
        made("whitened").prepare(drawn(2, 25))
