"""What binds a process to the one that started it, and keeps it from gaining rights.

Through prctl of Linux. Elsewhere nothing is bound, and what must be confined is refused.
"""

import ctypes
import os
import resource
import signal
import sys

from common.errors import DeploymentError

_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None  # before any fork
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS = 1, 36, 38


def die_with(parent: int) -> None:
    """Makes the kernel kill this process when the process ``parent``, its parent, ends.

    Called in the child. Ends this process at once if ``parent`` is its parent no more. Leaves no
    core dumps either.
    Leaks: what this process starts is not bound by it and has to call it too; our launchers do.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)


def adopt_orphans() -> None:
    """Makes this process the parent of whatever its children leave behind, so that it can wait."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, ctypes.c_ulong(1), 0, 0, 0)


def confine() -> None:
    """No privilege is gained from here on by any program started, and no core is dumped.

    Raises ``DeploymentError`` where the system cannot promise that.
    """
    if _LIBC is None:
        raise DeploymentError("the courier is confined by Linux: run it there, or in a container")
    if _LIBC.prctl(_PR_SET_NO_NEW_PRIVS, ctypes.c_ulong(1), 0, 0, 0) != 0:
        raise DeploymentError(f"cannot confine this process: {os.strerror(ctypes.get_errno())}")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
