"""How much memory a process takes, as the system counts it."""

from pathlib import Path


def status_bytes(name: str) -> int:
    """``VmRSS`` (now) or ``VmHWM`` (the peak) of this process in bytes.

    From /proc: getrusage would count what the parent process held when it started this one.
    """
    for line in Path("/proc/self/status").read_text("ascii").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"/proc/self/status has no {name}")
