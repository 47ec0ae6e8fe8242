"""What holds for every network that can be built by name, at a width that is quick to run."""

import copy
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from common.errors import ModelError
from common.models.attention import ChannelAttention
from common.models.embedder import Embedder
from common.models.fold import fold_batchnorm
from common.models.onnx_export import export_graph
from common.models.onnx_graph import parse_graph
from common.models.onnx_import import GraphModule
from common.models.quantise import QuantiseOptions, quantised
from common.models.registry import NAMES, build
from common.models.runtime import Runtime
from common.models.safetensors_import import save_trunk
from common.models.trunk import Trunk, load_trunk
from common.models.whole import export_whole

FAMILIES = [  # one of each kind of block
    "resnet18",
    "resnet50",
    "vgg16",
    "inception_resnet_v1",
    "densenet121",
    "edge_attention",
]
NARROW = 0.125  # torch 2.13 dies behind strided 1x1 convolutions of so few channels, set last

# Parameters of the whole network with its 1000 classes as torchvision's models count them, without
# those of the classes; the feature; and the 10^9 products of one 224x224 picture (DenseNet: its
# paper's implementation). Bottlenecks stride in their first convolution, as in He et al. 2015,
# table 1: 3.8, 7.6 and 11.3.
PUBLISHED = {
    "resnet18": (11_689_512 - 513_000, 512, 1.82),
    "resnet34": (21_797_672 - 513_000, 512, 3.67),
    "resnet50": (25_557_032 - 2_049_000, 2048, 3.86),
    "resnet101": (44_549_160 - 2_049_000, 2048, 7.58),
    "resnet152": (60_192_808 - 2_049_000, 2048, 11.3),
    "densenet121": (7_978_856 - 1_025_000, 1024, 2.85),
}


def on_paper(name: str) -> tuple[Embedder, float]:
    """The network without any memory for its weights, and the products of one crop in 10^9."""
    products = [0]

    def count(layer: nn.Module, given: object, made: Tensor) -> None:
        weight = layer.weight
        assert isinstance(weight, Tensor)
        products[0] += made[0].numel() * weight[0].numel()

    with torch.device("meta"):
        model = build(name).eval()
        for layer in model.body.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                layer.register_forward_hook(count)
        assert model(torch.zeros(1, 3, 112, 112)).shape == (1, 128)
    return model, products[0] / 1e9


def parameters(module: nn.Module) -> int:
    return sum(weight.numel() for weight in module.parameters())


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_body_is_as_large_and_costs_as_much_as_its_authors_say(name: str) -> None:
    model, products = on_paper(name)
    size, feature, cost = PUBLISHED[name]
    assert parameters(model.body) == size
    assert model.feature_dim == feature
    assert products == pytest.approx(cost, rel=0.01)


def test_vgg16_has_the_convolutions_of_its_paper() -> None:
    model, _ = on_paper("vgg16")
    convolutions = [m.weight.numel() for m in model.modules() if isinstance(m, nn.Conv2d)]
    assert len(convolutions) == 13
    dense = 25_088 * 4096 + 4096 * 4096 + 4096 * 1000 + 4096 + 4096 + 1000
    biases = 4224  # BatchNorm has them here
    assert sum(convolutions) + biases + dense == 138_357_544  # table 2 there: 138 million


def test_inception_resnet_v1_is_the_one_used_for_faces() -> None:
    """23.47 million with 512 outputs, folded: Open Model Zoo, facenet-20180408-102900."""
    with torch.device("meta"):
        model = build("inception_resnet_v1", embedding=512)
        assert model.feature_dim == 1792
        assert parameters(model) == 23_482_624
        assert parameters(fold_batchnorm(model)) == pytest.approx(23.469e6, rel=1e-4)


def test_the_network_that_attends_is_small() -> None:
    model, products = on_paper("edge_attention")
    assert parameters(model.body) < 1.4e6
    assert products < 0.25


@pytest.mark.parametrize("name", NAMES)
def test_a_feature_fits_a_template(name: str) -> None:
    with torch.device("meta"):
        assert build(name).feature_dim <= 2048


def patterns(number: int) -> NDArray[np.uint8]:
    """Crops of coloured squares: nobody's face."""
    small = np.random.default_rng(0).integers(0, 256, (number, 14, 14, 3), dtype=np.uint8)
    return small.repeat(8, axis=1).repeat(8, axis=2)


def pixels(crops: NDArray[np.uint8]) -> Tensor:
    planes = torch.from_numpy(crops).permute(0, 3, 1, 2)
    return planes.contiguous().float() / 127.5 - 1  # not channels last: see NARROW


def settled(name: str, width: float) -> Embedder:
    """The network with the statistics of some patterns, as training would leave it."""
    model = build(name, width=width, seed=5)
    for layer in model.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            layer.momentum = 1.0
    with torch.no_grad():
        model.train()(pixels(patterns(6)))
    return model.eval()


@pytest.fixture(scope="module", params=FAMILIES)
def narrow(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Embedder, Path]:
    """A narrow network of each family, and where it was saved."""
    model = settled(request.param, NARROW)
    folder = tmp_path_factory.mktemp("narrow")
    save_trunk(folder, model, "nobody's face")
    return model, folder


def relative(made: NDArray[np.float32] | Tensor, expected: Tensor) -> float:
    wanted = expected.detach().numpy()
    return float(np.abs(np.asarray(made) - wanted).max() / np.abs(wanted).max())


