"""onnxruntime computes here and tells nobody: nothing is kept for its maker, nothing is sent."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
CODE = """
import os
from pathlib import Path
import numpy as np
from common.models.trunk import load_trunk
trunk, _ = load_trunk(Path("simulations/starter/trunk.toml"))
trunk.features(np.zeros((1, 112, 112, 3), np.uint8))
threads = Path("/proc/self/task")
print(len(list(threads.iterdir())) if threads.exists() else 1)
"""


def test_a_network_that_ran_left_no_record_and_no_uploader(tmp_path: Path) -> None:
    """What silences onnxruntime in a test by itself (CI) is taken out of the environment."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", CODE], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr
    assert list(tmp_path.rglob("*")) == []
