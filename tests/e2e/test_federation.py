"""`mascaron-lab federation` from a checkout: three rounds, a site and the centre killed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(sys.executable).parent


@pytest.mark.slow
def test_a_real_federation_outlives_its_worst_afternoon(tmp_path: Path) -> None:
    if not (SCRIPTS / "mascaron-site").exists():
        pytest.skip("mascaron is not installed beside this interpreter")
    command = [str(SCRIPTS / "mascaron-lab"), "federation", "--out", str(tmp_path / "f")]
    done = subprocess.run(
        [*command, "--one-user"], capture_output=True, text=True, timeout=1200, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
    told = json.loads(done.stdout)
    assert told["state"] == "done"
    first, second, third = told["rounds"]
    assert first == ["site-1", "site-2", "site-3"]
    assert second == ["site-1", "site-2"]  # the third lay dead
    assert len(third) >= 2  # the cohort; whoever found the new centre in time
    assert all(0 < epsilon <= 4 for epsilon in told["epsilon"].values())
    assert max(told["bytes"].values()) > told["bytes"]["site-3"] > 0
