import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.metrics.reliability import expected_calibration_error, ranking


def test_probabilities_that_are_right_have_no_error() -> None:
    said = np.array([0.25] * 4 + [0.75] * 4)
    truth = np.array([1, 0, 0, 0, 1, 1, 1, 0])
    assert expected_calibration_error(said, truth) == pytest.approx(0)


def test_the_error_is_the_gap_of_each_bin_weighed_by_its_pictures() -> None:
    said = np.array([0.9, 0.9, 0.1, 0.1, 0.1, 0.1])
    truth = np.array([1, 0, 0, 0, 0, 0])
    assert expected_calibration_error(said, truth) == pytest.approx((2 * 0.4 + 4 * 0.1) / 6)


def test_missing_labels_count_nowhere() -> None:
    said, truth = np.array([[0.9, 0.2]]), np.array([[1, -1]])
    assert expected_calibration_error(said, truth) == pytest.approx(0.1)
    assert expected_calibration_error(said, np.full((1, 2), -1)) is None


def test_a_certain_picture_is_in_the_last_bin() -> None:
    assert expected_calibration_error(np.array([1.0, 0.0]), np.array([1, 0])) == 0


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(-1, 1), st.integers(0, 2)), max_size=12))
def test_the_ranking_is_the_share_of_pairs_in_order(rows: list[tuple[int, int, int]]) -> None:
    pairs = [
        (yes > no) + 0.5 * (yes == no)
        for yes, label, a in rows
        for no, other, b in rows
        for _ in range(a * b)
        if label == 1 and other == 0
    ]
    score, truth, weight = np.array(rows, float).reshape(-1, 3).T
    found = ranking(score, truth.astype(int), weight)
    assert (found is None) == (not pairs)
    if pairs:
        assert found == pytest.approx(np.mean(pairs))


def test_shapes_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match="every label"):
        expected_calibration_error(np.zeros(2), np.zeros(3, int))
