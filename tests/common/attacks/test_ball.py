"""What is projected is inside, what is inside stays, and a mask is a wall."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from common.attacks.ball import Ball
from common.attacks.target import NORMS, Budget, Norm
from tests.small_attacks import seeded

SHAPE = (3, 3, 8, 8)
BUDGETS = st.builds(Budget, norm=st.sampled_from(NORMS), eps=st.floats(0, 20))
SEEDS = st.integers(0, 2**32)


def origin_of(seed: int) -> torch.Tensor:
    """Pixels of which many are at 0 or 1."""
    return (1.6 * torch.rand(SHAPE, generator=seeded(seed)) - 0.3).clamp(0, 1)


def length(moved: torch.Tensor, norm: Norm) -> torch.Tensor:
    flat = moved.double().flatten(1)
    return flat.abs().amax(1) if norm == "linf" else flat.norm(dim=1)


def allowed(budget: Budget) -> float:
    return budget.eps * (1 + 1e-6) + 1e-6  # float32 of pixels up to 1


@given(budget=BUDGETS, seed=SEEDS, spread=st.floats(1e-3, 1e3))
def test_projections_are_inside_and_move_nothing_twice(
    budget: Budget, seed: int, spread: float
) -> None:
    origin = origin_of(seed)
    ball = Ball.of(origin, budget)
    wild = origin + spread * torch.randn(SHAPE, generator=seeded(seed + 1))
    inside = ball.project(wild)
    assert 0 <= float(inside.min()) <= float(inside.max()) <= 1
    assert (length(inside - origin, budget.norm) <= allowed(budget)).all()
    assert torch.allclose(ball.project(inside), inside, atol=1e-6)


@given(budget=BUDGETS, seed=SEEDS)
def test_what_is_inside_stays(budget: Budget, seed: int) -> None:
    origin = origin_of(seed)
    share = torch.rand(len(origin), 1, 1, 1, generator=seeded(seed))
    drawn = torch.randn(SHAPE, generator=seeded(seed + 1))
    size = length(drawn, budget.norm).float()[:, None, None, None]
    point = (origin + 0.99 * budget.eps * share * drawn / size).clamp(0, 1)
    assert torch.allclose(Ball.of(origin, budget).project(point), point, atol=1e-6)


@given(seed=SEEDS, eps=st.floats(0.01, 0.5))
def test_the_linf_projection_is_the_nearest_point(seed: int, eps: float) -> None:
    origin = origin_of(seed)
    ball = Ball.of(origin, Budget("linf", eps))
    wild = origin + torch.randn(SHAPE, generator=seeded(seed + 1))
    found = ball.project(wild)
    other = ball.start(seeded(seed + 2))
    assert ((found - wild).abs() <= (other - wild).abs() + 1e-6).all()


@given(budget=BUDGETS, seed=SEEDS)
def test_random_starts_are_inside_and_the_generator_decides_them(budget: Budget, seed: int) -> None:
    ball = Ball.of(origin_of(seed), budget)
    found = ball.start(seeded(seed))
    assert 0 <= float(found.min()) <= float(found.max()) <= 1
    assert (length(found - ball.origin, budget.norm) <= allowed(budget)).all()
    assert torch.equal(found, ball.start(seeded(seed)))


@pytest.mark.parametrize("norm", NORMS)
def test_random_starts_fill_the_ball(norm: Norm) -> None:
    ball = Ball.of(torch.full((2000, 1, 1, 2), 0.5), Budget(norm, 0.1))
    moved = length(ball.start(seeded()) - 0.5, norm)
    # In two dimensions half the volume is within .707 of the radius, for discs and for squares.
    assert abs(float((moved < 0.0707).float().mean()) - 0.5) < 0.05
    assert moved.max() > 0.098


@given(seed=SEEDS, budget=BUDGETS)
def test_a_mask_is_a_wall_and_the_only_one(seed: int, budget: Budget) -> None:
    origin = origin_of(seed)
    mask = (torch.rand(8, 8, generator=seeded(seed + 3)) > 0.5).float()
    ball = Ball.of(origin, budget, mask)
    wild = origin + 3 * torch.randn(SHAPE, generator=seeded(seed + 1))
    for found in (ball.project(wild), ball.start(seeded(seed))):
        assert torch.equal(found * (1 - mask), origin * (1 - mask))
        assert 0 <= float(found.min()) <= float(found.max()) <= 1
    assert torch.equal(ball.project(wild) * mask, wild.clamp(0, 1) * mask)
    assert not (ball.steepest(wild) * (1 - mask)).any()


@pytest.mark.parametrize("norm", NORMS)
def test_the_steepest_step_has_length_one_and_gains_most(norm: Norm) -> None:
    gradient = torch.randn(SHAPE, generator=seeded()) * 1e-12
    gradient[1] = 0
    ball = Ball.of(origin_of(0), Budget(norm, 1.0))
    found = ball.steepest(gradient)
    assert length(found, norm).tolist() == pytest.approx([1, 0, 1])
    gained = (found * gradient).flatten(1).sum(1)
    dual = gradient.flatten(1).norm(p=1 if norm == "linf" else 2, dim=1)
    assert torch.allclose(gained, dual, rtol=1e-4)
