"""The public tail is tuned for as long as it helps public people held out for it."""

import numpy as np
import pytest

from common.heads.tuning import TuningOptions
from common.models.tail import Tail
from server import tuning
from server.tuning import tune_public

OPTIONS = TuningOptions(steps=60, people=40, learning_rate=5e-3)


def people(count: int, sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N, 1, 16) features of people told apart by the first 6 axes, 4 pictures each."""
    rng = np.random.default_rng(1)
    person = np.repeat(np.arange(count), 4)
    centre = np.zeros((count, 16))
    centre[:, :6] = 2 * rng.standard_normal((count, 6))
    noise = sizes * rng.standard_normal((len(person), 16))
    return (centre[person] + noise)[:, None].astype(np.float32), person


def tail() -> Tail:
    return Tail(np.eye(8, 16, dtype=np.float32), np.zeros(8, np.float32))


def tuned(count: int, sizes: np.ndarray) -> Tail:
    views, person = people(count, sizes)
    return tune_public(tail(), views, person, OPTIONS, np.random.default_rng(0))


def test_what_helps_people_held_out_is_kept() -> None:
    sizes = np.r_[np.full(6, 1.0), np.full(10, 3.0)]
    assert tuned(100, sizes).hash != tail().hash


def test_what_helps_nobody_held_out_is_not_done(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = iter([0.9] + [0.1] * 100)  # never again as good as before the first step
    monkeypatch.setattr(tuning, "_tar", lambda *_: next(scores))
    assert tuned(20, np.ones(16)).hash == tail().hash


def test_too_few_people_to_hold_any_out_are_all_tuned_on() -> None:
    assert tuned(2 * tuning.HELD_OUT - 1, np.ones(16)).hash != tail().hash
