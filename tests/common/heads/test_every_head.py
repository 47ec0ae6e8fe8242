import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from common.heads.head import Head, PictureLabels, joint_loss
from tests.small_heads import FEATURES, all_heads, labels

KINDS = [head.kind for head in all_heads()]
WEIGHTS = {"attributes": 1.0, "age": 0.5, "gender": 2.0, "words": 0.25}


def arrays_of(heads: list[Head], seed: int = 0) -> dict[str, Tensor]:
    """Drawn arrays, so that no gradient is zero by its place."""
    generator = torch.Generator().manual_seed(seed)
    made = {n: a for head in heads for n, a in head.arrays(FEATURES, generator).items()}
    return {n: torch.randn(a.shape, generator=generator) for n, a in made.items()}


def contribution(
    heads: list[Head], arrays: dict[str, Tensor], feature: Tensor, said: PictureLabels
) -> list[Tensor]:
    """The gradient of one person, as the private step takes it."""
    leaves = {name: array.clone().requires_grad_(True) for name, array in arrays.items()}
    loss = joint_loss(heads, WEIGHTS, leaves, feature, said)
    return list(torch.autograd.grad(loss, list(leaves.values())))


person = st.tuples(st.integers(1, 4), st.integers(0, 2**16), st.sampled_from([0.0, 0.3, 1.0]))


@settings(max_examples=25, deadline=None)
@given(people=st.lists(person, min_size=2, max_size=4), leaves=st.integers(0, 3))
def test_a_person_who_leaves_changes_what_others_contribute_by_exactly_nothing(
    people: list[tuple[int, int, float]], leaves: int
) -> None:
    heads = all_heads()
    arrays = arrays_of(heads)
    given_data = [
        (torch.randn(k, FEATURES, generator=torch.Generator().manual_seed(s)), labels(k, s, gone))
        for k, s, gone in people
    ]
    together = [contribution(heads, arrays, *one) for one in given_data]
    left = [one for i, one in enumerate(given_data) if i != leaves % len(people)]
    kept = [one for i, one in enumerate(together) if i != leaves % len(people)]
    fresh = all_heads()
    for one, before in zip(left, kept, strict=True):
        after = contribution(fresh, arrays, *one)
        assert all(torch.equal(a, b) for a, b in zip(after, before, strict=True))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("said", [labels(3, 1, missing=1.0), PictureLabels()])
def test_where_nothing_is_labelled_loss_and_gradient_are_exactly_zero(
    kind: str, said: PictureLabels
) -> None:
    head = all_heads()[KINDS.index(kind)]
    leaves = {n: a.requires_grad_(True) for n, a in arrays_of([head]).items()}
    feature = torch.randn(3, FEATURES, requires_grad=True)
    loss = head.loss(leaves, feature, said)
    torch.autograd.backward(loss)
    assert loss.item() == 0
    for leaf in (*leaves.values(), feature):
        assert leaf.grad is not None and not leaf.grad.any()


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_without_a_label_counts_for_nothing_among_others(kind: str) -> None:
    head = all_heads()[KINDS.index(kind)]
    arrays, said = arrays_of([head]), labels(1, 3, missing=0.0)
    feature = torch.randn(2, FEATURES, generator=torch.Generator().manual_seed(1))
    absent = labels(1, 4, missing=1.0)
    both = PictureLabels(
        **{
            name: torch.cat([getattr(said, name), getattr(absent, name)])
            for name in ("attributes", "age", "gender", "words")
        }
    )
    alone = head.loss(arrays, feature[:1], said)
    assert torch.allclose(head.loss(arrays, feature, both), alone, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_those_of_finite_differences(kind: str) -> None:
    head = all_heads()[KINDS.index(kind)]
    arrays = {n: a.double().requires_grad_(True) for n, a in arrays_of([head]).items()}
    feature, said = torch.randn(3, FEATURES, dtype=torch.float64), labels(3, 5)
    names = list(arrays)

    def loss(*values: Tensor) -> Tensor:
        return head.loss(dict(zip(names, values, strict=True)), feature, said)

    assert torch.autograd.gradcheck(loss, tuple(arrays.values()))


@pytest.mark.parametrize("kind", KINDS)
def test_a_head_makes_arrays_of_the_shapes_it_says(kind: str) -> None:
    head = all_heads()[KINDS.index(kind)]
    made = head.arrays(FEATURES, torch.Generator().manual_seed(0))
    assert {n: tuple(a.shape) for n, a in made.items()} == head.shapes(FEATURES)
    assert all(name.startswith(f"heads.{kind}.") for name in made)
    assert all(a.isfinite().all() for a in made.values())
