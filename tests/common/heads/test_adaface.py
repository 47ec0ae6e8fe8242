import math

import pytest
import torch
from torch import Tensor

from common.errors import ModelError
from common.heads.adaface import NormStatistics, adaptive_margin
from common.heads.margin import arc_margin, cos_margin, margin_loss
from common.models.fold import refuse_batch_dependence

PERSON = torch.tensor([1, 0])
COSINE = torch.tensor([[0.5, 0.2, -0.3], [0.7, -0.1, 0.4]])


def quality(value: float) -> Tensor:
    return torch.full((2,), value)


def test_the_worst_picture_is_asked_as_by_arcface_and_the_usual_one_as_by_cosface() -> None:
    worst = adaptive_margin(COSINE, PERSON, quality(-1.0), 0.3)
    assert torch.allclose(worst, arc_margin(COSINE, PERSON, 0.3), atol=1e-6)
    usual = adaptive_margin(COSINE, PERSON, quality(0.0), 0.3)
    assert torch.allclose(usual, cos_margin(COSINE, PERSON, 0.3), atol=1e-6)


def test_the_margin_is_the_formula_written_by_hand() -> None:
    q, m = 0.4, 0.3
    got = adaptive_margin(COSINE, PERSON, quality(q), m)
    for row, own in enumerate(PERSON.tolist()):
        angle = math.acos(float(COSINE[row, own]))
        assert float(got[row, own]) == pytest.approx(math.cos(angle - m * q) - (m * q + m), 1e-5)
        others = [c for c in range(3) if c != own]
        assert torch.equal(got[row, others], COSINE[row, others])


def test_quality_is_the_length_against_running_statistics() -> None:
    norms = NormStatistics(concentration=0.5, pace=0.9).train()
    embedding = torch.diag(torch.tensor([2.0, 4.0, 6.0]))
    found = norms(embedding)
    mean, deviation = 0.9 * 4 + 0.1 * 20, 0.9 * 2 + 0.1 * 100
    assert float(norms.mean) == pytest.approx(mean)
    assert float(norms.deviation) == pytest.approx(deviation)
    by_hand = [0.5 * (length - mean) / (deviation + 1e-3) for length in (2, 4, 6)]
    assert found.tolist() == pytest.approx(by_hand, rel=1e-5)
    assert norms.eval()(embedding[:1]).tolist() == pytest.approx(by_hand[:1], rel=1e-5)
    assert float(norms.mean) == pytest.approx(mean), "eval mode moves nothing"


def test_gradients_are_those_of_differences_and_finite_at_a_perfect_match() -> None:
    cosine = COSINE.double().requires_grad_()

    def loss(given: Tensor) -> Tensor:
        hardened = adaptive_margin(given, PERSON, quality(0.3).double(), 0.3)
        return margin_loss(hardened, PERSON, 4.0)

    assert torch.autograd.gradcheck(loss, (cosine,))
    perfect = torch.ones(1, 2, requires_grad=True)
    hardened = adaptive_margin(perfect, torch.tensor([0]), torch.zeros(1), 0.3)
    torch.autograd.backward(hardened.sum())
    assert perfect.grad is not None and perfect.grad.isfinite().all()


def test_quality_carries_no_gradient() -> None:
    embedding = torch.ones(2, 3, requires_grad=True)
    assert not NormStatistics()(embedding).requires_grad


def test_what_guards_every_private_step_refuses_the_statistics_of_others() -> None:
    with pytest.raises(ModelError, match="buffer"):
        refuse_batch_dependence(torch.nn.Sequential(torch.nn.Linear(2, 2), NormStatistics()))


def test_an_impossible_margin_is_refused() -> None:
    with pytest.raises(ValueError, match="margin"):
        adaptive_margin(COSINE, PERSON, quality(0.0), 1.0)
