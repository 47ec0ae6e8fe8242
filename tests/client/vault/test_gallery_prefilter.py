"""A shortlist by signs is used only for as long as it is shown to lose nobody."""

import numpy as np
import pytest
from numpy.typing import NDArray

from client.vault.gallery import FEW, Gallery
from client.vault.identity import PersonId, TemplateId
from client.vault.prefilter import AUDIT, MISSES, Prefilter, upper_bound

DIM, PEOPLE = 64, 2 * FEW
ENOUGH = 30_000  # searches without a miss that show 1e-4


def near(rows: NDArray[np.float64], noise: float, seed: int = 1) -> NDArray[np.float64]:
    moved = rows + noise * np.random.default_rng(seed).standard_normal(rows.shape)
    return np.asarray(moved / np.linalg.norm(moved, axis=1, keepdims=True), np.float64)


@pytest.fixture
def rows() -> NDArray[np.float64]:
    return near(np.zeros((PEOPLE, DIM)), 1.0, seed=0)


@pytest.fixture
def gallery(rows: NDArray[np.float64]) -> Gallery:
    gallery = Gallery(DIM)
    names = [number.to_bytes(16, "big") for number in range(PEOPLE)]
    gallery.extend([PersonId(n) for n in names], [TemplateId(n) for n in names], rows)
    return gallery


def proven(gallery: Gallery, most: int = 64) -> Prefilter:
    """A prefilter that counted enough searches, all of them fine."""
    prefilter = Prefilter(DIM, threshold=0.5, most=most)
    gallery.use(prefilter)
    prefilter._lost.extend([False] * ENOUGH)
    prefilter._rows = len(gallery)
    return prefilter


def test_the_bound_is_that_of_clopper_and_pearson() -> None:
    assert upper_bound(0, 0) == 1.0
    assert upper_bound(5, 5) == 1.0
    assert upper_bound(0, 29_956) == pytest.approx(1e-4, rel=1e-3)  # the rule of three
    assert upper_bound(1, 100) == pytest.approx(0.0465598, rel=1e-5)  # tables
    assert upper_bound(0, ENOUGH) <= MISSES < upper_bound(1, ENOUGH)


def test_signs_are_not_trusted_before_they_were_measured(
    gallery: Gallery, rows: NDArray[np.float64]
) -> None:
    prefilter = Prefilter(DIM, threshold=0.5, most=64)
    gallery.use(prefilter)
    assert gallery.search(rows[:1]).exact
    assert prefilter.bound() == pytest.approx(0.95)  # one search, nobody lost
    gallery.search(near(np.zeros((1, DIM)), 1.0, seed=99))  # a stranger teaches nothing
    assert prefilter.bound() == pytest.approx(0.95)


def test_a_proven_shortlist_finds_the_same_and_is_audited(
    gallery: Gallery, rows: NDArray[np.float64]
) -> None:
    prefilter = proven(gallery)
    probes, exact = near(rows, 0.02), 0
    for number, probe in enumerate(probes[: 2 * AUDIT]):
        hits = gallery.search(probe[None])
        exact += hits.exact
        assert hits.persons[0][0] == PersonId(number.to_bytes(16, "big"))
        assert hits.scores[0, 0] == gallery.search(probe[None], exact=True).scores[0, 0]
    assert exact == 2
    assert prefilter.bound() <= MISSES


def test_duplicates_are_never_looked_for_by_signs(
    gallery: Gallery, rows: NDArray[np.float64]
) -> None:
    proven(gallery)
    assert not gallery.search(rows[:1]).exact
    assert gallery.search(rows[:1], exact=True).exact
    assert gallery.search(rows[:32]).exact  # one product is faster there


def test_one_miss_switches_the_shortlist_off(gallery: Gallery, rows: NDArray[np.float64]) -> None:
    prefilter = proven(gallery, most=1)
    prefilter.threshold = 0.2
    probes = near(rows[:200], 0.3)
    assert any(gallery.search(p[None], exact=True) and prefilter.bound() > MISSES for p in probes)
    assert gallery.search(rows[:1]).exact


def test_a_gallery_that_grew_is_measured_anew(gallery: Gallery, rows: NDArray[np.float64]) -> None:
    prefilter = proven(gallery)
    more = near(rows[: PEOPLE // 2], 0.5)
    names = [number.to_bytes(16, "big") for number in range(PEOPLE, PEOPLE + len(more))]
    gallery.extend([PersonId(n) for n in names], [TemplateId(n) for n in names], more)
    assert gallery.search(rows[:1]).exact
    assert prefilter.bound() == pytest.approx(0.95)


def test_a_filter_holds_for_shortlists_too(gallery: Gallery, rows: NDArray[np.float64]) -> None:
    proven(gallery)
    some = [PersonId(number.to_bytes(16, "big")) for number in range(1, PEOPLE, 2)]
    hits = gallery.search(rows[:1], allowed=gallery.bitmap(some))
    assert not hits.exact
    assert set(hits.persons[0]) <= set(some)
    one = gallery.search(rows[:1], allowed=gallery.bitmap(some[:1]))
    assert one.exact  # a shortlist of one is shorter than the answer could be
    assert one.persons == ((some[0],),)


def test_signs_are_zeroed_when_they_are_given_up(gallery: Gallery) -> None:
    proven(gallery)
    signs = gallery._matrix._arrays["signs"]
    assert signs.any()
    gallery.use(None)
    assert not signs.any()
