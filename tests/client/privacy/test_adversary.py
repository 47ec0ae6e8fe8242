"""An attack inside the private step is its person's own, and is clipped with them: once."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from client.privacy.adversary import Adversary, CropAdversary, FeatureAdversary, Hardened
from client.privacy.entropy import OsEntropy
from client.privacy.objective import OBJECTIVES, Objective
from client.privacy.step import PersonDPOptimizer, private_step, sgd
from tests.small_contributions import contributions_of, crossings

D, E, SIDE, CLIP = 6, 4, 4, 0.5
STRONG = FeatureAdversary(steps=3, eps=0.8)
Loss = Callable[[nn.Module, Tensor], Tensor]
Step = Callable[[nn.Module, Loss, Sequence[Tensor], PersonDPOptimizer], None]


class Fixed:
    """The same draws for everybody, whoever else is there."""

    kind = "fixed"

    def uniform(self, count: int) -> NDArray[np.float64]:
        return np.linspace(0, 0.999, count)

    def normal(self, count: int) -> NDArray[np.float64]:
        return np.zeros(count)


class Trunk(nn.Module):
    """Three planes of pixels to six features, smooth and frozen."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.inner = nn.Linear(3 * SIDE * SIDE, D).double().requires_grad_(False)

    def forward(self, pixels: Tensor) -> Tensor:
        return torch.tanh(self.inner(pixels.flatten(1)))


@pytest.mark.parametrize("name", sorted(OBJECTIVES))
def test_an_attack_of_no_radius_gives_the_plain_clipped_gradient_bit_for_bit(name: str) -> None:
    for adversary in (FeatureAdversary(steps=3, eps=0.0), None):
        module, bags = tail(), bags_of(4)
        plain = OBJECTIVES[name](module, public(), 16.0)
        if adversary is None:  # the same of crops, whose features are the bag
            person, bag = crops(3, 1), Trunk()(crops(3, 1))
            still: Adversary = crop_adversary(person, eps=0.0)
            bags = [bag]
        else:
            still = adversary
        assert torch.equal(
            clipped(private_step, Hardened(plain, still), bags), clipped(private_step, plain, bags)
        )


def test_features_stay_in_the_ball_and_raise_the_persons_own_loss() -> None:
    module, bag = tail(), bags_of(1, 3)[0]
    plain = OBJECTIVES["contrast"](module, public(), 16.0)
    moved = STRONG(module, plain, bag)
    assert not moved.requires_grad
    assert float((moved - bag).norm(dim=1).max()) <= 0.8 * (1 + 1e-9)
    assert float(plain(module, moved).detach()) > float(plain(module, bag).detach()) + 0.1
    assert all(p.grad is None for p in module.parameters())


def test_crops_stay_in_the_ball_and_raise_the_persons_own_loss() -> None:
    module, person, trunk = tail(), crops(3, 1), Trunk()
    plain = OBJECTIVES["contrast"](module, public(), 16.0)
    seen: list[Tensor] = []
    trunk.register_forward_pre_hook(lambda _, given: seen.append(given[0].detach()))
    adversary = CropAdversary(trunk=trunk, crops=person, steps=5, eps=0.1, entropy=OsEntropy())
    bag = Trunk()(person)
    moved = adversary(module, plain, bag)
    assert len(seen) == 6
    assert all(float((one - person).abs().max()) <= 0.1 + 1e-9 for one in seen)
    assert all(float(one.min()) >= 0 and float(one.max()) <= 1 for one in seen)
    assert float(plain(module, moved).detach()) > float(plain(module, bag).detach())


def test_every_persons_attack_on_crops_starts_at_a_draw_of_its_own() -> None:
    module, person = tail(), crops(2, 1)
    plain = OBJECTIVES["contrast"](module, public(), 16.0)
    adversary = CropAdversary(trunk=Trunk(), crops=person, steps=1, eps=0.2, entropy=OsEntropy())
    bag = Trunk()(person)
    assert not torch.equal(adversary(module, plain, bag), adversary(module, plain, bag))


def test_a_single_picture_has_nothing_to_contrast_and_stays_where_it_is() -> None:
    module, (bag,) = tail(), bags_of(1, 1)
    plain = OBJECTIVES["contrast"](module, public(), 16.0)
    assert torch.equal(STRONG(module, plain, bag), bag)


# --- the sensitivity: one clip, however the person is attacked ---------------------------------


