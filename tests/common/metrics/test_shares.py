"""The interval of a share is the textbook's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from common.metrics.shares import wilson


@given(trials=st.integers(1, 10**5), data=st.data())
def test_wilsons_interval_is_scipys(trials: int, data: st.DataObject) -> None:
    hits = data.draw(st.integers(0, trials))
    known = stats.binomtest(hits, trials).proportion_ci(method="wilson")
    assert wilson(hits, trials) == pytest.approx((known.low, known.high), abs=1e-9)
    low, high = wilson(hits, trials)
    assert 0 <= low <= hits / trials <= high <= 1


def test_nothing_tried_is_nothing_known() -> None:
    assert wilson(0, 0) == (0.0, 1.0)
    with pytest.raises(ValueError, match="2 hits of 1"):
        wilson(2, 1)
