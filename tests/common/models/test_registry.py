import pytest
import torch

from common.errors import ModelError
from common.models.registry import build

SIZES = {  # parameters in millions
    "mobilefacenet": (0.9, 1.1),
    "iresnet18": (23.9, 24.2),
    "iresnet34": (34.0, 34.4),
    "iresnet50": (43.4, 43.8),
    "iresnet100": (65.0, 65.4),
    "tiny": (0.1, 0.4),
}  # of the others exactly: test_backbones


@pytest.mark.parametrize("name", SIZES)
def test_every_network_has_the_size_of_its_paper(name: str) -> None:
    with torch.device("meta"):
        model = build(name)
        made = model.eval()(torch.zeros(2, 3, 112, 112))
    low, high = SIZES[name]
    assert low < sum(p.numel() for p in model.parameters()) / 1e6 < high
    assert made.shape == (2, 128)


def test_the_same_seed_builds_the_same_network_and_leaves_the_global_one_alone() -> None:
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    first, second, third = build("tiny", seed=1), build("tiny", seed=1), build("tiny", seed=2)
    assert torch.equal(torch.rand(1), expected)
    name = "projection.0.weight"
    weights = [model.state_dict()[name] for model in (first, second, third)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_half_width_means_half_the_channels() -> None:
    with torch.device("meta"):
        model = build("iresnet18", embedding=256, width=0.5)
    assert model.feature_dim == 256
    assert 5.9 < sum(p.numel() for p in model.body.parameters()) / 1e6 < 6.1


def test_unknown_names_and_sizes_are_refused() -> None:
    with pytest.raises(ModelError, match="did you mean 'iresnet50'"):
        build("iresnet5O")
    with pytest.raises(ModelError, match="out of range"):
        build("tiny", embedding=0)