def test_onnxruntime_and_torch_and_the_exported_file_agree(narrow: tuple[Embedder, Path]) -> None:
    model, folder = narrow
    trunk, tail = load_trunk(folder)
    crops = patterns(3)
    with torch.no_grad():
        feature, embedding = model.body(pixels(crops)), model(pixels(crops))
    features = trunk.features(crops)
    assert not trunk.module.front.single  # any number of pictures at a time
    assert relative(features, feature) < 1e-3  # depth adds up roundings
    assert relative(tail.embed(features), embedding) < 1e-3
    assert relative(features, trunk.module(pixels(crops) / 2 + 0.5)) < 1e-3
    onnx.checker.check_model(onnx.load_model_from_string(export_whole(trunk, tail)))


def test_a_picture_gives_the_same_alone_and_beside_others(narrow: tuple[Embedder, Path]) -> None:
    model, _ = narrow
    together = pixels(patterns(3))
    with torch.no_grad():
        made = model(together)
        alone = torch.cat([model(row[None]) for row in together])
    assert relative(made.numpy(), alone) < 1e-3


def test_a_gradient_reaches_every_weight(narrow: tuple[Embedder, Path]) -> None:
    model, _ = narrow
    made = model.train()(pixels(patterns(4)))
    torch.autograd.backward(made.square().mul(torch.arange(1.0, 5)[:, None]).sum())
    model.eval()
    silent = [
        name
        for name, weight in model.named_parameters()
        if weight.grad is None or not bool(weight.grad.isfinite().all()) or not weight.grad.any()
    ]
    assert not silent


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name == "edge_attention" else pytest.mark.slow)
        for name in FAMILIES
    ],
)
def test_a_network_of_every_family_can_be_made_int8(name: str, tmp_path: Path) -> None:
    save_trunk(tmp_path, settled(name, NARROW), "nobody's face")
    trunk, tail = load_trunk(tmp_path)
    content, manifest, _ = quantised(trunk, tail, patterns(4), QuantiseOptions(likeness=0))
    (tmp_path / manifest.file).write_bytes(content)
    small, _ = load_trunk(tmp_path / manifest.file, manifest)
    graph = parse_graph(content, "int8")
    assert [t.dtype.name for t in graph.tensors.values()].count("int8") > 20
    read = {node.outputs[0]: node.op for node in graph.nodes}
    mixing = [node for node in graph.nodes if node.op == "MatMul"]
    assert len(mixing) == (6 if name == "edge_attention" else 0)
    assert all(read[source] != "DequantizeLinear" for node in mixing[::2] for source in node.inputs)
    assert alike(trunk, small) > 0.3  # random weights, few crops: it is a network, no more


def alike(trunk: Trunk, small: Trunk) -> float:
    before, after = (torch.from_numpy(one.features(patterns(4))) for one in (trunk, small))
    return float(torch.cosine_similarity(before, after).min())


@torch.no_grad()
def test_attention_between_channels_is_written_as_operators_that_mean_the_same() -> None:
    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.query, self.key = nn.Conv2d(3, 8, 1), nn.Conv2d(3, 8, 1)
            self.value, self.attention = nn.Conv2d(3, 8, 1), ChannelAttention(8, 2)

        def forward(self, x: Tensor) -> Tensor:
            made: Tensor = self.attention(self.query(x), self.key(x), self.value(x))
            return made

    torch.manual_seed(1)
    model = Attention()
    model.attention.temperature.copy_(torch.tensor([3.0, 7.0]).reshape(2, 1, 1))
    planes = torch.randn(2, 3, 5, 7)
    graph = export_graph(model, 112)
    expected = model(planes)
    own = model.value(planes[:1]).reshape(2, 4, 35)
    assert expected[0, :4].amax() <= own[0].amax()  # a mix of the channels of its group
    runtime = Runtime(graph, single=False, threads=1)
    square = torch.randn(2, 3, 112, 112)
    assert np.allclose(runtime.run(square.numpy()), model(square), atol=1e-5)
    assert torch.allclose(GraphModule(graph)(planes), expected, atol=1e-5)


class Odd(nn.Module):
    """Something the exporter does not know."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.layer(x) * x
        return made


@pytest.mark.parametrize(
    "model",
    [
        Odd(nn.Identity()),
        nn.Sequential(nn.MaxPool2d(3, ceil_mode=True)),
        nn.Sequential(nn.MaxPool2d(3, dilation=2)),
        nn.Sequential(nn.Sigmoid()),
        nn.Sequential(nn.AdaptiveAvgPool2d(2)),
    ],
)
def test_what_cannot_be_exported_exactly_is_refused(model: nn.Module) -> None:
    with pytest.raises(ModelError, match=r"can(not)? be exported"):
        export_graph(model)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_at_full_width_folding_and_export_change_nothing(name: str, tmp_path: Path) -> None:
    model = settled(name, 1.0)
    save_trunk(tmp_path, model, "nobody's face")
    trunk, tail = load_trunk(tmp_path)
    wide, planes = copy.deepcopy(model).double(), pixels(patterns(2)).double()
    with torch.no_grad():
        exact = wide(planes)
        folded, rounded = fold_batchnorm(wide)(planes), model(planes.float())
    assert relative(folded, exact) < 1e-9
    # Fifty layers without training round away more than that, on some processors than on others.
    most = max(1e-4, 4 * relative(rounded, exact))
    assert relative(tail.embed(trunk.features(patterns(2))), exact) < most < 1e-2
    made = model.train()(pixels(patterns(2)))
    torch.autograd.backward(made.square().mul(torch.tensor([[1.0], [2.0]])).sum())
    assert all(w.grad is not None and bool(w.grad.isfinite().all()) for w in model.parameters())
