"""A tail is tuned on attacked public crops for as long as it helps public people held out."""

from typing import Any

import numpy as np
import pytest
import torch

from common.errors import ConfigError
from common.models.tail import Tail
from server import robust_tuning
from server.robust_tuning import (
    PublicCrops,
    RobustOptions,
    attacked_features,
    own_templates,
    tune_robust,
)
from tests.small_robust import PatternTrunk, pattern_people, pattern_tail

QUICK = RobustOptions(stages=2, steps=10, attack=2, eps=8 / 255, learning_rate=3e-3)


@pytest.fixture(scope="module")
def public() -> PublicCrops:
    trunk: Any = PatternTrunk()
    faces = pattern_people(15, 3, 2)
    return PublicCrops(faces=faces, features=trunk.features(faces.crops(range(30))), trunk=trunk)


def test_attacked_features_are_those_of_somebody_who_looks_less_like_themselves(
    public: PublicCrops,
) -> None:
    tail, person = pattern_tail(), public.faces.person
    moved = attacked_features(tail, public, QUICK, torch.Generator().manual_seed(0))
    template = own_templates(tail.embed(public.features), person)

    def cosine(features: np.ndarray) -> np.ndarray:
        embedded = tail.embed(features)
        return np.asarray((embedded * template).sum(1) / np.linalg.norm(embedded, axis=1))

    assert (cosine(moved) < cosine(public.features)).all()
    still = attacked_features(
        tail, public, RobustOptions(attack=1, eps=0.0), torch.Generator().manual_seed(0)
    )
    np.testing.assert_allclose(still, public.features, atol=1e-5)


def test_a_template_is_made_of_the_same_persons_other_pictures() -> None:
    told = own_templates(np.eye(4, dtype=np.float32)[:3] * 2, np.array([0, 0, 1]))
    np.testing.assert_allclose(told, np.eye(4)[[1, 0, 2]])


def test_what_helps_people_held_out_is_kept_and_what_does_not_is_not_done(
    public: PublicCrops, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tuned(*scores: float) -> Tail:
        left = iter(scores)
        monkeypatch.setattr(robust_tuning, "_score", lambda *_: next(left))
        return tune_robust(pattern_tail(), public, QUICK, np.random.default_rng(0))

    nothing, first, both = tuned(0.5, 0.4, 0.5), tuned(0.5, 0.6, 0.6), tuned(0.5, 0.6, 0.7)
    assert nothing.hash == pattern_tail().hash
    assert len({nothing.hash, first.hash, both.hash}) == 3


def test_people_held_out_train_nothing(
    public: PublicCrops, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: set[int] = set()

    def watched(tail: Tail, views: Any, person: np.ndarray, *_: Any) -> Tail:
        seen.update(person.tolist())
        return tail

    monkeypatch.setattr(robust_tuning, "tune_tail", watched)
    tune_robust(pattern_tail(), public, QUICK, np.random.default_rng(0))
    assert len(seen) == 12


def test_the_same_seed_tunes_the_same_tail(public: PublicCrops) -> None:
    once, again = (
        tune_robust(pattern_tail(), public, QUICK, np.random.default_rng(4)) for _ in range(2)
    )
    assert once.hash == again.hash


@pytest.mark.parametrize("wrong", [{"stages": 0}, {"steps": 0}, {"attack": 0}, {"eps": -0.1}])
def test_impossible_options_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        RobustOptions(**wrong)
