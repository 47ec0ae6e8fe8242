"""Tuning a tail: better on people it never saw, repeatable, and refused without any."""

import numpy as np
import pytest

from common.errors import DataSetError
from common.heads.tuning import TuningOptions, tune_tail
from common.metrics.verification import tar_at_far
from common.models.tail import Tail

OPTIONS = TuningOptions(steps=80, people=40, learning_rate=5e-3)
SIZES = np.r_[np.full(6, 1.0), np.full(10, 3.0)]  # of what varies within a person: 10 axes mislead


def clusters(people: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(N, 2, 16) features of ``people`` with 4 pictures each, told apart by 6 axes of 16."""
    rng = np.random.default_rng(seed)
    person = np.repeat(np.arange(people), 4)
    centre = np.zeros((people, 16))
    centre[:, :6] = 2 * rng.standard_normal((people, 6))
    noise = rng.standard_normal((len(person), 2, 16)) * SIZES
    return (centre[person][:, None] + noise).astype(np.float32), person


def plain() -> Tail:
    return Tail(np.eye(8, 16, dtype=np.float32), np.zeros(8, np.float32))


def test_tuning_helps_on_people_it_never_saw() -> None:
    views, person = clusters(80, 1)
    other, labels = clusters(80, 2)
    tuned = tune_tail(plain(), views, person, OPTIONS, np.random.default_rng(0))
    before, after = (
        tar_at_far(tail.embed(other[:, 0]), labels, (0.1,))[0.1] for tail in (plain(), tuned)
    )
    assert before is not None
    assert after is not None
    assert after > before + 0.05


def test_the_seed_decides_the_tail_bit_for_bit() -> None:
    views, person = clusters(20, 1)
    few = TuningOptions(steps=10)
    one, again, other = (
        tune_tail(plain(), views, person, few, np.random.default_rng(seed)) for seed in (3, 3, 4)
    )
    assert one.hash == again.hash != other.hash


def test_no_steps_change_nothing() -> None:
    views, person = clusters(5, 1)
    tail = plain()
    rng = np.random.default_rng(0)
    assert tune_tail(tail, views, person, TuningOptions(steps=0), rng).hash == tail.hash


def test_fewer_than_two_people_are_refused() -> None:
    views, _ = clusters(2, 1)
    for person in (np.zeros(8, np.int64), np.empty(0, np.int64)):
        with pytest.raises(DataSetError, match="at least two"):
            tune_tail(plain(), views[: len(person)], person, OPTIONS, np.random.default_rng(0))


def test_people_with_one_picture_do_not_stop_it() -> None:
    views, _ = clusters(5, 1)
    few = TuningOptions(steps=3)
    tune_tail(plain(), views, np.arange(20), few, np.random.default_rng(0))
