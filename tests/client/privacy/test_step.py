"""A private step is the textbook loop over people, and refuses whatever would break its promise."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor, nn

from client.privacy.entropy import OsEntropy
from client.privacy.moments import GRID
from client.privacy.objective import OBJECTIVES
from client.privacy.step import PersonDPOptimizer, private_step, sgd
from common.errors import ModelError
from common.privacy.plan import GradientMechanism, PrivacyPlan

D, E = 5, 3
BAGS = st.lists(
    st.tuples(st.integers(1, 5), st.sampled_from([0.1, 1.0, 100.0, math.nan, math.inf])), max_size=5
)
Bags = list[tuple[int, float]]


def module_of(dtype: torch.dtype, deep: bool = False) -> nn.Module:
    torch.manual_seed(0)
    layers = [nn.Linear(D, 4), nn.PReLU(), nn.Linear(4, E)] if deep else [nn.Linear(D, E)]
    return nn.Sequential(*layers).to(dtype)


def bags_of(shapes: Bags, dtype: torch.dtype) -> list[Tensor]:
    """Bags of given sizes; the scale of one is not finite for a broken person."""
    rng = np.random.default_rng(1)
    return [torch.from_numpy(scale * rng.normal(size=(k, D))).to(dtype) for k, scale in shapes]


def public(dtype: torch.dtype) -> Tensor:
    return torch.from_numpy(np.random.default_rng(2).normal(size=(6, D))).to(dtype)


def quadratic(module: nn.Module, bag: Tensor) -> Tensor:
    loss: Tensor = module(bag).square().sum(dim=1).mean()
    return loss


def by_hand(module: nn.Module, loss: Any, bags: Sequence[Tensor], clip: float) -> list[Tensor]:
    """The oracle: autograd, a norm, a factor, a sum."""
    parameters = list(module.parameters())
    total = [torch.zeros_like(p) for p in parameters]
    for bag in bags:
        gradients = torch.autograd.grad(loss(module, bag), parameters)
        if not all(torch.isfinite(g).all() for g in gradients):
            continue
        norm = torch.cat([g.flatten() for g in gradients]).norm()
        factor = min(1.0, clip / (float(norm) + 1e-6))
        total = [t + factor * g for t, g in zip(total, gradients, strict=True)]
    return total


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("dtype, tolerance", [(torch.float64, 1e-12), (torch.float32, 1e-5)])
@given(shapes=BAGS, clip=st.floats(0.01, 100), name=st.sampled_from(["quadratic", *OBJECTIVES]))
def test_the_clipped_sum_is_the_hand_loop(
    deep: bool, dtype: torch.dtype, tolerance: float, shapes: Bags, clip: float, name: str
) -> None:
    module, bags = module_of(dtype, deep), bags_of(shapes, dtype)
    loss = OBJECTIVES[name](module, public(dtype), 4.0) if name in OBJECTIVES else quadratic
    expected = by_hand(module, loss, bags, clip)
    optimizer = sgd(module, rate=0.1, sigma=0.0, clip=clip, entropy=OsEntropy())
    before = [p.detach().clone() for p in module.parameters()]
    private_step(module, loss, bags, optimizer)
    for p, start, total in zip(module.parameters(), before, expected, strict=True):
        assert p.grad is not None
        scale = max(clip, float(total.norm()))
        assert float((p.grad - total).norm()) <= tolerance * scale
        torch.testing.assert_close(p.detach(), start - 0.1 * p.grad)


@given(shapes=BAGS, clip=st.floats(0.01, 10), pictures=st.integers(1, 50))
def test_one_more_person_moves_the_sum_by_at_most_the_clip(
    shapes: Bags, clip: float, pictures: int
) -> None:
    module = module_of(torch.float64)
    person = torch.ones(1, D, dtype=torch.float64).expand(pictures, D)  # all alike: the worst
    bags = bags_of(shapes, torch.float64)
    without = clipped_sum(module, quadratic, bags, clip)
    having = clipped_sum(module, quadratic, [*bags, person], clip)
    assert np.linalg.norm(having - without) <= clip * (1 + 1e-9)


@pytest.mark.parametrize("people", [0, 3])
def test_an_empty_sample_is_noised_and_stepped_like_any_other(people: int) -> None:
    module = nn.Linear(200, 100).double()
    optimizer = sgd(module, rate=0.5, sigma=2.0, clip=3.0, entropy=OsEntropy())
    before = module.weight.detach().clone()
    bags = [torch.zeros(2, 200).double()] * people
    private_step(module, lambda m, bag: 0 * m(bag).sum(), bags, optimizer)
    assert module.weight.grad is not None
    noise = module.weight.grad
    assert float(noise.std()) == pytest.approx(6.0, rel=0.05)
    torch.testing.assert_close(module.weight.detach(), before - 0.5 * noise)
    multiples = noise / (6.0 * GRID)
    torch.testing.assert_close(multiples, multiples.round())


def test_two_steps_have_different_noise_whatever_torch_is_seeded_with() -> None:
    draws = []
    for _ in range(2):
        torch.manual_seed(0)
        module = nn.Linear(4, 4)
        private_step(module, quadratic, [], sgd(module, rate=1.0, sigma=1.0, clip=1.0,
                                                entropy=OsEntropy()))  # fmt: skip
        assert module.weight.grad is not None
        draws.append(module.weight.grad)
    assert not torch.allclose(draws[0], draws[1])


def test_shares_of_distributed_noise_add_up_to_the_noise_of_the_plan() -> None:
    phase = GradientMechanism(sigma=3.0, clip=2.0, rate=0.5, rounds=1)
    plan = PrivacyPlan(
        mechanisms=(phase,), people=9, delta=1e-5, noise="distributed", honest_sites=9, cohort=9
    )
    total = np.zeros(30_000)
    for _ in range(9):
        module = nn.Linear(300, 100, bias=False)
        entropy = OsEntropy()
        optimizer = sgd(module, rate=1.0, sigma=plan.site_sigma(phase), clip=2.0, entropy=entropy)
        private_step(module, quadratic, [], optimizer)
        assert module.weight.grad is not None
        assert float(module.weight.grad.std()) == pytest.approx(2.0, rel=0.05)
        total += module.weight.grad.flatten().numpy()
    assert total.std() == pytest.approx(6.0, rel=0.05)


def test_a_step_broken_off_by_an_error_leaves_nothing_behind() -> None:
    module = module_of(torch.float64)
    bags = bags_of([(2, 1.0), (3, 1.0)], torch.float64)
    clean = clipped_sum(module, quadratic, bags, 1.0)
    optimizer = sgd(module, rate=0.0, sigma=0.0, clip=1.0, entropy=OsEntropy())

    def fails(m: nn.Module, bag: Tensor) -> Tensor:
        if len(bag) == 3:
            raise RuntimeError("broken")
        return quadratic(m, bag)

    with pytest.raises(RuntimeError, match="broken"):
        private_step(module, fails, bags, optimizer)
    private_step(module, quadratic, bags, optimizer)
    np.testing.assert_array_equal(flat(module), clean)


def test_steps_in_a_row_do_not_add_up() -> None:
    module = module_of(torch.float64)
    bags = bags_of([(2, 1.0), (3, 1.0)], torch.float64)
    clean = clipped_sum(module, quadratic, bags, 1.0)
    optimizer = sgd(module, rate=0.0, sigma=0.0, clip=1.0, entropy=OsEntropy())
    for _ in range(3):
        private_step(module, quadratic, bags, optimizer)
        np.testing.assert_array_equal(flat(module), clean)


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_batchnorm_never_takes_part_in_a_step(frozen: bool, training: bool) -> None:
    module = nn.Sequential(nn.Linear(D, E), nn.BatchNorm1d(E)).train(training)
    module[1].requires_grad_(not frozen)
    optimizer = sgd(module, rate=1.0, sigma=1.0, clip=1.0, entropy=OsEntropy())
    with pytest.raises(ModelError):
        private_step(module, quadratic, [torch.ones(2, D)], optimizer)


@pytest.mark.parametrize("held", ["head", "body", "stranger"])
def test_a_trainable_parameter_outside_the_optimizer_is_refused(held: str) -> None:
    parts = {"body": nn.Linear(D, 4), "head": nn.Linear(4, E), "stranger": nn.Linear(2, 2)}
    module = nn.Sequential(parts["body"], parts["head"])
    inner = torch.optim.SGD(parts[held].parameters(), lr=1.0)
    optimizer = PersonDPOptimizer(inner, sigma=1.0, clip=1.0, entropy=OsEntropy())
    with pytest.raises(ModelError):
        private_step(module, quadratic, [torch.ones(2, D)], optimizer)


def test_a_frozen_part_stays_frozen() -> None:
    module = module_of(torch.float64, deep=True)
    for p in list(module.parameters())[:2]:
        p.requires_grad_(False)
    before = [p.detach().clone() for p in module.parameters()]
    optimizer = sgd(module, rate=1.0, sigma=1.0, clip=1.0, entropy=OsEntropy())
    private_step(module, quadratic, bags_of([(2, 1.0)], torch.float64), optimizer)
    same = [torch.equal(p, b) for p, b in zip(module.parameters(), before, strict=True)]
    assert same == [True, True, False, False, False]


def clipped_sum(
    module: nn.Module, loss: Any, bags: Sequence[Tensor], clip: float
) -> NDArray[np.float64]:
    optimizer = sgd(module, rate=0.0, sigma=0.0, clip=clip, entropy=OsEntropy())
    private_step(module, loss, bags, optimizer)
    return flat(module)


def flat(module: nn.Module) -> NDArray[np.float64]:
    parts = [p.grad.flatten() for p in module.parameters() if p.grad is not None]
    return torch.cat(parts).double().numpy()
