"""Objectives follow their formula and have finite gradients for bags of any size.

That no objective mixes people is proved in test_mutants.py, on what the step really adds up.
"""

import math

import pytest
import torch
from torch import Tensor, nn

from client.privacy.objective import OBJECTIVES, BagContrast

D, E, SCALE = 6, 4, 16.0


def tail() -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(D, E).double()


def rows(count: int, seed: int) -> Tensor:
    return torch.randn(count, D, generator=torch.Generator().manual_seed(seed)).double()


def test_contrast_is_the_formula_written_out() -> None:
    module, bag, negatives = tail(), rows(3, 1), rows(5, 2)
    unit = [x / x.norm() for x in module(bag).detach()]
    other = [x / x.norm() for x in module(negatives).detach()]
    terms = []
    for i, anchor in enumerate(unit):
        repel = math.log(sum(math.exp(SCALE * float(anchor @ n)) for n in other))
        for j, positive in enumerate(unit):
            if i != j:
                terms.append(math.log1p(math.exp(repel - SCALE * float(anchor @ positive))))
    loss = BagContrast(module, negatives, SCALE)(module, bag)
    assert float(loss.detach()) == pytest.approx(sum(terms) / len(terms), rel=1e-9)


@pytest.mark.parametrize("name", sorted(OBJECTIVES))
@pytest.mark.parametrize("pictures", [1, 2, 7])
def test_every_objective_has_a_finite_gradient_for_bags_of_any_size(
    name: str, pictures: int
) -> None:
    module = tail()
    loss = OBJECTIVES[name](module, rows(5, 2), SCALE)(module, rows(pictures, 1))
    assert loss.shape == ()
    loss.backward()  # type: ignore[no-untyped-call]
    assert module.weight.grad is not None
    assert torch.isfinite(module.weight.grad).all()


def test_a_single_picture_has_no_pair_and_so_no_contrast() -> None:
    module = tail()
    loss = BagContrast(module, rows(5, 2), SCALE)(module, rows(1, 1))
    loss.backward()  # type: ignore[no-untyped-call]
    assert float(loss.detach()) == 0
    assert module.weight.grad is not None
    assert not module.weight.grad.any()


@pytest.mark.parametrize("name", sorted(OBJECTIVES))
def test_a_few_steps_bring_a_person_together(name: str) -> None:
    module, bag = tail(), rows(4, 1)
    objective = OBJECTIVES[name](module, rows(5, 2), SCALE)
    start = float(objective(module, bag).detach())
    optimizer = torch.optim.SGD(module.parameters(), lr=0.02)
    for _ in range(30):
        optimizer.zero_grad()
        objective(module, bag).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert float(objective(module, bag).detach()) < 0.9 * start
