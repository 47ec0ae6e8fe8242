"""Models that hide their gradients are found out; an honest one is not accused."""

import numpy as np
import pytest
import torch
from torch import Tensor

from common.attacks.masking import (
    Check,
    Probe,
    fools_all,
    has_gradients,
    not_beaten,
    probed,
)
from common.attacks.target import GOALS, Budget, Goal
from tests.small_attacks import SmallFace, seeded, small_pairs

PROBE = Probe(steps=6, queries=60, budget=Budget("linf", 0.02))


class Quantised(SmallFace):
    """Rounds its input to 16 levels: the gradient is 0 almost everywhere."""

    def forward(self, pixels: Tensor) -> Tensor:
        return super().forward((pixels * 15).round() / 15)


class Saturating(SmallFace):
    """Squeezes its input through a step so steep that no float32 gradient comes through."""

    def forward(self, pixels: Tensor) -> Tensor:
        return super().forward(torch.sigmoid((pixels - 0.5) * 2000))


class Misleading(SmallFace):
    """Tells the truth about pixels, and hands gradients of something else to whoever asks."""

    def forward(self, pixels: Tensor) -> Tensor:
        told = super().forward(pixels.detach())
        lure = super().forward(pixels.flip(-1))
        return told + lure - lure.detach()


def found(face: SmallFace, goal: Goal) -> list[Check]:
    trials = small_pairs(goal).trials(face)
    ran = PROBE.run(face, trials, seeded())
    return [has_gradients(face, trials, seeded()), *probed(ran)]


@pytest.mark.parametrize("goal", GOALS)
def test_an_honest_model_holds_all_checks(goal: Goal) -> None:
    assert [check for check in found(SmallFace(), goal) if not check.held] == []


@pytest.mark.parametrize("hiding", [Quantised, Saturating, Misleading])
@pytest.mark.parametrize("goal", GOALS)
def test_a_model_that_hides_its_gradients_is_flagged(hiding: type[SmallFace], goal: Goal) -> None:
    broken = {check.name for check in found(hiding(), goal) if not check.held}
    expected = "64/255 fools all" if hiding is Misleading else "gradients are there"
    assert expected in broken


def test_a_weaker_attack_may_win_by_chance_but_not_by_more() -> None:
    strong, weak = np.zeros(100, np.bool_), np.zeros(100, np.bool_)
    weak[:3] = True
    assert not_beaten("pgd", strong, "fgsm", weak).held
    weak[:12] = True
    check = not_beaten("pgd", strong, "fgsm", weak)
    assert not check.held and check.name == "fgsm <= pgd"
    strong[50:60] = True  # twelve lost against ten won
    assert not_beaten("pgd", strong, "fgsm", weak).held


def test_nobody_attacked_proves_nothing() -> None:
    assert not fools_all(np.zeros(0, np.bool_), "64/255").held
