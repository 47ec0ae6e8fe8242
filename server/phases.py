"""What the centre sends before a round and what it does with the average afterwards.

Both are post-processing: nothing here can cost anybody privacy, and nothing here sees a face.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.errors import RunError
from common.models.tail import BIAS, WEIGHT
from common.moments.names import (
    FRAME_BIAS,
    FRAME_WEIGHT,
    GRADIENT,
    SHIFT,
    THRESHOLD,
    asked_name,
    count_name,
    evaluation_count,
    evaluation_noise,
    evaluation_sum,
    noise_name,
    sum_name,
    sum_size,
)
from common.privacy.cells import cells_of
from common.privacy.heads import CENTRE, SCALE
from common.privacy.plan import (
    EvaluationMechanism,
    GradientMechanism,
    MomentMechanism,
    PrivacyPlan,
    Round,
)

Arrays = dict[str, NDArray[Any]]

MEAN = sum_name("mean")
CROWD = 100  # times the declared people that a site may have
VELOCITY = "velocity."  # the centre's momentum, over noised updates only


@dataclass(frozen=True, kw_only=True, slots=True)
class Pooled:
    """What an average was made of: so many sites with so many declared people.

    ``noise_factor``: noise variance of the average in that of a plain one.
    """

    sites: int
    people: int
    momentum: float
    noise_factor: float = 1.0


@dataclass(frozen=True, kw_only=True, slots=True)
class SumTerms:
    """How many sites a secure sum is over, and the plan's declared people of each."""

    sites: int
    people: int


def opening(initial: Mapping[str, NDArray[Any]], plan: PrivacyPlan) -> Arrays:
    """The shared arrays a pool starts from; ``RunError`` if the charter left one out."""
    missing = {WEIGHT, BIAS, FRAME_WEIGHT, FRAME_BIAS} - set(initial)
    for mechanism in plan.mechanisms:
        if isinstance(mechanism, GradientMechanism):
            missing |= {*mechanism.trained, *_scaling(mechanism)} - set(initial)
    if missing:
        raise RunError(f"the charter's initial arrays lack {sorted(missing)}")
    return dict(initial)


def request(current: Round, shared: Mapping[str, NDArray[Any]]) -> Arrays:
    """The arrays a site needs for ``current``, and no others."""
    mechanism = current.mechanism
    if isinstance(mechanism, GradientMechanism):
        names = (WEIGHT, BIAS, *mechanism.trained, *_scaling(mechanism))
        return {SHIFT: _shift(shared), **{name: shared[name] for name in names}}
    if isinstance(mechanism, EvaluationMechanism):  # what ``Judge.prepared`` put there
        names = (WEIGHT, BIAS, THRESHOLD)
        return {name: shared[asked_name(mechanism.name, name)] for name in names}
    return {name: shared[name] for name in (FRAME_WEIGHT, FRAME_BIAS)}


def _shift(shared: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
    """The smallest move of public features that puts their mean where the pool released its own."""
    size = shared[FRAME_WEIGHT].shape[1]
    if MEAN not in shared:
        return np.zeros(size, np.float32)
    mean = shared[MEAN] / shared[count_name("mean")][0]
    return np.asarray(np.linalg.pinv(shared[FRAME_WEIGHT]) @ mean, np.float32)


def expected(
    current: Round, shared: Mapping[str, NDArray[Any]]
) -> dict[str, tuple[tuple[int, ...], str]]:
    """Shape and dtype of every array of a proper reply."""
    mechanism = current.mechanism
    if isinstance(mechanism, GradientMechanism):
        return {GRADIENT + name: (shared[name].shape, "float32") for name in mechanism.trained}
    if isinstance(mechanism, EvaluationMechanism):
        return {evaluation_sum(mechanism.name): ((cells_of(mechanism.thresholds),), "float32")}
    size = sum_size(mechanism.kind, len(shared[FRAME_BIAS]))
    return {sum_name(mechanism.name): ((size,), "float32")}


def size(current: Round, shared: Mapping[str, NDArray[Any]]) -> int:
    """How many numbers a proper reply holds, over all its arrays."""
    return sum(math.prod(shape) for shape, _ in expected(current, shared).values())


def averaged(
    current: Round,
    shared: Mapping[str, NDArray[Any]],
    total: NDArray[np.float64],
    terms: SumTerms,
) -> Arrays:
    """What the average of plain replies would have been, from the secure sum ``total`` (K,).

    Sites put their arrays one after the other, and gradients undivided: here they are divided by
    the same public constants as at a site that releases by itself.
    """
    mechanism, divisor, average, at = current.mechanism, float(terms.sites), {}, 0
    if isinstance(mechanism, GradientMechanism):
        divisor *= mechanism.rate * terms.people
    for name, (shape, _) in expected(current, shared).items():
        end = at + math.prod(shape)
        average[name] = (total[at:end] / divisor).reshape(shape)
        at = end
    return average


def longest(current: Round, shared: Mapping[str, NDArray[Any]], plan: PrivacyPlan) -> float:
    """An L2 norm that no honest reply exceeds, be the site ``CROWD`` times as large as declared.

    Keeps a single absurd reply from deciding the average; the noise's share is that of
    Laurent & Massart 2000, lemma 1.
    """
    mechanism = current.mechanism
    noise = plan.site_sigma(mechanism) * (math.sqrt(size(current, shared)) + 10)
    norm = mechanism.clip * (CROWD * plan.people + noise)
    if isinstance(mechanism, GradientMechanism):
        norm *= mechanism.steps_per_round / (mechanism.rate * plan.people)
    return norm


def absorb(
    current: Round,
    shared: Mapping[str, NDArray[Any]],
    average: Mapping[str, NDArray[Any]],
    pooled: Pooled,
) -> Arrays:
    """The shared arrays after ``current``: a step of SGD, or the pooled sums of anything else.

    The sums of an evaluation are kept and enter nothing.
    """
    after = dict(shared)
    mechanism = current.mechanism
    if not isinstance(mechanism, GradientMechanism):
        name, count, noise = _pooled_names(mechanism)
        after[name] = np.asarray(average[name] * pooled.sites, np.float32)
        after[count] = np.array([pooled.people, pooled.sites], np.float32)
        after[noise] = np.array([pooled.noise_factor], np.float32)
        return after
    for name, rate in mechanism.learning_rates.items():
        velocity = shared.get(VELOCITY + name, np.zeros_like(shared[name]))
        momentum = 0.0 if name in mechanism.without_momentum else pooled.momentum
        velocity = momentum * velocity + average[GRADIENT + name]
        after[VELOCITY + name] = np.asarray(velocity, np.float32)
        after[name] = np.asarray(shared[name] - rate * velocity, np.float32)
    return after


def _scaling(mechanism: GradientMechanism) -> tuple[str, ...]:
    """How heads see a feature: constants that go along with them and are never trained."""
    return (CENTRE, SCALE) if mechanism.heads else ()


def _pooled_names(mechanism: MomentMechanism | EvaluationMechanism) -> tuple[str, str, str]:
    """Of a pooled sum, of what was counted for it, and of how much noise it has."""
    name = mechanism.name
    if isinstance(mechanism, EvaluationMechanism):
        return evaluation_sum(name), evaluation_count(name), evaluation_noise(name)
    return sum_name(name), count_name(name), noise_name(name)
