import argparse
import math
from pathlib import Path

import pytest

from common.errors import RunError
from server.detecting.joint import COLLAGES
from simulations.benchmarks import joint


@pytest.mark.slow
def test_every_network_is_trained_once_judged_and_compared(tmp_path: Path) -> None:
    told = argparse.Namespace(out=tmp_path, people=20, pictures=3, steps=2, scenes=1, repeats=1)
    told.faces = told.pairs = None
    told.minutes = 0
    assert joint.measure(told, 0) == {}
    told.minutes = math.inf
    done = joint.measure(told, 0)
    assert list(done) == list(joint.arms(2))
    assert joint.measure(told, 0) == done
    report = joint.compared(done)
    whole, apart = done["joint"]["parameters"], report["separate_parameters"]
    assert 0.95 < apart / whole < 1.05
    assert report["identity_points_ci95"][0] <= report["identity_points_ci95"][1]
    assert joint.speed(told)["crop"]["joint"] > 0
    told.scenes = 2
    with pytest.raises(RunError, match="other options"):
        joint.measure(told, 0)


def test_arms_differ_in_tasks_and_width_alone() -> None:
    arms = joint.arms(7)
    assert {arm.steps for arm in arms.values()} == {7}
    assert {arm.collages for arm in arms.values()} == {COLLAGES}
    assert arms["identity"].width == arms["joint"].width == 1
    assert {arms[f"separate_{task}"].tasks for task in arms["joint"].tasks} == {
        (task,) for task in arms["joint"].tasks
    }
