import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from common.errors import ConfigError, DataSetError, ModelError
from common.matching.learnt import KINDS, Kind
from common.matching.pooling import pooled, pooled_by
from common.matching.set_export import export_weights
from common.matching.set_learning import Frames, LearningOptions, learn_weights
from common.matching.set_weights import SetWeights, make_weights
from common.models.tail import Tail
from tests.small_pooling import DIM, a_set, stirred, weights_of

TAIL = Tail(np.eye(DIM, dtype=np.float32), np.zeros(DIM, np.float32))


@given(st.integers(1, 9), st.integers(0, 10**6))
def test_by_attention_the_order_of_pictures_does_not_matter(pictures: int, seed: int) -> None:
    features, quality = a_set(pictures, seed)
    order = np.random.default_rng(seed + 1).permutation(pictures)
    model = stirred("attention", seed % 7)
    before = weights_of(model, features, quality)
    after = weights_of(model, features[order], quality[order])
    assert np.allclose(before[order], after, atol=1e-5)
    whole = pooled_by(features, before)
    assert np.allclose(whole, pooled_by(features[order], after), atol=1e-5)


def test_the_recurrent_kind_does_look_at_the_order() -> None:
    features, quality = a_set(5, 1)
    model = stirred("recurrent")
    turned = weights_of(model, features[::-1].copy(), quality[::-1].copy())[::-1]
    assert np.abs(weights_of(model, features, quality) - turned).max() > 1e-2


@pytest.mark.parametrize("kind", KINDS)
def test_untrained_weights_are_those_of_quality(kind: Kind) -> None:
    features, quality = a_set(6, 2)
    made = weights_of(make_weights(kind, DIM), features, quality)
    assert made.sum() == pytest.approx(1)
    assert np.allclose(pooled_by(features, made), pooled(features, quality), atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_places_without_a_picture_weigh_nothing_and_change_nothing(kind: Kind) -> None:
    model = stirred(kind)
    features, quality = a_set(7, 3)
    there = torch.arange(7)[None] < 4
    made = model(torch.from_numpy(features)[None], torch.from_numpy(quality)[None], there)[0]
    assert not made[4:].any()
    assert np.allclose(made[:4], weights_of(model, features[:4], quality[:4]), atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_the_exported_file_gives_the_same_weights_for_any_number_of_pictures(kind: Kind) -> None:
    model = stirred(kind)
    content = export_weights(model)
    onnx.checker.check_model(onnx.load_model_from_string(content))
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    for pictures in (1, 2, 6):
        features, quality = a_set(pictures, pictures)
        made = session.run(None, {"feature": features, "quality": quality})[0]
        assert np.allclose(made, weights_of(model, features, quality), atol=1e-5)


class Fair(SetWeights):
    """A kind of somebody else: all pictures alike."""

    def score(self, rows: torch.Tensor, worth: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
        return -self.power * worth


def test_a_kind_nobody_knows_is_refused() -> None:
    with pytest.raises(ModelError, match="no weights of kind"):
        make_weights("mean", DIM)  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="cannot be exported"):
        export_weights(Fair(DIM, 4))
    with pytest.raises(TypeError, match="abstract"):
        SetWeights(DIM, 4)  # type: ignore[abstract]


@pytest.mark.parametrize(
    ("features", "quality"),
    [
        (np.zeros((0, DIM)), []),
        (np.zeros((2, DIM + 1)), [1, 1]),
        (np.zeros((2, DIM)), [1]),
        (np.zeros((2, DIM)), [1, 1.5]),
        (np.full((2, DIM), np.nan), [1, 1]),
    ],
)
def test_what_cannot_be_weighed_is_refused(features: object, quality: object) -> None:
    with pytest.raises(ModelError):
        weights_of(make_weights("attention", DIM), features, quality)  # type: ignore[arg-type]


@pytest.mark.parametrize("weights", [[1.0], [0.0, 0.0], [-1.0, 2.0], [float("nan"), 1.0]])
def test_weights_that_cannot_be_are_refused(weights: list[float]) -> None:
    with pytest.raises(ModelError):
        pooled_by(np.eye(2), weights)


def spoilt(people: int, pictures: int = 6) -> Frames:
    """Every other picture shows nobody: its feature says so, its quality does not."""
    rng = np.random.default_rng(4)
    who = rng.standard_normal((people, 1, DIM - 1)).repeat(pictures, axis=1)
    bad = np.arange(pictures) % 2 == 1
    shown = np.where(bad[None, :, None], 0, who) + rng.standard_normal(who.shape) * 0.7
    mark = np.broadcast_to(np.where(bad, 2.0, -2.0)[None, :, None], (people, pictures, 1))
    features = np.concatenate([shown, mark * 0.5], axis=2).astype(np.float32)
    return Frames(
        features=features.reshape(-1, 1, DIM),
        quality=np.full((people * pictures, 1), 0.5, np.float32),
        person=np.repeat(np.arange(people), pictures),
    )


@pytest.mark.parametrize("kind", KINDS)
def test_pictures_that_show_nobody_are_learnt_to_weigh_little(kind: Kind) -> None:
    options = LearningOptions(steps=80, people=16, learning_rate=0.02)
    frames = spoilt(20)
    made = [
        learn_weights(
            make_weights(kind, DIM, 4),
            frames,
            TAIL,
            options,
            np.random.default_rng(0),
        )
        for _ in range(2)
    ]
    mine = frames.features[:6, 0]
    first, again = (weights_of(model, mine, np.full(6, 0.5)) for model in made)
    assert np.array_equal(first, again)
    assert first[1::2].sum() < 0.25
    assert first[::2].sum() == pytest.approx(1 - first[1::2].sum(), abs=1e-5)


def test_learning_needs_two_people_who_were_seen_twice() -> None:
    with pytest.raises(DataSetError, match="two people"):
        learn_weights(
            make_weights("attention", DIM),
            spoilt(1),
            TAIL,
            LearningOptions(),
            np.random.default_rng(0),
        )
    with pytest.raises(ConfigError):
        LearningOptions(steps=0)
