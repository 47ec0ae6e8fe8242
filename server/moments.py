"""The released sums of a run as the estimator wants them: one pool a camera type."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from common.errors import RunError
from common.moments.names import count_name, noise_name, sum_name
from common.moments.posterior import Pool
from common.privacy.plan import MomentMechanism, PrivacyPlan

Arrays = Mapping[str, NDArray[np.generic]]

MOMENTS = ("mean", "scatter")  # what the estimator needs of every pool


def pools_of(pools: Mapping[str, Arrays], plan: PrivacyPlan) -> dict[str, Pool]:
    """The pools of a finished run of ``plan``; ``RunError`` if a moment is missing."""
    return {name: _pool(arrays, plan) for name, arrays in pools.items()}


def sites_of(pools: Mapping[str, Arrays]) -> dict[str, int]:
    """How many sites released the moments of each pool."""
    counts = {pool: arrays[count_name("mean")] for pool, arrays in pools.items()}
    return {pool: int(np.asarray(count, np.float64)[1]) for pool, count in counts.items()}


def _pool(arrays: Arrays, plan: PrivacyPlan) -> Pool:
    mean, mean_noise = _released(arrays, plan, "mean")
    scatter, scatter_noise = _released(arrays, plan, "scatter")
    people = float(np.asarray(arrays[count_name("mean")], np.float64)[0])
    return Pool(
        mean=mean,
        scatter=scatter,
        people=people,
        mean_noise=mean_noise,
        scatter_noise=scatter_noise,
    )


def _released(arrays: Arrays, plan: PrivacyPlan, name: str) -> tuple[NDArray[np.float64], float]:
    """A pooled sum, and the variance of the noise in each of its coordinates."""
    mechanism = next((m for m in plan.mechanisms if m.name == name), None)
    if not isinstance(mechanism, MomentMechanism) or sum_name(name) not in arrays:
        raise RunError(f"the run released no {name}")
    sites = float(np.asarray(arrays[count_name(name)], np.float64)[1])
    factor = float(arrays.get(noise_name(name), np.ones(1))[0])  # of rules that do not just add
    deviation = plan.site_sigma(mechanism) * mechanism.clip
    return np.asarray(arrays[sum_name(name)], np.float64), factor * sites * deviation**2
