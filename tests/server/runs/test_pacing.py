"""A head without a learning rate gets the longest that the noise of its plan allows."""

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.heads.sentences import bank_digest
from common.privacy.heads import HeadTerms
from common.privacy.plan import GradientMechanism, MomentMechanism, PrivacyPlan
from server.runs.pacing import FASTEST, GAIN, LEVEL, paced

AGE = HeadTerms(kind="age", weight=1.0)
FOUR = HeadTerms(
    kind="attributes", weight=1.0, names=("beard", "hat", "glasses", "young"),
    shown=(1,) * 4, absent=(1,) * 4,
)  # fmt: skip
WORDS = HeadTerms(kind="words", weight=1.0, encoder="e" * 64, bank=bank_digest(), size=16)


def plan(heads: tuple[HeadTerms, ...], *, steps: Any = None, **terms: Any) -> PrivacyPlan:
    told = {"sigma": 20.0, "clip": 0.5, "rate": 1.0, "rounds": 9, "heads": heads, **(steps or {})}
    step = GradientMechanism(**told)
    mean = MomentMechanism(kind="mean", sigma=step.sigma, clip=1.0, name="mean")
    given_ = {"people": 10, "delta": 1e-4, "cohort": 25, **terms}
    return PrivacyPlan(mechanisms=(mean, step), **given_)


def rates(told: PrivacyPlan) -> list[float]:
    return [head.learning_rate for head in paced(told).heads]


def test_noise_shakes_a_logit_by_so_much_and_no_more() -> None:
    """Simulated: the end of a run of noise alone, read off a feature of the usual length."""
    shared = plan((AGE,), noise="distributed", honest_sites=25)
    [rate] = rates(shared)
    assert rate < FASTEST / 0.5
    rng, feature = np.random.default_rng(3), np.full(64, GAIN / 8)
    deviation = 20.0 * 0.5 / (10 * 25)  # of the average over all people, in each number
    walks = rate * deviation * rng.standard_normal((2000, 9, 64)).sum(axis=1)
    assert np.std(walks @ feature) == pytest.approx(LEVEL, rel=0.05)


def test_where_there_is_little_noise_each_row_goes_as_far_as_it_may() -> None:
    silent = plan((AGE, FOUR), noise="none", steps={"sigma": 0.0})
    assert rates(silent) == [FASTEST / 0.5, 2 * FASTEST / 0.5]
    assert rates(plan((AGE,), people=10**9)) == [FASTEST / 0.5]


def test_words_say_one_thing_by_all_rows_at_once() -> None:
    age, words = rates(plan((AGE, WORDS)))
    assert words == pytest.approx(age / 4, rel=0.01)


def test_sites_count_where_it_is_certain_that_they_are_averaged() -> None:
    """With local noise a pool may be one site; n of them average it down by sqrt(n)."""
    alone, pooled = plan((AGE,)), plan((AGE,), pooling="all")
    assert rates(pooled)[0] == pytest.approx(5 * rates(alone)[0], rel=0.01)
    shared = plan((AGE,), noise="distributed", honest_sites=25)
    assert rates(shared)[0] == pytest.approx(25 * rates(alone)[0], rel=0.01)


@given(
    sigma=st.floats(0.1, 1e4),
    rounds=st.integers(1, 500),
    rate=st.floats(0.01, 1.0),
    people=st.integers(1, 10**6),
)
def test_any_plan_keeps_everything_but_the_rates_that_nobody_gave(
    sigma: float, rounds: int, rate: float, people: int
) -> None:
    mine = dataclasses.replace(FOUR, learning_rate=0.125)
    steps = {"sigma": sigma, "rounds": rounds, "rate": rate}
    told = plan((AGE, mine), steps=steps, people=people)
    done = paced(told)
    assert rates(done) == rates(told), "a plan is paced once"
    age, attributes = done.heads
    assert attributes == mine
    assert 0 < age.learning_rate <= FASTEST / 0.5
    assert math.isclose(age.learning_rate, float(f"{age.learning_rate:.3g}"))
    assert dataclasses.replace(age, learning_rate=0.0) == AGE
    assert done.events() == told.events()
    bare = [dataclasses.replace(one.mechanisms[1], heads=()) for one in (done, told)]
    assert bare[0] == bare[1]


def test_a_plan_without_heads_stays_as_it_is() -> None:
    assert paced(plan(())) == plan(())
