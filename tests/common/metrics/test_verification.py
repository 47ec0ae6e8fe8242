"""The rates are what their definition says on every set of pairs, ties included."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from common.errors import ModelError
from common.metrics.verification import (
    FARS,
    Pairs,
    Scores,
    det_curve,
    eer,
    tar_at_far,
    threshold_at_far,
)

# Few distinct values, so that ties are the rule.
VALUES = st.lists(st.integers(-4, 4).map(lambda v: v / 4), min_size=1, max_size=60)
RATES = st.sampled_from([0.0, 0.01, 0.1, 0.25, 0.29, 0.5, 0.9, 1.0])


@st.composite
def picture_sets(draw: st.DrawFn) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    people = draw(st.lists(st.integers(3, 9), min_size=2, max_size=30))
    rows = st.lists(st.integers(-2, 2), min_size=3, max_size=3)
    vectors = draw(st.lists(rows, min_size=len(people), max_size=len(people)))
    return np.array(vectors, np.float32), np.array(people)


def test_hand_computed_case() -> None:
    # Twelve people on the axes of a plane, two pictures of person 0 at 0 and 60 degrees.
    angles = np.radians([0, 60] + [90 + 10 * i for i in range(11)])
    embeddings = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    person = [0, 0, *range(1, 12)]
    pairs = Pairs.of(person)
    assert len(pairs.genuine) == 1
    assert len(pairs.impostor) == 13 * 12 // 2 - 1 == 77
    # cos 60 = .5 is reached by 10 + 9 + 8 + 7 + 6 + 5 pairs of people 1..11 (10 to 60 degrees
    # apart) and 4 pairs with picture 1 (30, 40, 50, 60 degrees): 49 of 77.
    assert tar_at_far(embeddings, person, [0.5, 0.7]) == {0.5: 0.0, 0.7: 1.0}


def test_thresholds_of_a_hand_computed_list() -> None:
    impostor = np.array([0.1] * 50 + [0.4] * 30 + [0.7] * 15 + [0.9] * 5, np.float32)
    above = [float(np.nextafter(np.float32(v), np.float32(2))) for v in (0.1, 0.4, 0.7)]
    assert threshold_at_far(impostor, 0.5) == above[0]
    assert threshold_at_far(impostor, 0.49) == above[1]  # the 30 tied ones go together
    assert threshold_at_far(impostor, 0.2) == above[1]
    assert threshold_at_far(impostor, 0.19) == above[2]
    assert threshold_at_far(impostor, 0.1) == above[2]
    assert threshold_at_far(impostor, 0.09) is None  # 9 accepted pairs say nothing
    assert threshold_at_far(impostor, 1.0) == -math.inf


@given(genuine=VALUES, impostor=VALUES, far=RATES)
def test_threshold_is_the_smallest_whose_fmr_is_allowed(
    genuine: list[float], impostor: list[float], far: float
) -> None:
    ordered = np.sort(np.array(impostor * 10, np.float32))
    threshold = threshold_at_far(ordered, far)
    if far * len(ordered) < 10 - 1e-9:
        assert threshold is None
        return
    assert threshold is not None
    assert np.mean(ordered >= threshold) <= far + 1e-12
    lower = np.nextafter(np.float32(threshold), np.float32(-np.inf))
    assert threshold == -math.inf or np.mean(ordered >= lower) > far


@given(pictures=picture_sets(), far=RATES)
def test_tar_agrees_with_brute_force(
    pictures: tuple[NDArray[np.float32], NDArray[np.int64]], far: float
) -> None:
    embeddings, person = pictures
    scores = Pairs.of(person).score(embeddings)
    genuine, impostor = scores_one_by_one(embeddings, person)
    assert np.allclose(np.sort(scores.genuine), np.sort(genuine), atol=1e-6)
    assert np.allclose(np.sort(scores.impostor), np.sort(impostor), atol=1e-6)
    expected = tar_one_by_one(scores.genuine, scores.impostor, far)
    assert tar_at_far(embeddings, person, [far])[far] == expected


@given(pictures=picture_sets(), seed=st.integers(0, 99))
def test_order_and_names_of_people_and_norms_do_not_matter(
    pictures: tuple[NDArray[np.float32], NDArray[np.int64]], seed: int
) -> None:
    embeddings, person = pictures
    order = np.random.default_rng(seed).permutation(len(person))
    base, other = Pairs.of(person), Pairs.of(1000 - 7 * person[order])
    first, second = base.score(embeddings), other.score(2 * embeddings[order])
    assert np.allclose(np.sort(first.genuine), np.sort(second.genuine), atol=1e-6)
    assert np.allclose(np.sort(first.impostor), np.sort(second.impostor), atol=1e-6)


def test_pictures_that_are_copies_score_one_and_single_pictures_are_impostors_only() -> None:
    pairs = Pairs.of([5, 5, 9])
    scores = pairs.score([[3, 4], [6, 8], [0, 0]])
    assert scores.genuine.tolist() == pytest.approx([1.0])
    assert scores.impostor.tolist() == [0.0, 0.0]
    assert (len(pairs), pairs.people) == (3, 2)


def test_rates_that_cannot_be_estimated_are_none() -> None:
    rng = np.random.default_rng(0)
    embeddings = rng.standard_normal((30, 4))
    nobody_twice = tar_at_far(embeddings, range(30))
    assert nobody_twice == dict.fromkeys(FARS)
    twice = tar_at_far(embeddings, [*range(15), *range(15)])  # 420 impostor pairs
    assert twice[1e-1] is not None
    assert (twice[1e-2], twice[1e-3]) == (None, None)
    assert tar_at_far(np.empty((0, 4)), []) == dict.fromkeys(FARS)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_embedding_that_is_not_finite_is_refused(bad: float) -> None:
    with pytest.raises(ModelError):
        tar_at_far([[1.0, bad], [1.0, 0.0]], [0, 1])


def test_wrong_shapes_are_programming_mistakes() -> None:
    with pytest.raises(ValueError, match="2 embeddings for 3 pictures"):
        Pairs.of([0, 0, 1]).score([[1.0], [1.0]])
    with pytest.raises(ValueError, match=r"\(N, E\)"):
        Pairs.of([0]).score([1.0])


@given(genuine=VALUES, impostor=VALUES)
def test_curve_counts_every_pair_at_every_threshold(
    genuine: list[float], impostor: list[float]
) -> None:
    curve = det_curve(Scores(np.array(genuine, np.float32), np.array(impostor, np.float32)))
    for threshold, fmr, fnmr in zip(curve.threshold, curve.fmr, curve.fnmr, strict=True):
        assert fmr == pytest.approx(np.mean(np.array(impostor) >= threshold))
        assert fnmr == pytest.approx(np.mean(np.array(genuine) < threshold))
    assert (curve.fmr[0], curve.fnmr[0]) == (1, 0)
    assert (curve.fmr[-1], curve.fnmr[-1]) == (0, 1)
    assert (curve.tar == 1 - curve.fnmr).all()


def test_equal_error_rate_of_hand_computed_cases() -> None:
    def rate(genuine: list[float], impostor: list[float]) -> float:
        return eer(Scores(np.array(genuine, np.float32), np.array(impostor, np.float32)))

    assert rate([0.8, 0.9], [0.1, 0.2]) == 0
    assert rate([0.1, 0.2], [0.8, 0.9]) == 1
    assert rate([0.5], [0.5]) == pytest.approx(0.5)  # accept both or neither: half way
    # Between thresholds .3 (FMR 2/4, FNMR 0) and .4 (FMR 1/4, FNMR 1/2): 1/2 - t/4 = t/2.
    assert rate([0.3, 0.8], [0.1, 0.2, 0.3, 0.9]) == pytest.approx(1 / 3)


@given(genuine=VALUES, impostor=VALUES)
def test_equal_error_rate_is_symmetric(genuine: list[float], impostor: list[float]) -> None:
    scores = Scores(np.array(genuine, np.float32), np.array(impostor, np.float32))
    mirrored = Scores(-scores.impostor, -scores.genuine)
    assert eer(scores) == pytest.approx(eer(mirrored))
    assert 0 <= eer(scores) <= 1


def test_curve_without_pairs_is_a_programming_mistake() -> None:
    with pytest.raises(ValueError, match="genuine and impostor"):
        det_curve(Scores(np.empty(0, np.float32), np.ones(3, np.float32)))


def test_area_under_hand_computed_curves() -> None:
    def area(genuine: list[float], impostor: list[float]) -> float:
        made = Scores(np.array(genuine, np.float32), np.array(impostor, np.float32))
        return det_curve(made).area

    assert area([0.8, 0.9], [0.1, 0.2]) == 1
    assert area([0.1, 0.2], [0.8, 0.9]) == 0
    assert area([0.5, 0.5], [0.5]) == 0.5
    # .3 beats two impostors of four and ties one, .8 beats three: 2.5 + 3 of 8.
    assert area([0.3, 0.8], [0.1, 0.2, 0.3, 0.9]) == pytest.approx(5.5 / 8)


@given(genuine=VALUES, impostor=VALUES)
def test_area_is_the_chance_that_a_genuine_pair_wins(
    genuine: list[float], impostor: list[float]
) -> None:
    won = [(g > i) + (g == i) / 2 for g in genuine for i in impostor]
    made = Scores(np.array(genuine, np.float32), np.array(impostor, np.float32))
    assert det_curve(made).area == pytest.approx(np.mean(won))


@given(genuine=VALUES, impostor=VALUES, fmr=RATES)
def test_curve_is_sampled_at_the_lowest_threshold_allowed(
    genuine: list[float], impostor: list[float], fmr: float
) -> None:
    curve = det_curve(Scores(np.array(genuine, np.float32), np.array(impostor, np.float32)))
    (found,) = curve.tar_at([fmr])
    assert found == max(t for t, f in zip(curve.tar, curve.fmr, strict=True) if f <= fmr + 1e-12)


def scores_one_by_one(
    embeddings: NDArray[np.float32], person: NDArray[np.int64]
) -> tuple[list[float], list[float]]:
    genuine: list[float] = []
    impostor: list[float] = []
    for i in range(len(person)):
        for j in range(i + 1, len(person)):
            a, b = embeddings[i].astype(float), embeddings[j].astype(float)
            norm = np.linalg.norm(a) * np.linalg.norm(b)
            score = float(a @ b / norm) if norm else 0.0
            (genuine if person[i] == person[j] else impostor).append(score)
    return genuine, impostor


def tar_one_by_one(
    genuine: NDArray[np.float32], impostor: NDArray[np.float32], far: float
) -> float | None:
    """Tries every threshold there is: the definition, word by word."""
    if not len(genuine) or far * len(impostor) < 10 - 1e-9:
        return None
    candidates = [*np.concatenate([genuine, impostor]).tolist(), math.inf, -math.inf]
    allowed = [t for t in candidates if np.mean(impostor >= t) <= far + 1e-12]
    return float(np.mean(genuine >= min(allowed)))
