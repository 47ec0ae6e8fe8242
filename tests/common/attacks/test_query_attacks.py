"""Attackers without gradients: those who see scores, and those who see only yes or no."""

import pytest
import torch

from common.attacks.boundary import HopSkipJump, Oracle
from common.attacks.noise import Noise
from common.attacks.square import Square
from common.attacks.target import NORMS, Attack, Budget, Norm
from tests.small_attacks import SmallFace, SmallPairs, seeded, small_pairs

FACE = SmallFace()
DODGE, OTHER = small_pairs("dodge"), small_pairs("impersonate")
BUDGETS = {"linf": Budget("linf", 0.15), "l2": Budget("l2", 4.0)}


class CountedFace(SmallFace):
    """Remembers how many pictures it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = 0

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        self.seen += len(pixels)
        return super().forward(pixels)


def length(moved: torch.Tensor, norm: Norm) -> torch.Tensor:
    flat = moved.flatten(1)
    return flat.abs().amax(1) if norm == "linf" else flat.norm(dim=1)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("pairs", [DODGE, OTHER], ids=["dodge", "impersonate"])
@pytest.mark.parametrize("name", ["square", "hop-skip-jump", "noise"])
def test_a_query_attack_stays_within_its_budget_and_finds_what_noise_does_not(
    name: str, pairs: SmallPairs, norm: Norm
) -> None:
    trials = pairs.trials(FACE)
    starts = None if pairs.goal == "dodge" else pairs.templates
    attack: Attack = {
        "square": Square(queries=200),
        "hop-skip-jump": HopSkipJump(queries=250, starts=starts),
        "noise": Noise(),
    }[name]
    found = attack(FACE, trials, BUDGETS[norm], seeded())
    assert (length(found - trials.pixels, norm) <= BUDGETS[norm].eps * 1.00001).all()
    assert 0 <= float(found.min()) <= float(found.max()) <= 1
    success = float(trials.fooled(FACE, found).float().mean())
    assert success <= 0.2 if name == "noise" else success >= 0.6
    again = attack(FACE, trials, BUDGETS[norm], seeded())
    assert torch.equal(found, again)


@pytest.mark.parametrize("norm", NORMS)
def test_square_asks_once_a_row_and_query_and_no_more_of_rows_that_are_done(norm: Norm) -> None:
    counted = CountedFace()
    trials = DODGE.trials(counted)
    counted.seen = 0
    told = Square(queries=150).search(counted, trials, BUDGETS[norm], seeded())
    done = trials.fooled(FACE, told.pixels)
    assert counted.seen == int(told.queries.sum())
    assert (told.queries[done] <= 150).all() and (told.queries[~done] == 150).all()
    assert done.any() and int(told.queries.min()) < 150


def test_hop_skip_jump_sees_yes_and_no_only_and_keeps_to_its_queries() -> None:
    counted = CountedFace()
    trials = DODGE.trials(counted)
    counted.seen = 0
    oracle = Oracle(counted, trials)
    assert oracle(trials.pixels, torch.arange(len(trials))).dtype == torch.bool
    HopSkipJump(queries=150).approach(oracle, Budget("l2", 0.0), seeded())
    assert counted.seen == int(oracle.queries.sum())
    assert int(oracle.queries.max()) <= 151  # one of them was ours


def test_more_decisions_bring_hop_skip_jump_nearer() -> None:
    trials = DODGE.trials(FACE)
    gaps = []
    for queries in (60, 150, 400):
        attack = HopSkipJump(queries=queries)
        near = attack.approach(Oracle(FACE, trials), Budget("l2", 0.0), seeded())
        assert trials.fooled(FACE, near).all()
        gaps.append(float((near - trials.pixels).flatten(1).norm(dim=1).median()))
    assert gaps[0] > 1.3 * gaps[1] > 1.3 * gaps[2]


def test_hop_skip_jump_cannot_impersonate_without_a_picture_that_matches() -> None:
    trials = OTHER.trials(FACE)
    attack = HopSkipJump(queries=50)
    assert torch.equal(attack(FACE, trials, BUDGETS["l2"], seeded()), trials.pixels)
