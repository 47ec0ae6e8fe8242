import math

import numpy as np
import pytest
import torch

from common.errors import ModelError
from common.heads.age import OLDEST, YOUNGEST, AgeHead
from common.heads.head import PictureLabels

HEAD = AgeHead(cuts=(30, 50))
ARRAYS = {
    "heads.age.weight": torch.tensor([[2.0]]),
    "heads.age.bias": torch.tensor([0.5, -1.0]),
}
FEATURE = torch.tensor([[0.3]])
LOGITS = (0.6 + 0.5, 0.6 - 1.0)


def softplus(value: float) -> float:
    return math.log1p(math.exp(value))


def loss(age: list[float] | list[list[float]]) -> float:
    labels = PictureLabels(age=torch.tensor(age))
    return float(HEAD.loss(ARRAYS, FEATURE, labels))


def test_the_loss_asks_at_every_cut_whether_somebody_is_that_old() -> None:
    assert loss([40.0]) == pytest.approx((softplus(-LOGITS[0]) + softplus(LOGITS[1])) / 2)
    assert loss([50.0]) == pytest.approx((softplus(-LOGITS[0]) + softplus(-LOGITS[1])) / 2)


def test_a_range_of_years_labels_only_the_cuts_outside_it() -> None:
    assert loss([[30.0, 50.0]]) == pytest.approx(loss([40.0]))
    assert loss([[40.0, 60.0]]) == pytest.approx(softplus(-LOGITS[0]))
    assert loss([[20.0, 60.0]]) == 0


def test_logits_fall_along_the_cuts_for_every_face() -> None:
    head = AgeHead()
    arrays = head.arrays(3, torch.Generator())
    logits = head.logits(arrays, torch.randn(20, 3))
    assert (logits.diff(dim=1) < 0).all()


def test_quantiles_lie_between_cuts_as_the_probabilities_say() -> None:
    reached = np.array([[0.5, 0.5], [1.0, 1.0], [0.0, 0.0]])
    middle = HEAD.quantiles(reached, (0.5,))[:, 0]
    assert middle[1] == (50 + OLDEST) / 2
    assert middle[2] == (YOUNGEST + 30) / 2
    low, high = HEAD.quantiles(np.array([[0.9, 0.2]]), (0.1, 0.8))[0]
    assert (low, high) == pytest.approx((30, 50))


def test_probabilities_that_contradict_each_other_are_lowered() -> None:
    assert HEAD.quantiles(np.array([[0.4, 0.7]]), (0.3,)) == HEAD.quantiles(
        np.array([[0.4, 0.4]]), (0.3,)
    )


def test_cuts_that_do_not_ascend_are_refused() -> None:
    for cuts in ((), (40, 30), (10, 20), (95,)):
        with pytest.raises(ModelError, match="cuts ascend"):
            AgeHead(cuts=cuts)
