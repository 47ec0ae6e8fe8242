"""The command itself, killed without a word while it trains."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from common.faces.faceset import FaceSet
from common.faces.store import save_pack
from server.pretraining.standing import FILE

COMMAND = [sys.executable, "-c", "from server.cli import main; main()", "pretrain"]
TOLD = ["--licence", "test", "--width", "0.25", "--batch", "8", "--held-out", "0.5"]
TOLD += ["--steps", "60", "--check-every", "3", "--patience", "99", "--camera", "randomised"]


@pytest.mark.slow
def test_a_command_that_was_killed_again_and_again_writes_the_bytes_of_one_that_was_not(
    crowd: FaceSet, tmp_path: Path
) -> None:
    save_pack(tmp_path / "faces.npz", crowd)
    told = [*COMMAND, "--faces", str(tmp_path / "faces.npz"), *TOLD]
    whole = subprocess.run(
        [*told, "--out", str(tmp_path / "whole")], capture_output=True, check=True
    )
    kept = tmp_path / "kept"
    again = [*told, "--checkpoint", str(kept), "--resume", "--out", str(tmp_path / "resumed")]
    killed = 0
    for _ in range(3):
        killed += killed_after_a_check(again, kept / FILE)
    assert killed, "no attempt lasted long enough to be killed"
    done = subprocess.run(again, capture_output=True, check=True)
    assert json.loads(done.stdout)["sha256"] == json.loads(whole.stdout)["sha256"]


def killed_after_a_check(command: list[str], kept: Path) -> bool:
    """Starts ``command`` and kills it once it has replaced the file; False if it was faster."""
    before = kept.stat().st_mtime_ns if kept.exists() else 0
    started = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while started.poll() is None:
        if kept.exists() and kept.stat().st_mtime_ns != before:
            started.send_signal(signal.SIGKILL)
            started.wait()
            return True
        time.sleep(0.002)
    return False
