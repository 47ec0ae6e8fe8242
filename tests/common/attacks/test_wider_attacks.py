"""Least distortions, what travels between models, what is worn, and signals with their attacker."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F  # noqa: N812

from common.attacks.gradient import Pgd
from common.attacks.masks import PLACES, Jitter, frame, lasting, sticker, worn
from common.attacks.minimal import median, minimal_distortion
from common.attacks.signals import (
    SIGNALS,
    Unsuspicious,
    blur,
    inconsistency,
    jpeg,
    separation,
)
from common.attacks.target import GOALS, NORMS, Budget, Goal, Norm
from common.attacks.transfer import NOISE, Contender, Couples, Made, transfer
from tests.small_attacks import THRESHOLD, SmallFace, seeded, small_pairs

FACE = SmallFace()


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("goal", GOALS)
def test_the_least_distortion_is_where_the_attack_begins_to_succeed(norm: Norm, goal: Goal) -> None:
    trials = small_pairs(goal, people=6).trials(FACE)
    least = minimal_distortion(FACE, trials, norm, seeded(), bisections=4)
    attack = Pgd(steps=20, random_start=False, stop=True)
    for row, length in enumerate(least.tolist()):
        one = trials.rows(torch.tensor([row]))
        above = attack(FACE, one, Budget(norm, 1.2 * length), seeded())
        below = attack(FACE, one, Budget(norm, 0.7 * length), seeded())
        assert one.fooled(FACE, above).all() and not one.fooled(FACE, below).any()
    assert len(trials) >= 5
    assert median(least) == pytest.approx(np.sort(least)[(len(least) - 1) // 2])


def test_a_median_that_half_of_the_rows_do_not_reach_is_not_told() -> None:
    assert median(torch.tensor([1.0, 2.0, torch.inf, torch.inf])) == 2
    assert median(torch.tensor([1.0, torch.inf, torch.inf])) is None
    assert median(torch.zeros(0)) is None


def test_pictures_travel_to_a_sibling_better_than_to_a_stranger_and_noise_nowhere() -> None:
    sibling, stranger = SmallFace(), SmallFace(seed=5)
    sibling.second = sibling.second + 0.02 * torch.randn(sibling.second.shape, generator=seeded())
    models = [
        Contender(name=name, face=face, threshold=THRESHOLD)
        for name, face in (("this", FACE), ("sibling", sibling), ("stranger", stranger))
    ]
    pairs = small_pairs("dodge", people=16)
    couples = Couples(probes=pairs.probes, references=pairs.templates, goal="dodge")
    made = Made(Pgd(steps=10), Budget("linf", 0.03), seeded())
    table = transfer(couples, models, models, made)
    rate = {source: float(row["this"].outcomes.float().mean()) for source, row in table.items()}
    assert rate["this"] >= rate["sibling"] > rate["stranger"] + 0.3 and rate[NOISE] == 0
    judged = pairs.trials(stranger)
    assert len(table["this"]["stranger"].outcomes) == len(judged)


def test_masks_lie_where_glasses_and_stickers_are_worn() -> None:
    glasses, patch = frame(112)[0], sticker(112)[0]
    for x, y in ((38, 52), (73, 52), (56, 72), (56, 92)):  # eyes, nose, mouth stay free
        assert glasses[y, x] == 0 and patch[y, x] == 0
    assert glasses[49, 56] == 1 and glasses[35:68].sum() == glasses.sum()  # bridge; at eye height
    assert patch[20, 56] == 1 and patch[30:].sum() == 0
    assert float(frame(56).sum()) == pytest.approx(float(glasses.sum()) / 4, rel=0.1)


@pytest.mark.parametrize("place", PLACES)
def test_what_is_worn_changes_nothing_else_and_lasts_through_shifts_and_light(place: str) -> None:
    trials = small_pairs("dodge").trials(FACE)
    mask = PLACES[place](trials.pixels.shape[-1])
    made = worn(mask, steps=12)(FACE, trials, Budget("linf", 1.0), seeded())
    assert torch.equal(made * (1 - mask), trials.pixels * (1 - mask))
    looks = lasting(FACE, trials, made, seeded())
    assert float((looks > 0.5).float().mean()) >= 0.5
    assert float(lasting(FACE, trials, trials.pixels, seeded()).mean()) <= 0.1


def test_jitter_shifts_by_what_it_says_and_keeps_gradients() -> None:
    pixels = torch.rand(2, 3, 112, 112, generator=seeded()).requires_grad_()
    jitter, chance = Jitter(shift=2, brightness=0.0), seeded(3)
    seen = {
        next(
            (down, across)
            for down in range(-2, 3)
            for across in range(-2, 3)
            if torch.equal(
                shown[..., 4:-4, 4:-4],
                pixels[..., 4 + down : 108 + down, 4 + across : 108 + across],
            )
        )
        for shown in (jitter(pixels, chance) for _ in range(20))
    }
    assert len(seen) > 5
    assert torch.autograd.grad(jitter(pixels, chance).sum(), pixels)[0].abs().sum() > 0


def test_jpeg_is_a_file_and_its_gradient_is_one() -> None:
    smooth = F.interpolate(torch.rand(2, 3, 4, 4, generator=seeded()), size=24, mode="bilinear")
    pixels = smooth.requires_grad_()
    made = jpeg(pixels)
    assert 0 < float((made - pixels).detach().abs().max()) < 0.2
    assert torch.equal(torch.autograd.grad(made.sum(), pixels)[0], torch.ones_like(pixels))
    assert torch.allclose(blur(torch.full((1, 3, 9, 9), 0.3)), torch.full((1, 3, 9, 9), 0.3))


def test_separation_is_the_area_and_the_rate_at_five_in_a_hundred() -> None:
    rng = np.random.default_rng(0)
    honest, attacked = rng.normal(0, 1, 400), rng.normal(1, 1, 300)
    area, rate = separation(honest, attacked)
    assert area == pytest.approx((attacked[:, None] > honest[None, :]).mean())
    threshold = np.sort(honest)[379]  # twenty of four hundred lie above
    assert rate == (attacked > threshold).mean()
    assert separation([0.0, 0.0], [0.0]) == (0.5, 0.0)


def test_the_attacker_who_knows_the_signals_succeeds_and_is_seen_less() -> None:
    trials = small_pairs("dodge", people=20).trials(FACE)
    budget = Budget("linf", 0.03)
    scores = {}
    for name, attack in (("pgd", Pgd(steps=20)), ("adaptive", Unsuspicious(steps=30))):
        made = attack(FACE, trials, budget, seeded())
        assert float((made - trials.pixels).abs().max()) <= budget.eps * 1.0001
        assert float(trials.fooled(FACE, made).float().mean()) >= 0.85
        scores[name] = [inconsistency(FACE, made, view).mean() for view in SIGNALS.values()]
    assert sum(scores["adaptive"]) < 0.7 * sum(scores["pgd"])
