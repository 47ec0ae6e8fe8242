from collections.abc import Mapping

import torch
from torch import Tensor

from common.heads.head import PictureLabels, array_name, joint_loss, labelled_mean


class Square:
    """A head whose loss is the mean square of what its one map reads."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def arrays(self, features: int, generator: torch.Generator) -> dict[str, Tensor]:
        drawn = torch.randn(features, generator=generator)
        return {array_name(self.kind, "weight"): drawn}

    def shapes(self, features: int) -> dict[str, tuple[int, ...]]:
        return {array_name(self.kind, "weight"): (features,)}

    def table(self) -> dict[str, str]:
        return {}

    def loss(self, arrays: Mapping[str, Tensor], feature: Tensor, labels: PictureLabels) -> Tensor:
        return (feature @ arrays[array_name(self.kind, "weight")]).square().mean()


def test_the_joint_loss_is_the_weighted_sum_over_the_heads() -> None:
    generator = torch.Generator().manual_seed(0)
    heads = [Square("age"), Square("gender")]
    arrays = {n: a for h in heads for n, a in h.arrays(3, generator).items()}
    feature, labels = torch.randn(4, 3, generator=generator), PictureLabels()
    apart = [head.loss(arrays, feature, labels) for head in heads]
    together = joint_loss(heads, {"age": 2.0, "gender": 0.5}, arrays, feature, labels)
    assert torch.allclose(together, 2 * apart[0] + 0.5 * apart[1])


def test_no_head_at_all_costs_nothing() -> None:
    feature = torch.randn(2, 3, requires_grad=True)
    loss = joint_loss([], {}, {}, feature, PictureLabels())
    torch.autograd.backward(loss)
    assert loss.item() == 0
    assert feature.grad is not None and not feature.grad.any()


def test_a_mean_counts_only_what_is_labelled() -> None:
    losses = torch.tensor([1.0, 5.0, 3.0], requires_grad=True)
    mean = labelled_mean(losses, torch.tensor([True, False, True]))
    torch.autograd.backward(mean)
    assert mean.item() == 2
    assert losses.grad is not None and losses.grad.tolist() == [0.5, 0, 0.5]


def test_nothing_labelled_is_exactly_nothing() -> None:
    losses = torch.tensor([1.0, 5.0], requires_grad=True)
    mean = labelled_mean(losses, torch.tensor([False, False]))
    torch.autograd.backward(mean)
    assert mean.item() == 0
    assert losses.grad is not None and not losses.grad.any()


def test_labels_of_some_pictures_are_taken_from_all_that_is_said() -> None:
    labels = PictureLabels(
        attributes=torch.tensor([[1, 0], [-1, 1]], dtype=torch.int8), age=torch.tensor([3.0, 9.0])
    )
    some = labels.of(torch.tensor([1]))
    assert some.attributes is not None and some.attributes.tolist() == [[-1, 1]]
    assert some.age is not None and some.age.tolist() == [9.0]
    assert some.gender is None and some.words is None
