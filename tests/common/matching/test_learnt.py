"""What weighs pictures at a door is what was learnt in torch, and the same in any company."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from common.errors import ModelError
from common.matching.learnt import KINDS, Kind, shapes
from common.matching.pooling import pooled_by
from common.matching.set_weights import make_weights
from tests.small_pooling import DIM, a_set, at_work, stirred

kinds = st.sampled_from(KINDS)
seeds = st.integers(0, 10**6)
sizes = st.lists(st.integers(1, 9), min_size=1, max_size=12)


def dealt(counts: list[int], seed: int) -> tuple[NDArray[np.float32], NDArray[np.float32], list]:  # type: ignore[type-arg]
    """Pictures of people who have ``counts`` of them, in no order, and whose is which."""
    features, quality = a_set(sum(counts), seed)
    order = np.random.default_rng(seed).permutation(sum(counts))
    return features, quality, np.split(order, np.cumsum(counts)[:-1])


@given(kinds, sizes, seeds)
def test_without_torch_the_weights_are_those_of_torch(
    kind: Kind, counts: list[int], seed: int
) -> None:
    model, (features, quality, groups) = stirred(kind, seed % 5), dealt(counts, seed)
    most = max(counts)
    at, there = np.zeros((len(groups), most), np.int64), np.zeros((len(groups), most), np.bool_)
    for row, group in enumerate(groups):
        at[row, : len(group)], there[row, : len(group)] = group, True
    with torch.no_grad():
        told = [torch.from_numpy(part) for part in (features[at], quality[at], there)]
        expected = model(*told).numpy()
    made = at_work(model).of_groups(features, quality, groups)
    for row, (group, weights) in enumerate(zip(groups, made, strict=True)):
        assert np.allclose(weights, expected[row, : len(group)], atol=2e-5)


@given(kinds, sizes, seeds)
def test_weights_sum_to_one_and_a_single_picture_has_all_of_it(
    kind: Kind, counts: list[int], seed: int
) -> None:
    features, quality, groups = dealt(counts, seed)
    for group, weights in zip(
        groups, at_work(stirred(kind, seed % 5)).of_groups(features, quality, groups), strict=True
    ):
        assert (weights >= 0).all() and abs(float(weights.sum()) - 1) < 1e-6
        if len(group) == 1:
            assert weights.tolist() == [1.0]
            alone = features[group] / np.linalg.norm(features[group])
            assert np.allclose(pooled_by(features[group], weights), alone, atol=1e-6)


@given(kinds, sizes, seeds)
def test_a_person_weighs_to_the_bit_alike_in_any_company(
    kind: Kind, counts: list[int], seed: int
) -> None:
    learnt, (features, quality, groups) = at_work(stirred(kind, seed % 5)), dealt(counts, seed)
    together = learnt.of_groups(features, quality, groups)
    for group, weights in zip(groups, together, strict=True):
        alone = learnt.shares(features[group], quality[group])
        assert alone.tobytes() == weights.tobytes()


@given(st.integers(1, 9), seeds)
def test_by_attention_who_comes_first_changes_nothing_but_the_order(
    pictures: int, seed: int
) -> None:
    features, quality = a_set(pictures, seed)
    learnt, order = at_work(stirred("attention", seed % 5)), np.random.default_rng(seed)
    shown = order.permutation(pictures)
    before, after = learnt.shares(features, quality), learnt.shares(features[shown], quality[shown])
    assert np.allclose(before[shown], after, atol=1e-6)


def test_how_long_a_feature_is_does_not_matter_and_half_precision_hardly() -> None:
    features, quality = a_set(5, 3)
    learnt = at_work(stirred("attention"))
    expected = learnt.shares(features, quality)
    assert np.allclose(learnt.shares(features * 50, quality), expected, atol=1e-5)
    assert np.allclose(learnt.shares(features.astype(np.float16), quality), expected, atol=1e-2)
    nothing = np.zeros((2, DIM), np.float32)
    assert np.allclose(learnt.shares(nothing, [0.5, 0.5]), 0.5)


@pytest.mark.parametrize("kind", KINDS)
def test_arrays_are_named_and_shaped_as_torch_does(kind: Kind) -> None:
    state = make_weights(kind, DIM, 5).state_dict()
    assert {name: tuple(array.shape) for name, array in state.items()} == shapes(kind, DIM, 5)


def test_weights_that_come_to_nothing_are_an_error_and_never_a_template() -> None:
    model = make_weights("attention", DIM, 4)
    with torch.no_grad():
        for name in ("seen.weight", "question"):
            model.get_parameter(name).fill_(3e38)
    features, quality = a_set(3, 1)
    with pytest.raises(ModelError, match="not finite"):
        at_work(model).shares(features * 100, quality)


@pytest.mark.parametrize("groups", [[[0, 1], []], [[]]])
def test_a_person_without_pictures_is_refused(groups: list[list[int]]) -> None:
    features, quality = a_set(2, 1)
    with pytest.raises(ModelError, match="without pictures"):
        at_work(stirred("attention")).of_groups(features, quality, groups)


def test_whose_weights_they_are_is_said_by_kind_and_hash_alone() -> None:
    learnt = at_work(stirred("recurrent"))
    assert repr(learnt) == f"Learnt(recurrent, {learnt.name[:12]})"
