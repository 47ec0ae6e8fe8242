"""The estimator is told how noisy a pooled sum is, whichever rule made it."""

import numpy as np
import pytest

from common.errors import RunError
from common.moments.names import count_name, noise_name, sum_name
from common.privacy.plan import MomentMechanism, PrivacyPlan
from server.moments import pools_of

PLAN = PrivacyPlan(
    mechanisms=(
        MomentMechanism(kind="mean", name="mean", sigma=2.0, clip=0.5),
        MomentMechanism(kind="scatter", name="scatter", sigma=3.0, clip=0.1),
    ),
    people=10,
    delta=1e-4,
)


def pool() -> dict[str, np.ndarray]:
    arrays = {}
    for name, size in (("mean", 2), ("scatter", 3)):
        arrays[sum_name(name)] = np.arange(size, dtype=np.float32)
        arrays[count_name(name)] = np.array([40, 5], np.float32)
    return arrays


def test_noise_of_a_plain_sum_adds_up_over_the_sites() -> None:
    made = pools_of({"door": pool()}, PLAN)["door"]
    assert made.people == 40
    assert made.mean_noise == pytest.approx(5 * (2.0 * 0.5) ** 2)
    assert made.scatter_noise == pytest.approx(5 * (3.0 * 0.1) ** 2)


def test_noise_of_a_robust_sum_is_told_as_what_it_is() -> None:
    arrays = {**pool(), noise_name("mean"): np.array([5], np.float32)}
    made = pools_of({"door": arrays}, PLAN)["door"]
    assert made.mean_noise == pytest.approx(25 * (2.0 * 0.5) ** 2)
    assert made.scatter_noise == pytest.approx(5 * (3.0 * 0.1) ** 2)


def test_a_missing_moment_is_told() -> None:
    with pytest.raises(RunError, match="released no scatter"):
        pools_of({"door": {n: a for n, a in pool().items() if "scatter" not in n}}, PLAN)
