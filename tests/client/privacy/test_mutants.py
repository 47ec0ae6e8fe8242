"""Planted mistakes, each of which a named detector must catch, and none of which is in the house.

Every detector runs on the shipped code, where it must stay silent, and on a mutant that makes one
classic mistake, where it must speak. False alarms have a chance below 1e-6 a run.
"""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from client.privacy.contributions import CONTRIBUTIONS, contributions
from client.privacy.entropy import Entropy, OsEntropy
from client.privacy.ledger import Budget, Ledger
from client.privacy.moments import clip_rows, private_sum
from client.privacy.objective import OBJECTIVES
from client.privacy.reconcile import Sent, uncharged
from client.privacy.sampler import poisson
from client.privacy.step import PersonDPOptimizer, private_step, sgd
from common.errors import ModelError
from common.privacy.accountant import Event
from common.privacy.plan import MomentMechanism, PrivacyPlan
from tests.small_contributions import contributions_of, crossings

D, E, CLIP = 6, 4, 0.5
Vector = NDArray[np.float64]
Loss = Callable[[nn.Module, Tensor], Tensor]
Step = Callable[[nn.Module, Loss, Sequence[Tensor], PersonDPOptimizer], None]
Bags = Sequence[Tensor]


def tail(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Linear(D, E).double()


def bags_of(people: int, pictures: int = 3) -> list[Tensor]:
    generator = torch.Generator().manual_seed(people)
    return [torch.randn(pictures, D, generator=generator).double() for _ in range(people)]


def public() -> Tensor:
    return torch.randn(8, D, generator=torch.Generator().manual_seed(99)).double()


def loss_of(module: nn.Module) -> Loss:
    return OBJECTIVES["contrast"](module, public(), 16.0)


# --- the sensitivity test: one person moves the sum by at most the clip ------------------------


def sensitivity(step: Step) -> float:
    """The most one person of many pictures moves a noiseless sum, in clip norms."""
    worst = 0.0
    for pictures in (1, 2, 8):
        module = tail()
        person = bags_of(1, 2)[0].repeat(pictures, 1)  # near-duplicates: gradients line up
        with_them = noiseless(step, module, [*bags_of(3), person])
        without = noiseless(step, module, bags_of(3))
        worst = max(worst, float(np.linalg.norm(with_them - without)) / CLIP)
    return worst


def noiseless(step: Step, module: nn.Module, bags: Bags) -> Vector:
    optimizer = sgd(module, rate=0.0, sigma=0.0, clip=CLIP, entropy=OsEntropy())
    step(module, loss_of(module), bags, optimizer)
    return gradient(module)


def gradient(module: nn.Module) -> Vector:
    parts = [p.grad.flatten() for p in module.parameters() if p.grad is not None]
    return torch.cat(parts).double().numpy()


def clips_each_picture(
    module: nn.Module, loss: Loss, bags: Bags, optimizer: PersonDPOptimizer
) -> None:
    """MUTANT: every pair of pictures is a sample of its own."""
    pairs = [bag[[0, j]] for bag in bags for j in range(1, len(bag))]
    private_step(module, loss, pairs, optimizer)


def test_per_picture_clipping_is_caught_by_the_sensitivity_test() -> None:
    assert sensitivity(private_step) <= 1 + 1e-9
    assert sensitivity(clips_each_picture) > 2


# --- the mechanism test: noise is there, of the right size, and never the same twice -----------

Release = Callable[[Entropy], Vector]


def release_by_step(entropy: Entropy) -> Vector:
    module = nn.Linear(200, 100)
    optimizer = sgd(module, rate=1.0, sigma=2.0, clip=CLIP, entropy=entropy)
    private_step(module, lambda m, bag: 0 * m(bag).sum(), [], optimizer)
    return gradient(module) / (2.0 * CLIP)


def release_by_moments(entropy: Entropy) -> Vector:
    return private_sum(np.zeros((5, 20_100)), CLIP, 2.0, entropy) / (2.0 * CLIP)


def release_without_noise(entropy: Entropy) -> Vector:
    """MUTANT: the sum is clipped and charged, and the noise forgotten."""
    return private_sum(np.zeros((5, 20_100)), CLIP, 0.0, entropy)


def release_with_a_share_of_the_noise(entropy: Entropy) -> Vector:
    """MUTANT: noise divided by the number of people, as one divides a mean."""
    return release_by_moments(entropy) / 5


class Reseeded(OsEntropy):
    """MUTANT: a generator made anew from a stored seed for each release."""

    def normal(self, count: int) -> Vector:
        return np.random.default_rng(7).normal(size=count)


class Checkpointed(OsEntropy):
    """MUTANT: every fourth draw comes from a restored checkpoint of the first."""

    def __init__(self) -> None:
        self.calls = 0

    def normal(self, count: int) -> Vector:
        self.calls += 1
        fresh = super().normal(count)
        return np.random.default_rng(7).normal(size=count) if self.calls % 4 == 1 else fresh


def mechanism_faults(release: Release, entropy: Entropy) -> set[str]:
    """What is wrong with a mechanism that should release standard normals, if anything."""
    draws = [release(entropy) for _ in range(6)]
    faults = set()
    for draw in draws:
        size = len(draw)
        # chi-square concentration, six deviations either way
        if abs(float(np.mean(draw**2)) - 1) > 6 * math.sqrt(2 / size):
            faults.add("wrong variance")
        if abs(float(draw.mean())) > 6 / math.sqrt(size):
            faults.add("not centred")
    for i, one in enumerate(draws):
        for other in draws[:i]:
            if abs(float(one @ other)) / len(one) > 6 / math.sqrt(len(one)):
                faults.add("noise repeats")
    return faults


@pytest.mark.parametrize("release", [release_by_step, release_by_moments])
def test_the_shipped_mechanisms_pass_the_mechanism_test(release: Release) -> None:
    assert mechanism_faults(release, OsEntropy()) == set()


@pytest.mark.parametrize("release", [release_without_noise, release_with_a_share_of_the_noise])
def test_missing_noise_is_caught_by_the_mechanism_test(release: Release) -> None:
    assert "wrong variance" in mechanism_faults(release, OsEntropy())


@pytest.mark.parametrize("release", [release_by_step, release_by_moments])
@pytest.mark.parametrize("entropy", [Reseeded, Checkpointed])
def test_a_reused_seed_is_caught_by_the_mechanism_test(
    release: Release, entropy: Callable[[], Entropy]
) -> None:
    assert "noise repeats" in mechanism_faults(release, entropy())


# --- inclusion counts: every person by an independent coin -------------------------------------

Sampler = Callable[[int, float, Entropy], NDArray[np.int64]]
PEOPLE, RATE, STEPS = 40, 0.25, 4000


class Shuffled:
    """MUTANT: epochs of shuffled batches of fixed size, accounted as if Poisson."""

    def __init__(self) -> None:
        self.left: list[int] = []

    def __call__(self, people: int, rate: float, entropy: Entropy) -> NDArray[np.int64]:
        size = round(rate * people)
        if len(self.left) < size:
            self.left = np.argsort(entropy.uniform(people)).tolist()
        taken, self.left = self.left[:size], self.left[size:]
        return np.array(taken)


def fixed_size(people: int, rate: float, entropy: Entropy) -> NDArray[np.int64]:
    """MUTANT: exactly rate * people, a fresh draw each step."""
    return np.argsort(entropy.uniform(people))[: round(rate * people)]


def skips_empty(people: int, rate: float, entropy: Entropy) -> NDArray[np.int64]:
    """MUTANT: draws again until somebody is in."""
    while not len(sample := poisson(people, rate, entropy)):
        pass
    return sample


def inclusion_faults(sampler: Sampler, people: int = PEOPLE, rate: float = RATE) -> set[str]:
    """What is wrong with a sampler that should toss one coin a person and step, if anything."""
    entropy, included = OsEntropy(), np.zeros((STEPS, people))
    for row in included:
        row[sampler(people, rate, entropy)] = 1
    faults, variance = set(), rate * (1 - rate)
    counts, sizes = included.sum(axis=0), included.sum(axis=1)
    if (abs(counts - rate * STEPS) > 6.5 * math.sqrt(STEPS * variance)).any():
        faults.add("unequal or wrong rate")
    spread = float(np.var(sizes)) / (people * variance)
    if abs(spread - 1) > 6 * math.sqrt((2 + 1 / (people * variance)) / STEPS):
        faults.add("people depend on each other")
    centred = (included - rate) / math.sqrt(variance)
    if abs(float((centred[1:] * centred[:-1]).mean())) > 6 / math.sqrt((STEPS - 1) * people):
        faults.add("steps depend on each other")
    return faults


def test_the_shipped_sampler_passes_the_inclusion_counts() -> None:
    assert inclusion_faults(poisson) == set()
    assert inclusion_faults(poisson, people=4, rate=0.3) == set()


def test_shuffling_for_poisson_is_caught_by_the_inclusion_counts() -> None:
    faults = {"people depend on each other", "steps depend on each other"}
    assert inclusion_faults(Shuffled()) >= faults
    assert "people depend on each other" in inclusion_faults(fixed_size)


def test_skipping_empty_samples_is_caught_by_the_inclusion_counts() -> None:
    assert inclusion_faults(skips_empty, people=4, rate=0.3)


# --- ledger reconciliation: nothing leaves that nobody paid for --------------------------------


def agent(path: Path, charge_mean: bool) -> tuple[Sent, ...]:
    """Releases two statistics; which of them left uncharged."""
    mechanisms = tuple(
        MomentMechanism(kind=kind, sigma=5.0, clip=1.0, name=kind)
        for kind in ("mean", "scatter")
    )  # fmt: skip
    plan = PrivacyPlan(mechanisms=mechanisms, people=10, delta=1e-5)
    sent = []
    with Ledger(path, b"k" * 32, Budget(8.0, 1e-5)) as ledger:
        ledger.accept("run", plan)
        for current in plan.rounds:
            payload = private_sum(np.ones((3, 4)), 1.0, 5.0, OsEntropy()).tobytes()
            if charge_mean or current.number != 1:
                ledger.reserve("run", current.number, "request", current.event)
                ledger.release("run", current.number, "request", payload)
            sent.append(Sent("run", current.number, payload))
        return uncharged(ledger.entries(), sent)


def test_uncharged_statistics_are_caught_by_the_ledger_reconciliation(tmp_path: Path) -> None:
    assert agent(tmp_path / "real.db", charge_mean=True) == ()
    (caught,) = agent(tmp_path / "mutant.db", charge_mean=False)
    assert caught.round == 1


def test_other_bytes_than_the_recorded_release_are_caught_too(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.db", b"k" * 32, Budget(8.0, 1e-5)) as ledger:
        mechanism = MomentMechanism(kind="mean", sigma=5.0, clip=1.0, name="mean")
        ledger.accept("run", PrivacyPlan(mechanisms=(mechanism,), people=10, delta=1e-5))
        ledger.reserve("run", 1, "request", Event(5.0))
        ledger.release("run", 1, "request", b"noised")
        raw = Sent("run", 1, b"raw")
        assert uncharged(ledger.entries(), [Sent("run", 1, b"noised"), raw]) == (raw,)


# --- the cross-person test: removing one person leaves the others' contributions bitwise --------

Contribute = Callable[[Sequence[Tensor]], list[bytes]]


def by_objective(name: str) -> Contribute:
    def contribute(bags: Bags) -> list[bytes]:
        module = tail()
        return contributions_of(module, OBJECTIVES[name](module, public(), 16.0), bags, CLIP)

    return contribute


def by_moment(kind: str) -> Contribute:
    def contribute(bags: Bags) -> list[bytes]:
        frame = np.random.default_rng(0).normal(size=(E, D))
        rows = contributions(kind, [b.float().numpy() for b in bags], frame, np.ones(E))
        return [row.tobytes() for row in clip_rows(rows, CLIP)]

    return contribute


def head_outside_the_step(bags: Bags) -> list[bytes]:
    """MUTANT: a softmax head with a row a person, trained on everybody without noise."""
    module = tail()
    with torch.no_grad():
        points = [module(bag).mean(dim=0) for bag in bags]
    head = torch.zeros(len(bags), E, dtype=torch.float64, requires_grad=True)
    for _ in range(5):
        loss = nn.functional.cross_entropy(torch.stack(points) @ head.T, torch.arange(len(bags)))
        (slope,) = torch.autograd.grad(loss, head)
        head = (head - slope).detach().requires_grad_()
    names = {id(bag): row for row, bag in enumerate(bags)}

    def loss_of_person(m: nn.Module, bag: Tensor) -> Tensor:
        wanted = torch.full((len(bag),), names[id(bag)])
        return nn.functional.cross_entropy(m(bag) @ head.detach().T, wanted)

    return contributions_of(module, loss_of_person, bags, CLIP)


def in_batch_negatives(bags: Bags) -> list[bytes]:
    """MUTANT: the other people of the sample as negatives."""

    def loss_of_person(m: nn.Module, bag: Tensor) -> Tensor:
        others = torch.cat([b for b in bags if b is not bag])
        return OBJECTIVES["contrast"](m, others, 16.0)(m, bag)

    return contributions_of(tail(), loss_of_person, bags, CLIP)


def centred_on_the_site(bags: Bags) -> list[bytes]:
    """MUTANT: moments around the mean of this site's own people."""
    points = np.stack([bag.numpy().mean(axis=0) for bag in bags])
    return [row.tobytes() for row in clip_rows(points - points.mean(axis=0), CLIP)]


@pytest.mark.parametrize("name", sorted(OBJECTIVES))
def test_no_objective_lets_one_person_into_anothers_gradient(name: str) -> None:
    assert crossings(by_objective(name), bags_of(5)) == 0


@pytest.mark.parametrize("kind", sorted(CONTRIBUTIONS))
def test_no_moment_lets_one_person_into_anothers_contribution(kind: str) -> None:
    assert crossings(by_moment(kind), bags_of(5)) == 0


@pytest.mark.parametrize("mutant", [head_outside_the_step, in_batch_negatives, centred_on_the_site])
def test_a_head_outside_the_step_is_caught_by_the_cross_person_test(mutant: Contribute) -> None:
    assert crossings(mutant, bags_of(5)) == 20


def test_a_head_that_learns_beside_the_optimizer_is_refused_outright() -> None:
    module: Any = nn.Sequential(nn.Linear(D, E), nn.Linear(E, 5))
    optimizer = sgd(module[0], rate=0.1, sigma=1.0, clip=CLIP, entropy=OsEntropy())
    with pytest.raises(ModelError, match="exactly the trainable"):
        private_step(module, lambda m, bag: m(bag).sum(), [torch.ones(2, D)], optimizer)
