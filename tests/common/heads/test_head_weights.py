import pytest

from common.errors import ModelError
from common.heads.weights import MOST, checked_weights, uncertainty_weights
from tests.small_heads import all_heads

HEADS = all_heads()[:2]


def test_weights_are_one_for_every_head() -> None:
    assert checked_weights({"attributes": 1, "age": 0.5}, HEADS) == {"attributes": 1.0, "age": 0.5}
    for wrong in ({"attributes": 1.0}, {"attributes": 1.0, "age": 1.0, "words": 1.0}):
        with pytest.raises(ModelError, match="every head"):
            checked_weights(wrong, HEADS)
    for weight in (0.0, -1.0, float("inf"), float("nan")):
        with pytest.raises(ModelError, match="in"):
            checked_weights({"attributes": 1.0, "age": weight}, HEADS)


def test_a_head_that_stays_uncertain_counts_less() -> None:
    found = uncertainty_weights({"attributes": 0.25, "age": 2 / 3})
    assert found == {"attributes": 4.0, "age": 1.5}
    assert checked_weights(found, HEADS) == found


def test_no_weight_is_beyond_what_a_file_may_hold() -> None:
    assert uncertainty_weights({"age": 0.0}) == {"age": MOST}
