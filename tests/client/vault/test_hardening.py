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


THREADS = """
import ctypes, threading
from client.vault.hardening import give_back_freed
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
def resident():
    line = next(line for line in open("/proc/self/status") if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024
def work():
    held = [libc.malloc(2**24) for _ in range(8)]
    for one in held:
        ctypes.memset(one, 1, 2**24)
    for one in held:
        libc.free(one)
{before}
begun = resident()
for _ in range(4):
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
assert resident() - begun < 2**26, resident() - begun
"""


def test_what_a_thread_has_freed_goes_back_to_the_system() -> None:
    script = THREADS.format(before="assert give_back_freed()")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
