from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from common.attacks.target import to_pixels
from common.errors import ConfigError, DataSetError
from common.faces.cameras import Camera, Operation
from common.faces.faceset import FaceSet
from common.heads.margin import Centres
from common.models.embedder import Embedder
from common.models.registry import build
from common.models.trunk import load_trunk
from server.pretraining.hardening import Adversary
from server.pretraining.options import PretrainOptions, Progress
from server.pretraining.trunk import pretrain, train_trunk

CAMERA = Camera(name="dark", operations=(Operation(kind="gamma", low=1, high=2),))


def options(**changes: object) -> PretrainOptions:
    told = {"licence": "test", "width": 0.25, "steps": 8, "batch": 16, "check_every": 4}
    told |= {"held_out": 0.5, "camera": CAMERA}
    return PretrainOptions(**{**told, **changes})  # type: ignore[arg-type]


def test_a_trunk_is_trained_folded_and_loads_again(crowd: FaceSet, tmp_path: Path) -> None:
    told: list[Progress] = []
    # Without a margin, which grows while training goes on, one step's loss compares with another's.
    easy = options(steps=60, check_every=30, learning_rate=0.05, margin=0.0, camera=None)
    made = pretrain(crowd, tmp_path / "trunk", easy, told.append)
    assert [p.step for p in told] == list(range(1, 61))
    guessing = np.log(len(crowd.people) / 2)  # the loss of a network that knows nobody it saw
    assert np.mean([p.loss for p in told[:2]]) > guessing
    assert np.mean([p.loss for p in told[-8:]]) < guessing / 2
    assert made.tar == max(p.tar for p in told if p.tar is not None)
    trunk, tail = load_trunk(tmp_path / "trunk")
    assert trunk.manifest.sha256 == made.manifest.sha256
    assert tail.embed(trunk.features(crowd.crops(range(2)))).shape == (2, 128)


def test_the_same_seed_trains_the_same_network(crowd: FaceSet) -> None:
    rngs = [np.random.default_rng(seed) for seed in (1, 1, 2)]
    networks = [train_trunk(crowd, options(), rng).state_dict() for rng in rngs]
    name = "projection.0.weight"
    assert torch.equal(networks[0][name], networks[1][name])
    assert not torch.equal(networks[0][name], networks[2][name])


def test_training_stops_when_unseen_people_gain_nothing(crowd: FaceSet) -> None:
    told: list[Progress] = []
    still = options(steps=500, learning_rate=1e-12, check_every=2, patience=3)
    train_trunk(crowd, still, np.random.default_rng(0), told.append)
    assert told[-1].step < 500


def test_too_few_people_or_impossible_options_are_refused(crowd: FaceSet) -> None:
    with pytest.raises(DataSetError, match="too few"):
        train_trunk(crowd.of_people([0, 1, 2]), options(), np.random.default_rng(0))
    with pytest.raises(ConfigError, match="held_out"):
        options(held_out=1.0)
    with pytest.raises(ConfigError, match="batch"):
        options(batch=1)


def test_crops_are_attacked_against_the_network_as_it_will_be_met(crowd: FaceSet) -> None:
    model, centres, pixels, person = network(crowd)
    buffers = {name: held.clone() for name, held in model.named_buffers()}
    adversary = Adversary(steps=3, eps=8 / 255, share=0.5)
    model.train()
    moved = adversary.attacked(model, centres, (pixels, person), torch.Generator().manual_seed(0))
    assert model.training
    assert all(torch.equal(held, buffers[name]) for name, held in model.named_buffers())
    assert all(p.grad is None for p in (*model.parameters(), centres.weight))
    assert torch.equal(moved[4:], pixels[4:])
    assert 0 < float((moved - pixels).abs().max()) <= 2 * 8 / 255 + 1e-6
    assert float(moved.abs().max()) <= 1
    model.eval()
    own = [
        centres(model(seen)).detach().gather(1, person[:, None])[:4].mean()
        for seen in (pixels, moved)
    ]
    assert float(own[1]) < float(own[0]) - 0.05


def test_an_attack_of_no_radius_leaves_pixels_as_they_are(crowd: FaceSet) -> None:
    model, centres, pixels, person = network(crowd)
    still = Adversary(steps=1, eps=0.0, share=1.0)
    generator = torch.Generator().manual_seed(0)
    assert torch.equal(still.attacked(model, centres, (pixels, person), generator), pixels)


def test_training_on_attacked_crops_is_repeatable_and_another_training(crowd: FaceSet) -> None:
    hard = options(adversary=Adversary(steps=1), steps=3)
    told = [
        train_trunk(crowd, given, np.random.default_rng(1)).state_dict()["projection.0.weight"]
        for given in (hard, hard, options(steps=3))
    ]
    assert torch.equal(told[0], told[1])
    assert not torch.equal(told[0], told[2])


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"eps": -0.1}, {"share": 0.0}])
def test_an_impossible_adversary_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="adversarial"):
        Adversary(**wrong)  # type: ignore[arg-type]


def network(crowd: FaceSet) -> tuple[Embedder, Centres, Tensor, Tensor]:
    """A small untrained network, directions of people, and a batch of eight pictures."""
    model = build("tiny", 128, 0, 0.25).eval()
    pixels = 2 * to_pixels(crowd.crops(range(8))) - 1
    centres = Centres(128, 8, torch.Generator().manual_seed(1))
    with torch.no_grad():
        centres.weight.copy_(model(pixels))
    return model, centres, pixels, torch.arange(8)
