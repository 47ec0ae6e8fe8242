import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from common.heads.margin import Centres, arc_margin, cos_margin, margin_loss, softmax_loss

Harden = Callable[[Tensor, Tensor, float], Tensor]


def test_the_arc_margin_turns_the_angle_of_the_true_person_only() -> None:
    angles = torch.tensor([[0.5, 1.2, 2.0], [0.1, 2.5, 1.0]])
    hardened = arc_margin(angles.cos(), torch.tensor([1, 0]), 0.3)
    expected = angles.clone()
    expected[0, 1] += 0.3
    expected[1, 0] += 0.3
    assert torch.allclose(hardened, expected.cos(), atol=1e-6)


def test_the_hardened_cosine_falls_with_the_angle_everywhere() -> None:
    angles = torch.linspace(0.01, math.pi - 0.01, 500)
    hardened = arc_margin(angles.cos()[:, None], torch.zeros(500, dtype=torch.int64), 0.5)[:, 0]
    assert (hardened.diff() < 0).all()
    assert (hardened < angles.cos()).all()


def test_the_cosine_margin_is_subtracted() -> None:
    cosine = torch.tensor([[0.5, 0.2]])
    assert torch.allclose(cos_margin(cosine, torch.tensor([0]), 0.35), torch.tensor([[0.15, 0.2]]))


def test_without_a_margin_both_are_the_plain_softmax() -> None:
    cosine = torch.rand(4, 5, generator=torch.Generator().manual_seed(0)) - 0.5
    person = torch.tensor([0, 1, 2, 4])
    plain = torch.nn.functional.cross_entropy(8 * cosine, person)
    for harden in (arc_margin, cos_margin):
        assert torch.allclose(margin_loss(harden(cosine, person, 0.0), person, 8), plain, atol=1e-6)


def test_gradients_are_finite_even_for_a_perfect_match() -> None:
    centres = Centres(3, 2, torch.Generator().manual_seed(0))
    embedding = centres.weight[:1].detach().clone().requires_grad_(True)
    person = torch.tensor([0])
    torch.autograd.backward(margin_loss(arc_margin(centres(embedding), person, 0.4), person, 32))
    assert embedding.grad is not None and embedding.grad.isfinite().all()


def test_impossible_margins_are_refused() -> None:
    with pytest.raises(ValueError, match="margin"):
        arc_margin(torch.zeros(1, 1), torch.tensor([0]), 2.0)
    with pytest.raises(ValueError, match="margin"):
        cos_margin(torch.zeros(1, 1), torch.tensor([0]), -0.1)


def test_the_plain_softmax_is_the_formula_written_by_hand_and_its_gradient_is_right() -> None:
    centres = Centres(3, 4, torch.Generator().manual_seed(0)).double()
    drawn = torch.randn(2, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    person = torch.tensor([3, 1])
    products = (drawn @ centres.weight.T).exp()
    by_hand = -(products[[0, 1], person] / products.sum(1)).log().mean()
    assert torch.allclose(softmax_loss(drawn, centres, person), by_hand)
    given = drawn.requires_grad_()
    assert torch.autograd.gradcheck(lambda e: softmax_loss(e, centres, person), (given,))


@pytest.mark.parametrize("harden", [arc_margin, cos_margin])
def test_gradients_of_margins_are_those_of_differences(harden: Harden) -> None:
    drawn = torch.rand(3, 4, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    person = torch.tensor([0, 2, 3])
    given = (1.6 * drawn - 0.8).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda cosine: margin_loss(harden(cosine, person, 0.3), person, 4.0), (given,)
    )
