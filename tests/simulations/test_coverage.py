"""A stated bound on the FMR holds for people who did not fix the threshold."""

from pathlib import Path

import numpy as np
import pytest

from common.errors import ScenarioError
from common.metrics.impostors import Faces
from simulations.benchmarks.calibration import seen_pool
from simulations.coverage import Trials, coverage, invented_pool

KEPT = 0.94


def test_bounds_hold_for_invented_people_who_were_not_drawn() -> None:
    found = coverage(invented_pool(600, 2, 1), Trials(people=50, fmr=1e-2, repeats=60))
    assert found.kept is not None
    assert found.kept >= KEPT - 0.06  # 60 repeats alone may be this far off
    assert found.refused == 0


def test_too_few_people_refuse_every_time() -> None:
    found = coverage(invented_pool(100, 1, 1), Trials(people=20, fmr=1e-2, repeats=3))
    assert (found.kept, found.stated, found.refused) == (None, None, 3)


def test_somebody_has_to_be_left_to_judge_on() -> None:
    with pytest.raises(ScenarioError):
        coverage(invented_pool(20, 1, 1), Trials(people=19, fmr=1e-2, repeats=1))


@pytest.mark.slow
@pytest.mark.parametrize(("people", "fmr"), [(50, 1e-2), (200, 1e-3), (400, 1e-4)])
def test_bounds_hold_for_invented_people_in_a_thousand_resamples(people: int, fmr: float) -> None:
    check(invented_pool(3000, 2, 7700), Trials(people=people, fmr=fmr, repeats=1000))


@pytest.mark.slow
def test_bounds_hold_for_real_people_in_a_thousand_resamples(
    shared_data: Path, shared_models: Path
) -> None:
    model = shared_models / "mobilefacenet_ms1m.onnx"
    pool = seen_pool(shared_data / "lfw_112.npz", model, None, 2)
    for people, fmr in ((50, 1e-2), (200, 1e-3), (400, 1e-4)):
        check(pool, Trials(people=people, fmr=fmr, repeats=1000))


def check(pool: Faces, trials: Trials) -> None:
    found = coverage(pool, trials)
    shares = [share for share in (found.kept, found.stated) if share is not None]
    assert shares
    assert np.min(shares) >= KEPT
