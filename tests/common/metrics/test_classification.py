"""Rates of right and wrong decisions, at a threshold the judged people had no say in."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.metrics.classification import Decisions, operating_threshold
from common.metrics.verification import Scores

VALUES = st.lists(st.integers(-4, 4).map(lambda v: v / 4), max_size=40)
COUNTS = st.builds(Decisions, *[st.integers(0, 500)] * 4)
RATES = ("accuracy", "precision", "recall", "specificity", "f1", "balanced_accuracy")


def scores(genuine: list[float], impostor: list[float]) -> Scores:
    return Scores(np.array(genuine, np.float32), np.array(impostor, np.float32))


def test_hand_computed_decisions() -> None:
    # At .5: of four genuine pairs three are accepted (.5 too), of six impostor pairs two.
    found = Decisions.of(scores([0.9, 0.5, 0.7, 0.4], [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]), 0.5)
    assert found == Decisions(true_accepts=3, false_rejects=1, false_accepts=2, true_rejects=4)
    assert found.accuracy == pytest.approx(7 / 10)
    assert found.precision == pytest.approx(3 / 5)
    assert found.recall == pytest.approx(3 / 4)
    assert found.specificity == pytest.approx(4 / 6)
    assert found.f1 == pytest.approx(2 / 3)  # 2 * .6 * .75 / 1.35
    assert found.balanced_accuracy == pytest.approx((3 / 4 + 2 / 3) / 2)


def test_threshold_is_that_of_the_other_people() -> None:
    others = scores([], [0.1] * 80 + [0.6] * 20)
    threshold = operating_threshold(others, 0.2)
    assert threshold == pytest.approx(0.1, abs=1e-6)
    assert operating_threshold(others, 0.09) is None  # 9 pairs are too few to say
    judged = Decisions.of(scores([0.5, 0.05], [0.3, 0.0]), threshold or 0)
    assert judged == Decisions(1, 1, 1, 1)


def test_rates_of_nothing_are_none() -> None:
    assert {getattr(Decisions(0, 0, 0, 0), rate) for rate in RATES} == {None}
    refused = Decisions(true_accepts=0, false_rejects=2, false_accepts=0, true_rejects=3)
    assert (refused.precision, refused.recall, refused.f1) == (None, 0, 0)
    nobody = Decisions(true_accepts=0, false_rejects=0, false_accepts=0, true_rejects=3)
    assert (nobody.recall, nobody.f1, nobody.balanced_accuracy) == (None, None, None)
    assert (nobody.specificity, nobody.accuracy) == (1, 1)


@given(found=COUNTS)
def test_rates_are_shares_and_f1_lies_between_precision_and_recall(found: Decisions) -> None:
    rates = [getattr(found, rate) for rate in RATES]
    assert all(rate is None or 0 <= rate <= 1 for rate in rates)
    if found.precision and found.recall and found.f1:
        low, high = sorted([found.precision, found.recall])
        assert low - 1e-12 <= found.f1 <= high + 1e-12
        harmonic = 2 * found.precision * found.recall / (found.precision + found.recall)
        assert found.f1 == pytest.approx(harmonic)


@given(genuine=VALUES, impostor=VALUES, low=st.floats(-1, 1), step=st.floats(0, 1))
def test_a_higher_threshold_accepts_no_more(
    genuine: list[float], impostor: list[float], low: float, step: float
) -> None:
    both = scores(genuine, impostor)
    lax, strict = Decisions.of(both, low), Decisions.of(both, low + step)
    assert lax.pairs == strict.pairs == len(genuine) + len(impostor)
    assert strict.true_accepts <= lax.true_accepts
    assert strict.false_accepts <= lax.false_accepts
