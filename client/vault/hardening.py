"""The process that holds keys leaves no copy of its memory behind: no core dump, no swap, no peek.

Nobody but root reads it then; root on the same machine always can.
"""

import ctypes
import resource

DUMPABLE = 4  # PR_SET_DUMPABLE
CURRENT_AND_FUTURE = 3  # MCL_CURRENT | MCL_FUTURE
MMAP_THRESHOLD = -3  # M_MMAP_THRESHOLD
PIECE = 2**20  # bytes


def unreadable() -> bool:
    """Forbids core dumps, and other processes to look in; whether both are in force."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    prctl = getattr(ctypes.CDLL(None, use_errno=True), "prctl", None)  # of Linux
    return prctl is not None and prctl(DUMPABLE, 0, 0, 0, 0) == 0


def harden() -> tuple[str, ...]:
    """Forbids core dumps, other processes' debuggers, and swap; says in words what it could not.

    Guarantee: what is not in the answer is in force for this process until it ends.
    Leaks: memory is locked only where the limit on locked memory is none (``LimitMEMLOCK=infinity``
    in the unit): with a lower one a later allocation would fail.
    """
    missed = []
    if not unreadable():
        missed.append("other processes of this user may read this one's memory")
    endless = resource.getrlimit(resource.RLIMIT_MEMLOCK)[0] == resource.RLIM_INFINITY
    if not endless or ctypes.CDLL(None).mlockall(CURRENT_AND_FUTURE):
        missed.append("memory may be swapped out: allow LimitMEMLOCK=infinity, or turn off swap")
    return tuple(missed)


def give_back_freed() -> bool:
    """Lets whatever is larger than ``PIECE`` go back to the system, cleared, when it is freed.

    Otherwise each thread keeps as much as the largest picture it ever decoded took. False where the
    C library has no such setting.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # of glibc
    return mallopt is not None and mallopt(MMAP_THRESHOLD, PIECE) == 1
