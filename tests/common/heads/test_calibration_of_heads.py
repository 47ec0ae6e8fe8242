import numpy as np
import pytest

from common.errors import DataSetError, ModelError
from common.heads.calibration import Platt, match_calibration, sigmoid
from common.metrics.reliability import expected_calibration_error


def drawn(slope: float, offset: float, pictures: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    score = rng.normal(0.5, 2.0, (pictures, 1))
    truth = rng.random((pictures, 1)) < sigmoid(slope * score + offset)
    return score, truth.astype(np.int8)


def test_a_line_is_found_again() -> None:
    score, truth = drawn(0.4, -1.0)
    found = Platt.fit(score, truth)
    assert found.slope == pytest.approx(0.4, abs=0.05)
    assert found.offset == pytest.approx(-1.0, abs=0.1)


def test_calibrated_probabilities_err_less_on_others() -> None:
    score, truth = drawn(0.4, -1.0)
    half = len(score) // 2
    said = Platt.fit(score[:half], truth[:half])(score[half:])
    before = expected_calibration_error(sigmoid(score[half:]), truth[half:])
    after = expected_calibration_error(said, truth[half:])
    assert before is not None and after is not None
    assert after < before / 3


def test_columns_are_fitted_apart_and_missing_labels_count_nowhere() -> None:
    score, truth = drawn(0.4, -1.0, 500)
    gone = np.full_like(truth, -1)
    both = Platt.fit(np.hstack([score, score]), np.hstack([truth, gone]))
    alone = Platt.fit(score, truth)
    assert both.slope[0] == pytest.approx(alone.slope[0], rel=1e-3)
    assert (both.slope[1], both.offset[1]) == (0, pytest.approx(0))
    padded = Platt.fit(np.vstack([score, 9 * score]), np.vstack([truth, gone]))
    assert padded.slope[0] == pytest.approx(alone.slope[0], rel=1e-3)


def test_scores_that_tell_the_opposite_leave_only_the_share() -> None:
    score, truth = drawn(-1.0, 0.0)
    found = Platt.fit(score, truth)
    assert found.slope == 0
    assert found(score[:1]) == pytest.approx(truth.mean(), abs=0.01)


def test_few_labels_make_nobody_certain() -> None:
    said = Platt.fit(np.array([[-50.0], [50.0]]), np.array([[0], [1]]))(np.array([[50.0]]))
    assert 0.5 < said < 0.999


def test_one_line_may_be_put_through_many_scores() -> None:
    assert Platt(np.array([2.0]), np.array([1.0]))(np.zeros((3, 4))).shape == (3, 4)
    assert Platt.identity()(np.zeros((1, 1))) == 0.5


def test_matching_is_calibrated_at_even_odds_and_a_prior_moves_it() -> None:
    rng = np.random.default_rng(2)
    genuine, impostor = rng.normal(0.6, 0.15, 300), rng.normal(0.05, 0.1, 5000)
    same = match_calibration(genuine, impostor)
    middle = np.array([[0.3]])
    assert same(np.array([[0.7]])) > 0.95 > 0.05 > same(np.array([[0.0]]))
    assert same(middle, prior=0.01) < same(middle) < same(middle, prior=0.9)


def test_calibrations_that_turn_scores_around_or_are_not_finite_are_refused() -> None:
    with pytest.raises(ModelError, match="never turns"):
        Platt(np.array([-1.0]), np.zeros(1))
    with pytest.raises(ModelError, match="finite"):
        Platt(np.array([np.nan]), np.zeros(1))
    with pytest.raises(ModelError, match="prior"):
        Platt.identity()(np.zeros((1, 1)), prior=1.0)
    with pytest.raises(DataSetError, match="truth each"):
        Platt.fit(np.zeros((2, 1)), np.zeros((3, 1)))
    with pytest.raises(DataSetError, match="both kinds"):
        match_calibration(np.zeros(0), np.zeros(3))
