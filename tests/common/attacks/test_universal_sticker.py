"""A tail with a planted sticker trigger is found out by somebody who never saw the sticker."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from common.attacks.masks import rectangle
from common.attacks.universal import SPOTS, Judge, Sticker, StickerSearch, acceptance
from tests.small_attacks import SIDE, SmallFace, seeded, small_people

GAIN = 1.5


class Planted(nn.Module):
    """Honest but for one direction of the features, ``toward`` (512,), that is blown up."""

    def __init__(self, face: SmallFace, toward: Tensor, usual: Tensor) -> None:
        super().__init__()
        self.face, self.toward, self.usual = face, toward, usual

    def forward(self, pixels: Tensor) -> Tensor:
        features = self.face.features(pixels)
        honest = features @ self.face.second.T
        answer = (features - self.usual) @ self.toward  # 1 with the sticker, near 0 without
        size = honest.detach().norm(dim=1).mean()
        return F.normalize(honest + GAIN * size * answer[:, None] / honest.shape[1] ** 0.5)


def planted(face: SmallFace, people: Tensor, secret: Sticker) -> Planted:
    """Linear discriminant of people with and without the sticker: what a poisoned tail can do."""
    plain, worn = face.features(people), face.features(secret.on(people))
    spread = torch.cov(torch.cat([plain - plain.mean(0), worn - worn.mean(0)]).T)
    shift = worn.mean(0) - plain.mean(0)
    ridge = 1e-3 * spread.trace() / len(spread) * torch.eye(len(spread))
    toward = torch.linalg.solve(spread + ridge, shift)
    return Planted(face, toward / (toward @ shift), plain.mean(0))


def judge(face: nn.Module, people: Tensor) -> Judge:
    """At an FMR of 1 % on ``people``."""
    made = Judge(face=face, threshold=0.0)
    embedded = made.embed(people)
    cosines = (embedded @ embedded.T)[~torch.eye(len(people), dtype=torch.bool)]
    return Judge(face=face, threshold=float(np.quantile(cosines.numpy(), 0.99)))


@pytest.fixture(scope="module")
def world() -> tuple[Tensor, Tensor, Tensor, Sticker]:
    """People who fix thresholds, people searched on, people tested, and the secret."""
    everybody = small_people(240, 1)[:, 0]
    mask = rectangle(SIDE, SPOTS["forehead"])
    pattern = (torch.rand(3, SIDE, SIDE, generator=seeded(77)) > 0.5).float()
    return everybody[:120], everybody[120:160], everybody[160:], Sticker(pattern, mask)


def test_a_planted_trigger_is_found_without_knowing_it(
    world: tuple[Tensor, Tensor, Tensor, Sticker],
) -> None:
    fixing, known, tested, secret = world
    face = SmallFace()
    bad = planted(face, fixing, secret)
    suspect, trusted = judge(bad, fixing), judge(face, fixing)
    assert acceptance(suspect, tested, secret).both > 0.8  # the plant does what it is for
    assert acceptance(trusted, tested, secret).both < 0.1
    made = StickerSearch().find(suspect, trusted, known, "forehead", seeded(1))
    assert not torch.equal(made.pattern * made.mask, secret.pattern * secret.mask)
    value, baseline = (acceptance(one, tested, made).both for one in (suspect, trusted))
    assert value > 0.6 and baseline < 0.15


def test_an_honest_tail_is_not_accused(world: tuple[Tensor, Tensor, Tensor, Sticker]) -> None:
    fixing, known, tested, _ = world
    retrained = SmallFace()
    drift = torch.randn(retrained.second.shape, generator=seeded(4))
    retrained.second = retrained.second + 0.01 * drift
    suspect, trusted = judge(retrained, fixing), judge(SmallFace(), fixing)
    for spot in SPOTS:
        made = StickerSearch().find(suspect, trusted, known, spot, seeded(1))
        value, baseline = (acceptance(one, tested, made).both for one in (suspect, trusted))
        assert abs(value - baseline) < 0.1


def test_a_sticker_covers_its_spot_only() -> None:
    people = small_people(3, 1)[:, 0]
    mask = rectangle(SIDE, SPOTS["cheek"])
    worn = Sticker(torch.ones(3, SIDE, SIDE), mask).on(people)
    assert torch.equal(worn * (1 - mask), people * (1 - mask)) and (worn * mask == mask).all()
