import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from common.errors import ModelError
from common.models.tail import Tail


def draw(seed: int, outputs: int = 4, inputs: int = 6) -> Tail:
    rng = np.random.default_rng(seed)
    weight = rng.normal(size=(outputs, inputs)).astype(np.float32)
    return Tail(weight, rng.normal(size=outputs).astype(np.float32))


@given(st.integers(0, 1000))
def test_an_affine_map_after_a_tail_is_a_tail(seed: int) -> None:
    rng = np.random.default_rng(seed)
    tail, features = draw(seed), rng.normal(size=(5, 6)).astype(np.float32)
    matrix, offset = rng.normal(size=(3, 4)), rng.normal(size=3)
    expected = tail.embed(features) @ matrix.T + offset
    assert np.allclose(tail.then(matrix, offset).embed(features), expected, atol=1e-5)


def test_a_tail_survives_its_arrays_and_its_module() -> None:
    tail = draw(1)
    assert Tail.of(tail.arrays()).hash == tail.hash
    features = np.ones((2, 6), np.float32)
    made = tail.module()(torch.tensor(features)).detach().numpy()
    assert np.allclose(made, tail.embed(features), atol=1e-6)


def test_the_hash_depends_on_every_value() -> None:
    tail = draw(1)
    bias = tail.bias.copy()
    bias[0] = np.nextafter(bias[0], np.float32(9))
    assert Tail(tail.weight, bias).hash != tail.hash
    assert draw(2).hash != tail.hash


def test_a_tail_cannot_be_changed_in_place() -> None:
    weight = np.ones((2, 3), np.float32)
    tail = Tail(weight, np.zeros(2, np.float32))
    weight[:] = 7
    assert tail.weight.max() == 1
    with pytest.raises(ValueError, match="read-only"):
        tail.weight[0, 0] = 5


def test_wrong_arrays_are_refused() -> None:
    tail = draw(1)
    with pytest.raises(ModelError, match=r"tail\.extra"):
        Tail.of({**tail.arrays(), "tail.extra": tail.bias})
    with pytest.raises(ModelError, match="finite"):
        Tail(tail.weight * np.float32(np.nan), tail.bias)
    with pytest.raises(ModelError, match="a tail is"):
        Tail(tail.weight, tail.bias[:2])
    with pytest.raises(ModelError, match="matrix must be"):
        tail.then(np.ones((2, 9)), np.zeros(2))
