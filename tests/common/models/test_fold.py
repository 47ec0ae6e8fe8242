import pytest
import torch
from torch import Tensor, nn

from common.errors import ModelError
from common.models.affine import ChannelAffine
from common.models.fold import fold_batchnorm, refuse_batch_dependence
from common.models.registry import NAMES, build

Norm = nn.modules.batchnorm._BatchNorm


def pictures(number: int = 8) -> Tensor:
    """Noise of random colour and contrast, so that embeddings differ."""
    generator = torch.Generator().manual_seed(9)
    noise = torch.randn(number, 3, 112, 112, generator=generator)
    contrast = torch.rand(number, 1, 1, 1, generator=generator) * 2
    return noise * contrast + torch.randn(number, 3, 1, 1, generator=generator)


@torch.no_grad()
def randomise(model: nn.Module) -> nn.Module:
    """Random scales, shifts and statistics."""
    generator = torch.Generator().manual_seed(4)
    for norm in model.modules():
        if isinstance(norm, Norm) and norm.running_var is not None:
            norm.running_mean = torch.randn(norm.num_features, generator=generator) * 0.3
            norm.running_var = torch.rand(norm.num_features, generator=generator) + 0.5
            norm.weight.copy_(torch.rand(norm.num_features, generator=generator) + 0.5)
            norm.bias.copy_(torch.randn(norm.num_features, generator=generator) * 0.3)
    return model.eval()


@torch.no_grad()
def settle(model: nn.Module) -> nn.Module:
    """The statistics of the pictures themselves: what training leaves, and badly conditioned."""
    for norm in model.modules():
        if isinstance(norm, Norm):
            norm.momentum = 1.0
    model.train()(pictures())
    return model.eval()


@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_folding_changes_nothing(name: str) -> None:
    deep = name in ("iresnet100", "resnet101", "resnet152")
    model = randomise(build(name, width=0.05 if deep else 0.25))  # all at full width: slow tests
    folded = fold_batchnorm(model)
    refuse_batch_dependence(folded)
    before, after = model(pictures(3)), folded(pictures(3))
    scale = max(1.0, float(before.abs().max()))  # float32 rounds in proportion
    assert (before - after).abs().max() <= 5e-6 * scale
    cosine = torch.cosine_similarity(before.double(), after.double())
    assert (1 - cosine).max() <= 1e-10


@pytest.mark.parametrize("name", ["mobilefacenet", "iresnet18", "tiny"])
@torch.no_grad()
def test_folding_is_exact_but_for_rounding(name: str) -> None:
    model = settle(randomise(build(name, width=0.5))).double()
    before, after = model(pictures().double()), fold_batchnorm(model)(pictures().double())
    assert before.std(0).mean() > 0.1  # the embedding depends on the picture
    assert (before - after).abs().max() <= 1e-10


def test_only_the_norms_before_padding_stay_as_affines() -> None:
    affines = [m for m in fold_batchnorm(build("iresnet18")).modules() if type(m) is ChannelAffine]
    assert len(affines) == 9  # one a block, and the one after the last block
    assert not [m for m in fold_batchnorm(build("tiny")).modules() if type(m) is ChannelAffine]


class Twice(nn.Module):
    """One convolution used twice, and a norm whose input is also read elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)
        self.first, self.second = nn.BatchNorm2d(3), nn.BatchNorm2d(3)

    def forward(self, x: Tensor) -> Tensor:
        y = self.first(self.conv(x))
        z = self.conv(y)
        total: Tensor = z + self.second(z)
        return total


class Deciding(nn.Module):
    """Looks at its values, so that it cannot be traced."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 3, 3), nn.BatchNorm2d(3)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.norm(self.conv(x))
        return y if y.sum() > 0 else -y


@pytest.mark.parametrize("kind", [Twice, Deciding])
@torch.no_grad()
def test_a_norm_that_cannot_be_folded_into_one_layer_stays_exact(kind: type[nn.Module]) -> None:
    torch.manual_seed(0)
    model = randomise(kind())
    assert (model(pictures()) - fold_batchnorm(model)(pictures())).abs().max() <= 5e-6


def test_a_norm_without_statistics_cannot_be_folded() -> None:
    model = nn.Sequential(nn.BatchNorm2d(3, track_running_stats=False))
    with pytest.raises(ModelError, match="without running statistics"):
        fold_batchnorm(model)


def test_a_frozen_batchnorm_is_refused_all_the_same() -> None:
    model = build("tiny").requires_grad_(False).eval()
    with pytest.raises(ModelError, match=r"body\.1 is a BatchNorm2d"):
        refuse_batch_dependence(model)


def test_an_unexpected_buffer_is_refused_by_name() -> None:
    model = nn.Sequential(nn.Linear(2, 2))
    model[0].register_buffer("seen", torch.zeros(1))
    with pytest.raises(ModelError, match=r"buffer '0\.seen'"):
        refuse_batch_dependence(model)
    refuse_batch_dependence(model, frozenset({"0.seen"}))
    with pytest.raises(ModelError, match="buffer"):
        refuse_batch_dependence(nn.InstanceNorm2d(3, track_running_stats=True))
