from typing import Any, get_args

import pytest
import torch
from torch.nn import functional as F  # noqa: N812

from common.errors import ConfigError
from server.pretraining.criterion import Criterion
from server.pretraining.device import choose
from server.pretraining.hardening import Adversary
from server.pretraining.options import MARGINS, Loss, PretrainOptions

LOSSES = get_args(Loss)


def options(loss: str, **changes: Any) -> PretrainOptions:
    told: dict[str, Any] = {"licence": "test", "loss": loss, "embedding": 4, "batch": 8}
    return PretrainOptions(**(told | changes))


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_teaches_embeddings_of_one_person_to_agree(loss: str) -> None:
    generator = torch.Generator().manual_seed(0)
    criterion = Criterion(options(loss), 3, generator)
    embedding = torch.randn((9, 4), generator=generator).requires_grad_()
    person = torch.arange(3).repeat_interleave(3)
    optimizer = torch.optim.SGD([embedding, *criterion.parameters()], lr=0.3)
    before = spread(embedding, person)
    for _ in range(40):
        optimizer.zero_grad()
        torch.autograd.backward(criterion(embedding, person))
        optimizer.step()
    assert spread(embedding, person) < 0.8 * before


def spread(embedding: torch.Tensor, person: torch.Tensor) -> float:
    """How far apart those of one person are, over how far apart those of two."""
    unit = F.normalize(embedding.detach())
    apart, same = 1 - unit @ unit.T, person[:, None] == person[None]
    return float(apart[same].mean() / apart[~same].mean())


@pytest.mark.parametrize("loss", ["arcface", "cosface", "adaface"])
def test_the_share_of_the_margin_makes_the_loss_harder(loss: str) -> None:
    generator = torch.Generator().manual_seed(1)
    criterion = Criterion(options(loss), 3, generator).eval()
    embedding = torch.randn((6, 4), generator=generator)
    person = torch.tensor([0, 1, 2, 0, 1, 2])
    told = [criterion(embedding, person, share).item() for share in (0.0, 0.5, 1.0)]
    assert told == sorted(told) and told[0] < told[2]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"loss": "arc"}, "loss: expected one of arcface"),
        ({"sampling": "all"}, "sampling: expected one of"),
        ({"loss": "cosface", "margin": 1.0}, "margin of cosface"),
        ({"loss": "triplet", "margin": 4.0}, "margin of triplet"),
        ({"loss": "softmax", "margin": 0.2}, "no margin"),
        ({"loss": "triplet", "views": 1}, "at least 2 views"),
        ({"loss": "triplet", "adversary": Adversary()}, "centres"),
        ({"augment": ("flop",)}, "no augmentation 'flop'"),
    ],
)
def test_what_cannot_be_meant_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        options(changes.pop("loss", "arcface"), **changes)


def test_every_loss_has_a_margin_of_its_own() -> None:
    assert set(MARGINS) == set(LOSSES)
    assert options("cosface").hardness == MARGINS["cosface"][0]
    assert options("cosface", margin=0.1).hardness == 0.1


def test_a_gpu_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(ConfigError, match="no CUDA device"):
        choose("cuda")
    place = choose("auto", "auto")
    assert (place.device.type, place.bf16, place.name) == ("cpu", False, "cpu")


def test_products_are_in_bf16_where_asked_for_and_parameters_stay() -> None:
    place = choose("cpu", "bf16")
    layer = torch.nn.Linear(4, 2)
    with place.autocast():
        assert layer(torch.ones(1, 4)).dtype == torch.bfloat16
    assert layer.weight.dtype == torch.float32
    with choose("cpu", "fp32").autocast():
        assert layer(torch.ones(1, 4)).dtype == torch.float32
