import math

import pytest
import torch

from common.errors import ForbiddenError, ModelError
from common.heads.attributes import AttributesHead, class_weights, prior
from common.heads.gender import GenderHead
from common.heads.head import PictureLabels

HEAD = AttributesHead(names=("glasses", "hat"), shown=(25, 10), absent=(75, 990), beta=0.999)
WEIGHT = torch.tensor([[1.0, -1.0], [0.5, 2.0]])
ARRAYS = {"heads.attributes.weight": WEIGHT, "heads.attributes.bias": torch.tensor([0.1, -0.2])}


def test_the_loss_is_the_weighted_cross_entropy_of_what_is_labelled() -> None:
    feature = torch.tensor([[1.0, 2.0], [0.0, 1.0]])
    truth = torch.tensor([[1, -1], [0, 1]], dtype=torch.int8)
    weights = class_weights(HEAD.shown, HEAD.absent, HEAD.beta)
    by_hand = [
        float(weights[1, 0]) * math.log1p(math.exp(-(1.0 - 2.0 + 0.1))),
        float(weights[0, 0]) * math.log1p(math.exp(-1.0 + 0.1)),
        float(weights[1, 1]) * math.log1p(math.exp(-(2.0 - 0.2))),
    ]
    loss = HEAD.loss(ARRAYS, feature, PictureLabels(attributes=truth))
    assert loss.item() == pytest.approx(sum(by_hand) / 3, rel=1e-5)


def test_rare_sides_are_weighed_up_and_the_mean_weight_is_one() -> None:
    weights = class_weights(HEAD.shown, HEAD.absent, HEAD.beta)
    assert weights[1, 1] > weights[1, 0] > 1 > weights[0, 0]
    counts = torch.tensor([[75.0, 990.0], [25.0, 10.0]])
    assert torch.allclose((weights * counts).sum(dim=0) / counts.sum(dim=0), torch.ones(2))


def test_beta_leads_from_no_weighting_to_inverse_frequency() -> None:
    assert torch.allclose(class_weights((10,), (90,), 0.0), torch.ones(2, 1))
    inverse = class_weights((10,), (90,), 1 - 1e-9)
    assert inverse[1, 0] / inverse[0, 0] == pytest.approx(9, rel=1e-3)


def test_the_effective_number_is_that_of_the_paper() -> None:
    weights, beta = class_weights((10,), (90,), 0.99), 0.99
    ratio = (1 - beta**90) / (1 - beta**10)
    assert weights[1, 0] / weights[0, 0] == pytest.approx(ratio, rel=1e-5)


def test_a_side_never_seen_in_public_has_a_finite_weight() -> None:
    assert class_weights((0,), (100,), 0.999).isfinite().all()


def test_the_initial_line_is_where_a_head_without_features_loses_least() -> None:
    head = AttributesHead(names=("hat",), shown=(20,), absent=(80,))
    bias = prior(head.shown, head.absent, head.beta).requires_grad_(True)
    arrays = {"heads.attributes.weight": torch.zeros(1, 2), "heads.attributes.bias": bias}
    truth = torch.tensor([[1]] * 20 + [[0]] * 80, dtype=torch.int8)
    loss = head.loss(arrays, torch.zeros(100, 2), PictureLabels(attributes=truth))
    torch.autograd.backward(loss)
    assert bias.grad is not None and bias.grad.abs().max() < 1e-6


def test_heads_of_impossible_counts_are_refused() -> None:
    with pytest.raises(ModelError, match="each of them once"):
        AttributesHead(names=("hat", "hat"), shown=(1, 1), absent=(1, 1))
    with pytest.raises(ModelError, match="two for every name"):
        AttributesHead(names=("hat",), shown=(1, 1), absent=(1,))
    with pytest.raises(ModelError, match="from 0"):
        GenderHead(female=-1, male=2)
    with pytest.raises(ModelError, match="beta"):
        GenderHead(female=1, male=2, beta=1.0)


@pytest.mark.parametrize("name", ["dark_skin", "headscarf", "angry", "Pale_Skin"])
def test_no_head_is_made_of_what_is_forbidden(name: str) -> None:
    with pytest.raises(ForbiddenError):
        AttributesHead(names=("hat", name), shown=(1, 1), absent=(1, 1))


@pytest.mark.parametrize("name", ["Male", "looks_like_a_woman", "女"])
def test_gender_is_no_attribute_among_others(name: str) -> None:
    with pytest.raises(ModelError, match="a head of its own"):
        AttributesHead(names=(name,), shown=(1,), absent=(1,))


def test_the_gender_head_is_an_attribute_head_of_one_line() -> None:
    gender = GenderHead(female=10, male=30)
    attribute = AttributesHead(names=("x",), shown=(10,), absent=(30,))
    feature, weight = torch.randn(5, 2), torch.randn(1, 2)
    truth = torch.tensor([1, 0, -1, 1, 0], dtype=torch.int8)
    arrays = {f"heads.{k}.weight": weight for k in ("gender", "attributes")}
    arrays |= {f"heads.{k}.bias": torch.zeros(1) for k in ("gender", "attributes")}
    one = gender.loss(arrays, feature, PictureLabels(gender=truth))
    other = attribute.loss(arrays, feature, PictureLabels(attributes=truth[:, None]))
    assert torch.equal(one, other)
