import pytest
import torch

from common.errors import ModelError
from common.heads.weights import Uncertainty, checked_weights
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


def test_uncertainty_tends_to_one_over_each_loss() -> None:
    found = Uncertainty(HEADS)
    losses = {"attributes": torch.tensor(0.2), "age": torch.tensor(2.0)}
    search = torch.optim.Adam(found.parameters(), lr=0.1)
    for _ in range(300):
        search.zero_grad()
        torch.autograd.backward(found(losses))
        search.step()
    assert found.fixed() == {"attributes": pytest.approx(5, rel=0.02), "age": pytest.approx(0.5)}
    assert checked_weights(found.fixed(), HEADS) == found.fixed()
