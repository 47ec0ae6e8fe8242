import pytest
import torch

from common.heads.triplet import triplet_loss


def on_circle(*degrees: float) -> torch.Tensor:
    angle = torch.deg2rad(torch.tensor(degrees, dtype=torch.float64))
    return torch.stack([angle.cos(), angle.sin()], dim=1)


def apart(degrees: float) -> float:
    """Squared distance of two unit vectors."""
    return float(2 - 2 * torch.deg2rad(torch.tensor(degrees, dtype=torch.float64)).cos())


def test_the_negative_is_the_nearest_of_those_farther_than_the_positive() -> None:
    # Anchor at 0, its positive at 20; others at 10 (nearer), 25 and 60 (farther).
    person = torch.tensor([0, 0, 1, 2, 3])
    got = triplet_loss(on_circle(0, 20, 10, 25, 60), person, 0.5)
    first = apart(20) - apart(25) + 0.5
    # From 20 the others are at 10, 5 and 40: only 40 is farther than the 20 to the positive.
    second = apart(20) - apart(40) + 0.5
    assert float(got) == pytest.approx((first + max(second, 0)) / 2)


def test_without_anybody_farther_the_farthest_is_taken() -> None:
    got = triplet_loss(on_circle(0, 90, 10, 60), torch.tensor([0, 0, 1, 2]), 0.2)
    assert float(got) == pytest.approx(apart(90) - (apart(60) + apart(80)) / 2 + 0.2)


def test_lengths_do_not_count_and_people_far_enough_apart_cost_nothing() -> None:
    embedding, person = on_circle(0, 5, 170, 175), torch.tensor([0, 0, 1, 1])
    assert float(triplet_loss(embedding, person, 0.2)) == 0
    near = on_circle(0, 30, 40, 70)
    scaled = near * torch.tensor([[1.0], [5.0], [0.1], [2.0]])
    assert torch.allclose(triplet_loss(near, person, 0.2), triplet_loss(scaled, person, 0.2))


def test_gradients_are_those_of_differences() -> None:
    drawn = torch.randn(6, 4, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    person = torch.tensor([0, 0, 1, 1, 2, 2])
    given = drawn.requires_grad_()
    assert torch.autograd.gradcheck(lambda e: triplet_loss(e, person, 1.0), (given,))


@pytest.mark.parametrize("person", [[0, 1, 2], [0, 0, 0]])
def test_a_batch_without_a_triplet_costs_nothing_and_moves_nothing(person: list[int]) -> None:
    embedding = on_circle(0, 40, 80).requires_grad_()
    loss = triplet_loss(embedding, torch.tensor(person), 0.2)
    torch.autograd.backward(loss)
    assert float(loss.detach()) == 0
    assert embedding.grad is not None and not embedding.grad.any()


def test_an_impossible_margin_is_refused() -> None:
    with pytest.raises(ValueError, match="margin"):
        triplet_loss(on_circle(0, 1), torch.tensor([0, 0]), 4.0)
