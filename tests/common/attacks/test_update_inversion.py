"""What leaves without clip and noise gives people back; what leaves with them does not."""

import numpy as np
import pytest
import torch
from torch import Tensor

from common.attacks.update_inversion import (
    feature_of_gradient,
    mean_of_sum,
    out_of_frame,
)
from common.errors import ModelError

FEATURES, EMBEDDING = 20, 12


def gradient(bag: Tensor, public: Tensor) -> Tensor:
    """Flat, of some loss of a linear tail on own pictures and public ones."""
    torch.manual_seed(4)
    tail = torch.nn.Linear(FEATURES, EMBEDDING)
    made = tail(torch.cat([bag, public]))
    unit = torch.nn.functional.normalize(made)
    loss = (unit[: len(bag)] @ unit.T).square().mean() + unit[:, 0].mean()
    parts = torch.autograd.grad(loss, [tail.weight, tail.bias], create_graph=True)
    return torch.cat([part.flatten() for part in parts])


def split(flat: Tensor) -> tuple[np.ndarray, np.ndarray]:
    array = flat.detach().numpy().astype(np.float64)
    return array[:-EMBEDDING].reshape(EMBEDDING, FEATURES), array[-EMBEDDING:]


def cosine(one: np.ndarray, two: np.ndarray) -> float:
    return float(one @ two / np.linalg.norm(one) / np.linalg.norm(two))


@pytest.fixture
def picture() -> Tensor:
    return 1 + torch.randn(1, FEATURES, generator=torch.Generator().manual_seed(5))


def test_the_gradient_of_one_picture_is_the_picture(picture: Tensor) -> None:
    weight, bias = split(gradient(picture, torch.empty(0, FEATURES)))
    found = feature_of_gradient(weight, bias, np.empty((0, FEATURES)), 1)
    np.testing.assert_allclose(found, picture[0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("clip", [1.0, 1e-3])
def test_clipping_alone_protects_nothing(picture: Tensor, clip: float) -> None:
    flat = gradient(picture, torch.empty(0, FEATURES))
    weight, bias = split(flat * clip / flat.norm())
    found = feature_of_gradient(weight, bias, np.empty((0, FEATURES)), 1)
    assert cosine(found, picture[0].numpy()) > 0.999


def test_of_a_bag_the_point_nearest_to_zero_comes_back(picture: Tensor) -> None:
    bag = picture + 0.2 * torch.randn(3, FEATURES, generator=torch.Generator().manual_seed(6))
    found = feature_of_gradient(
        *split(gradient(bag, torch.empty(0, FEATURES))), np.empty((0, 1)), 3
    )
    assert cosine(found, bag.mean(0).numpy()) > 0.9
    np.testing.assert_allclose(bag.numpy() @ found, found @ found, rtol=1e-3)


def test_noise_as_long_as_the_gradient_hides_the_picture(picture: Tensor) -> None:
    weight, bias = split(gradient(picture, torch.empty(0, FEATURES)))
    size = float(np.sqrt((weight**2).sum() + (bias**2).sum()))
    likeness = []
    for seed in range(20):
        noise = np.random.default_rng(seed).standard_normal((EMBEDDING, FEATURES + 1)) * size
        seen = weight + noise[:, 1:], bias + noise[:, 0]
        likeness.append(
            cosine(feature_of_gradient(*seen, np.empty((0, FEATURES)), 1), picture[0].numpy())
        )
    assert abs(float(np.mean(likeness))) < 0.3


def test_a_gradient_of_nothing_gives_nothing() -> None:
    empty = np.zeros((EMBEDDING, FEATURES)), np.zeros(EMBEDDING)
    assert not feature_of_gradient(*empty, np.empty((0, FEATURES)), 4).any()


def test_a_sum_over_one_person_is_that_person_in_other_coordinates() -> None:
    rng = np.random.default_rng(9)
    weight, bias, feature = rng.standard_normal((30, 20)), rng.standard_normal(30), np.arange(20.0)
    point = mean_of_sum(weight @ feature + bias, 1)
    np.testing.assert_allclose(out_of_frame(point, weight, bias), feature, atol=1e-9)
    with pytest.raises(ModelError, match="one person or more"):
        mean_of_sum(point, 0)
