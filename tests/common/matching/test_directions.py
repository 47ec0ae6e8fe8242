"""Each measure is a cosine of other rows: the same order of pairs, and the same bits every time."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.vault.gallery import Gallery
from client.vault.identity import PersonId, TemplateId
from common.errors import ConfigError, ModelError
from common.matching.basis_file import basis_bytes, parse_basis
from common.matching.directions import BLOCK, Directions
from common.matching.distances import NAMES, Name, Whitened, make_distance
from common.metrics.verification import Floats, unit_rows

SEEDS = st.integers(0, 2**32 - 1)


def drawn(number: int, dim: int = 24, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).standard_normal((number, dim)).astype(np.float32)


def basis(dim: int = 24) -> Whitened:
    stretch = np.linspace(0.3, 3, dim, dtype=np.float32)
    return Whitened.of(drawn(90, dim, 7) * stretch + stretch[::-1])


def made(name: Name, dim: int = 24) -> Directions:
    return Directions(name, basis(dim) if name == "whitened" else None)


@given(seed=SEEDS, dim=st.integers(2, 70))
def test_euclid_at_length_one_orders_as_the_cosine_does(seed: int, dim: int) -> None:
    left, right = drawn(1, dim, seed), drawn(6, dim, seed + 1)
    rows = [unit_rows(made("euclid").of(one)) for one in (left, right)]
    euclid = make_distance("euclid")
    apart = euclid.table(*(euclid.prepare(unit_rows(one)) for one in (left, right)))[0]
    cosines = (rows[0] @ rows[1].T)[0]
    assert np.allclose(apart**2, 2 - 2 * cosines, atol=1e-5)
    assert made("euclid").of(left) is left and made("cosine").of(left) is left


@given(seed=SEEDS, dim=st.integers(1, 70))
def test_the_cosine_of_two_codes_counts_their_signs_exactly(seed: int, dim: int) -> None:
    """Also of float16 rows, by whatever order of adding: a threshold between two counts holds."""
    hamming, turned = make_distance("hamming"), made("hamming")
    some, others = drawn(5, dim, seed), drawn(3, dim, seed + 1)
    apart = hamming.table(hamming.prepare(others), hamming.prepare(some))
    rows, probes = turned.of(some), turned.of(others)
    expected = 1 - 2 * apart / turned.dim(dim)
    assert np.array_equal(probes @ rows.T, expected)
    gallery = Gallery(turned.dim(dim))
    names = [n.to_bytes(16, "big") for n in range(5)]
    gallery.extend([PersonId(n) for n in names], [TemplateId(n) for n in names], rows)
    for probe, row in zip(probes, expected, strict=True):
        assert [gallery.best(probe, PersonId(name)) for name in names] == row.tolist()


@given(seed=SEEDS)
def test_whitened_rows_have_the_cosines_of_the_whitened_distance(seed: int) -> None:
    left, right = drawn(4, seed=seed), drawn(4, seed=seed + 1)
    distance, turned = basis(), made("whitened")
    expected = distance.table(distance.prepare(left), distance.prepare(right))
    assert np.allclose(turned.of(left) @ turned.of(right).T, expected, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_a_row_is_the_same_to_the_bit_in_any_company(name: Name) -> None:
    turned, some = made(name), unit_rows(drawn(2 * BLOCK + 5))
    together = turned.of(some)
    alone = np.concatenate([turned.of(row[None]) for row in some])
    assert together.tobytes() == alone.tobytes()
    assert together.shape == (len(some), turned.dim(24))
    assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_of_nothing_there_is_nothing_and_what_is_not_finite_is_nobodys(name: Name) -> None:
    some = unit_rows(drawn(3))
    some[1] = 0
    rows = made(name).of(some)
    assert rows.any(axis=1).tolist() == [True, False, True]
    some[0, 0] = np.nan
    with pytest.raises(ModelError):
        unit_rows(made(name).of(some))


def test_a_basis_comes_back_from_its_file_to_the_bit() -> None:
    content = basis_bytes(basis())
    again = parse_basis(content, "b")
    assert basis_bytes(again) == content
    some = drawn(9)
    turned = [Directions("whitened", one).of(some) for one in (basis(), again)]
    assert turned[0].tobytes() == turned[1].tobytes()


def test_other_files_are_not_taken_for_a_basis() -> None:
    from safetensors.numpy import save

    mean, matrix = basis().mean, np.ascontiguousarray(basis().basis)
    names = ("whitened.mean", "whitened.basis")
    broken = matrix.copy()
    broken[0, 0] = np.inf
    wrong = [
        {names[0]: mean},
        {names[0]: mean, names[1]: matrix[:, :3].copy()},
        {names[0]: mean.astype(np.float64), names[1]: matrix},
        {names[0]: mean, names[1]: broken},
        {names[0]: mean, names[1]: matrix, "more": mean},
    ]
    for content in (b"", basis_bytes(basis())[:-9], *(save(arrays) for arrays in wrong)):
        with pytest.raises(ModelError, match="here"):
            parse_basis(content, "here")


def test_what_cannot_be_is_refused() -> None:
    for name, whitened in (("manhattan", None), ("whitened", None), ("cosine", basis())):
        with pytest.raises(ConfigError):
            Directions(name, whitened)  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="25"):
        made("whitened").of(drawn(2, 25))