def sensitivity(step: Step) -> float:
    """The most one person moves a noiseless sum, in clip norms."""
    worst = 0.0
    for pictures in (2, 4, 8):
        module = tail()
        person = 5 * bags_of(1, 2)[0].repeat(pictures, 1)
        loss = Hardened(OBJECTIVES["contrast"](module, public(), 16.0), STRONG)
        with_them = clipped(step, loss, [*bags_of(3), person])
        without = clipped(step, loss, bags_of(3))
        worst = max(worst, float((with_them - without).norm()) / CLIP)
    return worst


def clips_clean_and_attacked_apart(
    module: nn.Module, loss: Loss, bags: Sequence[Tensor], optimizer: PersonDPOptimizer
) -> None:
    """MUTANT: the clean and the attacked pictures of a person are samples of their own."""
    assert isinstance(loss, Hardened)
    attacked = [loss.adversary(module, loss.plain, bag) for bag in bags]
    private_step(module, loss.plain, [*bags, *attacked], optimizer)


def test_clipping_clean_and_attacked_apart_is_caught_by_the_sensitivity() -> None:
    assert sensitivity(private_step) <= 1 + 1e-9
    assert sensitivity(clips_clean_and_attacked_apart) > 1.5


# --- the cross-person test: removing one person leaves the others' contributions bitwise --------


def crossed(loss_of: Callable[[nn.Module, Sequence[Tensor]], Loss]) -> int:
    """How many pairs of people there are where one's leaving changes the other's part."""

    def contribute(kept: Sequence[Tensor]) -> list[bytes]:
        module = tail()
        return contributions_of(module, loss_of(module, kept), kept, CLIP, Fixed())

    return crossings(contribute, bags_of(5))


def by_features(module: nn.Module, bags: Sequence[Tensor]) -> Loss:
    return Hardened(OBJECTIVES["contrast"](module, public(), 16.0), STRONG)


def by_crops(module: nn.Module, bags: Sequence[Tensor]) -> Loss:
    plain = OBJECTIVES["contrast"](module, public(), 16.0)

    def loss(tail: nn.Module, bag: Tensor) -> Tensor:
        own = crops(len(bag), int(1000 * bag.abs().sum()))  # pictures that belong to the bag
        return Hardened(plain, crop_adversary(own, eps=0.2))(tail, bag)

    return loss


def towards_another_person(module: nn.Module, bags: Sequence[Tensor]) -> Loss:
    """MUTANT: whom the attack impersonates is the next private person of the sample."""
    plain = OBJECTIVES["contrast"](module, public(), 16.0)
    names = {id(bag): row for row, bag in enumerate(bags)}

    class Impersonation:
        def __call__(self, module: nn.Module, objective: Objective, bag: Tensor) -> Tensor:
            target = bags[(names[id(bag)] + 1) % len(bags)].mean(0)
            return bag + 0.5 * (target - bag)

    return Hardened(plain, Impersonation())


@pytest.mark.parametrize("shipped", [by_features, by_crops])
def test_a_persons_leaving_changes_nobody_elses_attack_by_a_bit(
    shipped: Callable[[nn.Module, Sequence[Tensor]], Loss],
) -> None:
    assert crossed(shipped) == 0


def test_a_target_who_is_another_private_person_is_caught() -> None:
    assert crossed(towards_another_person) >= 5


def tail() -> nn.Module:
    torch.manual_seed(0)
    return nn.Linear(D, E).double()


def bags_of(people: int, pictures: int = 3) -> list[Tensor]:
    generator = torch.Generator().manual_seed(people)
    return [torch.randn(pictures, D, generator=generator).double() for _ in range(people)]


def public() -> Tensor:
    return torch.randn(8, D, generator=torch.Generator().manual_seed(99)).double()


def crops(pictures: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(pictures, 3, SIDE, SIDE, generator=generator).double()


def crop_adversary(person: Tensor, eps: float) -> CropAdversary:
    return CropAdversary(trunk=Trunk(), crops=person, steps=3, eps=eps, entropy=Fixed())


def clipped(step: Step, loss: Loss, bags: Sequence[Tensor]) -> Tensor:
    """The noiseless sum of clipped gradients at the same tail, always."""
    module = tail()
    optimizer = sgd(module, rate=0.0, sigma=0.0, clip=CLIP, entropy=OsEntropy())
    step(module, loss, bags, optimizer)
    return torch.cat([p.grad.flatten() for p in module.parameters() if p.grad is not None])
