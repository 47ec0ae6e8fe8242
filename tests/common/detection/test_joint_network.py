import pytest
import torch

from common.detection.cells import ANSWERS, cells
from common.detection.joint import EMBEDDING, TASKS, JointNetwork, build_joint
from common.heads.age import AgeHead
from common.heads.attributes import AttributesHead
from common.heads.head import PictureLabels, joint_loss
from common.models.fold import fold_batchnorm, refuse_batch_dependence

HEADS = (AttributesHead(names=("glasses", "hat"), shown=(5, 9), absent=(9, 5)), AgeHead())


@pytest.fixture(scope="module")
def network() -> JointNetwork:
    return build_joint(TASKS, HEADS, 0, 0.25).eval()


def test_one_body_serves_every_task(network: JointNetwork) -> None:
    assert network.detect(torch.zeros(1, 3, 64, 96)).shape == (1, ANSWERS, len(cells(64, 96)[1]))
    feature = network.feature(torch.zeros(2, 3, 112, 112))
    assert network.embed(feature).shape == (2, EMBEDDING)
    assert HEADS[0].logits(network.arrays, feature).shape == (2, 2)
    assert network(torch.zeros(2, 3, 112, 112)).shape == (2, EMBEDDING)


def test_every_task_teaches_the_body(network: JointNetwork) -> None:
    first = network.body.fine[0].weight
    feature = network.feature(torch.ones(2, 3, 112, 112))
    said = PictureLabels(attributes=torch.tensor([[1, 0], [0, -1]], dtype=torch.int8))
    arrays = {name: torch.randn_like(array) for name, array in network.arrays.items()}
    for loss in (
        network.detect(torch.ones(1, 3, 64, 64))[:, 0].sum(),
        network.embed(feature).square().sum(),
        joint_loss(HEADS, {"attributes": 1.0, "age": 1.0}, arrays, feature, said),
    ):
        (gradient,) = torch.autograd.grad(loss, [first], retain_graph=True)
        assert float(gradient.abs().sum()) > 0


def test_arrays_of_heads_bear_their_names_and_are_trained(network: JointNetwork) -> None:
    wanted = {name for head in HEADS for name in head.shapes(48)}
    assert set(network.arrays) == wanted
    trained = {id(p) for p in network.parameters()}
    assert all(id(array) in trained for array in network.arrays.values())


@pytest.mark.parametrize("task", TASKS)
def test_a_network_of_one_task_has_no_more_than_it_needs(task: str) -> None:
    alone = build_joint((task,), HEADS, 0, 0.25)  # type: ignore[arg-type]
    whole = build_joint(TASKS, HEADS, 0, 0.25)
    named = dict(whole.named_parameters())
    assert set(dict(alone.named_parameters())) < set(named)
    assert ("faces.fine.answer.weight" in dict(alone.named_parameters())) == (task == "detection")
    assert bool(alone.arrays) == (task == "labels")
    side = 64 if task == "detection" else 112
    assert torch.isfinite(alone.eval()(torch.zeros(1, 3, side, side))).all()


def test_folded_it_has_no_batch_left(network: JointNetwork) -> None:
    whole = build_joint(("identity",), (), 0, 0.25)
    folded = fold_batchnorm(whole)
    refuse_batch_dependence(folded)
    x = torch.randn(3, 3, 112, 112)
    assert torch.allclose(folded(x)[1:2], folded(x[1:2]), atol=1e-4)


def test_tasks_that_are_none_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="tasks"):
        build_joint(())
    with pytest.raises(ValueError, match="tasks"):
        build_joint(("matching",))  # type: ignore[arg-type]
