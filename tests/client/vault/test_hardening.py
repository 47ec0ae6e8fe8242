"""A hardened process has no core dump and lets nobody attach; what it could not do, it says."""

import subprocess
import sys

SCRIPT = """
import ctypes, resource
{before}
from client.vault.hardening import harden
missed = harden()
assert resource.getrlimit(resource.RLIMIT_CORE) == (0, 0)
assert ctypes.CDLL(None).prctl(3, 0, 0, 0, 0) == 0  # PR_GET_DUMPABLE
locked = next(line for line in open("/proc/self/status") if line.startswith("VmLck"))
said = any("swapped" in line for line in missed)
assert said == (int(locked.split()[1]) == 0), (missed, locked)
"""
LITTLE = "resource.setrlimit(resource.RLIMIT_MEMLOCK, (65536, 65536))"


def test_a_hardened_process_leaves_no_memory_behind_and_says_what_it_could_not() -> None:
    for before in ("", LITTLE):
        script = SCRIPT.format(before=before)
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
