"""Attackers with gradients stay inside, mix no rows, and the stronger of two is not the weaker."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from common.attacks.apgd import Apgd, checkpoints
from common.attacks.diversity import shrunk, smoothed
from common.attacks.gradient import Fgsm, MiFgsm, Pgd, di_fgsm, ti_fgsm
from common.attacks.target import GOALS, NORMS, Attack, Budget, Goal, Norm, Trials
from common.errors import ModelError
from tests.small_attacks import SIDE, SmallFace, seeded, small_pairs

FACE = SmallFace()
TRIALS = {goal: small_pairs(goal, people=60).trials(FACE) for goal in GOALS}
EPS: dict[Norm, float] = {"linf": 0.015, "l2": 0.5}
ATTACKS: dict[str, Attack] = {
    "fgsm": Fgsm(),
    "pgd": Pgd(steps=5),
    "pgd with restarts": Pgd(steps=2, restarts=2),
    "pgd that stops": Pgd(steps=5, stop=True),
    "mi": MiFgsm(steps=4),
    "di": di_fgsm(4, diversity=1.0),
    "ti": ti_fgsm(4, smoothing=3),
    "apgd": Apgd(steps=5),
    "apgd that stops": Apgd(steps=5, restarts=2, stop=True),
}
NAMES = sorted(ATTACKS)


def length(moved: Tensor, norm: Norm) -> Tensor:
    flat = moved.double().flatten(1)
    return flat.abs().amax(1) if norm == "linf" else flat.norm(dim=1)


def margins(trials: Trials, pixels: Tensor) -> Tensor:
    return trials.margin(FACE(pixels))


def share(trials: Trials, attack: Attack, budget: Budget) -> float:
    found = attack(FACE, trials, budget, seeded())
    return float(trials.fooled(FACE, found).float().mean())


@given(
    name=st.sampled_from(NAMES),
    goal=st.sampled_from(GOALS),
    norm=st.sampled_from(NORMS),
    share=st.floats(0, 30),
    seed=st.integers(0, 2**32),
)
def test_no_attack_leaves_its_budget_or_the_range_of_pixels(
    name: str, goal: Goal, norm: Norm, share: float, seed: int
) -> None:
    budget = Budget(norm, share * EPS[norm])
    trials = TRIALS[goal].rows(torch.arange(4))
    found = ATTACKS[name](FACE, trials, budget, seeded(seed))
    assert found.shape == trials.pixels.shape
    assert not found.requires_grad
    assert 0 <= float(found.min()) <= float(found.max()) <= 1
    assert (length(found - trials.pixels, norm) <= budget.eps * (1 + 1e-6) + 1e-6).all()


@pytest.mark.parametrize("goal", GOALS)
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("name", NAMES)
def test_every_attack_raises_the_margin_and_repeats_itself(
    name: str, norm: Norm, goal: Goal
) -> None:
    trials, budget = TRIALS[goal], Budget(norm, EPS[norm])
    found = ATTACKS[name](FACE, trials, budget, seeded(1))
    better = margins(trials, found) > margins(trials, trials.pixels)
    assert better.float().mean() > 0.95
    assert torch.equal(found, ATTACKS[name](FACE, trials, budget, seeded(1)))


@pytest.mark.parametrize("attack", [Pgd(steps=5, random_start=False), MiFgsm(), Fgsm()])
@pytest.mark.parametrize("norm", NORMS)
def test_no_row_is_touched_by_others(attack: Attack, norm: Norm) -> None:
    rows_mix_nothing(attack, norm)


@pytest.mark.parametrize("norm", NORMS)
def test_no_row_of_auto_pgd_is_touched_by_others(norm: Norm) -> None:
    rows_mix_nothing(Apgd(steps=8, random_start=False), norm)


def rows_mix_nothing(attack: Attack, norm: Norm) -> None:
    trials, budget = TRIALS["dodge"], Budget(norm, EPS[norm])
    together = attack(FACE, trials, budget, seeded())
    chosen = torch.tensor([7, 2, 11])
    apart = attack(FACE, trials.rows(chosen), budget, seeded())
    near = margins(trials.rows(chosen), together[chosen])
    assert torch.allclose(near, margins(trials.rows(chosen), apart), atol=1e-4)


@pytest.mark.parametrize("goal", GOALS)
@pytest.mark.parametrize("norm", NORMS)
def test_stopping_early_fools_exactly_as_many(norm: Norm, goal: Goal) -> None:
    trials, budget = TRIALS[goal], Budget(norm, EPS[norm])
    for whole, early in (
        (Pgd(steps=6, restarts=2), Pgd(steps=6, restarts=2, stop=True)),
        (Apgd(steps=6, restarts=2), Apgd(steps=6, restarts=2, stop=True)),
    ):
        assert share(trials, whole, budget) == share(trials, early, budget)


@pytest.mark.parametrize("goal", GOALS)
@pytest.mark.parametrize("norm", NORMS)
def test_more_steps_and_better_steps_fool_more_and_a_large_budget_all(
    norm: Norm, goal: Goal
) -> None:
    trials = TRIALS[goal]
    budgets = [Budget(norm, EPS[norm] * factor) for factor in (0.5, 1, 2, 40)]
    shares = {
        name: [share(trials, attack, budget) for budget in budgets]
        for name, attack in {
            "fgsm": Fgsm(),
            "pgd": Pgd(steps=10, stop=True),
            "apgd": Apgd(steps=10, stop=True),
        }.items()
    }
    for weaker, stronger in (("fgsm", "pgd"), ("pgd", "apgd")):
        assert all(a <= b for a, b in zip(shares[weaker], shares[stronger], strict=True)), shares
    assert shares["apgd"] == sorted(shares["apgd"])
    assert shares["apgd"][-1] == 1.0 == shares["pgd"][-1]
    assert 0.02 < shares["pgd"][1] < 0.98, "the comparison above is of nothing"


@pytest.mark.parametrize("norm", NORMS)
def test_auto_pgd_gets_further_than_pgd_of_as_many_steps(norm: Norm) -> None:
    trials, budget = TRIALS["impersonate"], Budget(norm, EPS[norm])
    plain, auto = (
        margins(trials, attack(FACE, trials, budget, seeded())).mean()
        for attack in (Pgd(steps=20), Apgd(steps=20))
    )
    assert auto > plain


@pytest.mark.parametrize("make", [Pgd, Apgd])
def test_a_mask_lets_its_pixels_go_anywhere_and_others_nowhere(
    make: Callable[..., Attack],
) -> None:
    mask = torch.zeros(SIDE, SIDE)
    mask[4:12, 4:12] = 1
    trials = TRIALS["dodge"].rows(torch.arange(6))
    found = make(steps=20, mask=mask)(FACE, trials, Budget("linf", 0.001), seeded())
    assert torch.equal(found * (1 - mask), trials.pixels * (1 - mask))
    assert ((found - trials.pixels) * mask).abs().amax() > 0.3
    assert (margins(trials, found) > margins(trials, trials.pixels)).all()


@pytest.mark.parametrize("make", [Pgd, Apgd])
def test_a_transformation_is_attacked_through(make: Callable[..., Attack]) -> None:
    drawn: list[int] = []

    def dimmed(pixels: Tensor, generator: torch.Generator) -> Tensor:
        drawn.append(1)
        light = 0.6 + 0.2 * torch.rand((), generator=generator)
        return pixels * light

    trials, budget = TRIALS["dodge"].rows(torch.arange(8)), Budget("linf", 0.1)
    aware = make(steps=4, draws=3, transform=dimmed)(FACE, trials, budget, seeded())
    assert len(drawn) == 3 * 5
    before, after = (
        torch.stack([margins(trials, dimmed(seen, seeded(seed))) for seed in range(9)]).mean(0)
        for seen in (trials.pixels, aware)
    )
    assert (after > before).all()


def test_no_parameter_of_the_face_gets_a_gradient() -> None:
    torch.manual_seed(0)
    face = nn.Sequential(nn.Conv2d(3, 4, 6, stride=6), nn.Tanh(), nn.Flatten(), nn.Linear(64, 16))
    trials = TRIALS["dodge"].rows(torch.arange(3))
    for attack in ATTACKS.values():
        attack(face, trials, Budget("linf", 0.1), seeded())
    assert all(parameter.grad is None for parameter in face.parameters())
    assert not trials.pixels.requires_grad


def test_a_face_without_a_gradient_leaves_pixels_where_they_may_be() -> None:
    class Broken(nn.Module):
        def forward(self, pixels: Tensor) -> Tensor:
            return pixels.flatten(1)[:, :16] * torch.nan

    trials = TRIALS["dodge"].rows(torch.arange(3))
    for attack in ATTACKS.values():
        found = attack(Broken(), trials, Budget("l2", 0.1), seeded())
        assert torch.equal(found, trials.pixels)


def test_checkpoints_are_those_of_the_paper() -> None:
    assert checkpoints(100) == (22, 41, 57, 70, 80, 87, 93, 99)
    assert checkpoints(1) == (1,)


def test_settings_that_attack_nothing_are_refused() -> None:
    for made in (
        lambda: Pgd(steps=0),
        lambda: Pgd(restarts=0),
        lambda: Pgd(smoothing=4),
        lambda: Apgd(steps=0),
    ):
        with pytest.raises(ModelError):
            made()


@given(seed=st.integers(0, 999))
def test_a_shrunk_picture_is_all_there_among_zeros(seed: int) -> None:
    seen = shrunk(torch.ones(2, 3, 40, 40), seeded(seed))
    assert seen.shape == (2, 3, 40, 40)
    side = int(seen[0, 0].any(0).sum())
    assert 36 <= side <= 40
    assert float(seen[0, 0].sum()) == pytest.approx(side * side)
    assert torch.equal(seen[0], seen[1])


def test_smoothing_is_a_blur_of_every_channel_alone() -> None:
    point = torch.zeros(1, 3, 15, 15)
    point[0, 1, 7, 7] = 1
    blurred = smoothed(point, 7)
    assert not blurred[0, [0, 2]].any()
    assert float(blurred.sum()) == pytest.approx(1, abs=1e-5)
    assert blurred[0, 1, 7, 7] == blurred.max()
    assert torch.allclose(blurred, blurred.transpose(2, 3))
    assert torch.equal(smoothed(point, 1), point)
