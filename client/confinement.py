"""What binds the courier's processes: they end with their parent and never gain a privilege.

Linux only, through prctl; elsewhere these are refusals rather than silence.
"""

import ctypes
import os
import pwd
import re
import resource
import signal
import stat
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from common.errors import DeploymentError

_libc = ctypes.CDLL(None, use_errno=True)  # before any fork
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
NUMBER = re.compile(r"[0-9]{1,9}")  # of a user or a group
KEPT = ("LANG", "LC_ALL", "LC_CTYPE", "TZ")  # of the caller's environment; none can load code
QUIET = {
    "FLWR_TELEMETRY_ENABLED": "0",
    "FLWR_DISABLE_UPDATE_CHECK": "1",
    "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
}


@dataclass(frozen=True)
class CourierUser:
    """The OS user that the courier becomes."""

    name: str
    uid: int
    gid: int

    @classmethod
    def named(cls, name: str) -> "CourierUser":
        """The user of that name or number; ``DeploymentError`` for root or an unknown name.

        A number need not be in the system's list: its group then has the same number.
        """
        uid = gid = int(name) if NUMBER.fullmatch(name) else -1
        try:
            entry = pwd.getpwnam(name) if uid < 0 else pwd.getpwuid(uid)
            uid, gid = entry.pw_uid, entry.pw_gid
        except KeyError:
            if uid < 0:
                raise DeploymentError(
                    f"there is no user {name!r} here: useradd --system {name}, or leave it out"
                ) from None
        if uid == 0:
            raise DeploymentError("the courier must not be root: name a user without rights")
        return cls(name, uid, gid)


def become(user: CourierUser) -> None:
    """Turns this process into ``user`` for good: groups, then group, then user.

    Raises ``DeploymentError`` unless this process is root.
    Guarantee: no supplementary group of root stays, and no way back: real, effective and saved
    ids all change.
    """
    if os.geteuid() != 0:
        raise DeploymentError(f"only root can become {user.name}: start as root, or as {user.name}")
    os.setgroups([user.gid])
    os.setresgid(user.gid, user.gid, user.gid)
    os.setresuid(user.uid, user.uid, user.uid)


def hand_over(folder: Path, user: CourierUser) -> None:
    """Makes ``user`` the owner of ``folder`` and of all in it, as root, before becoming it.

    Guarantee: no link is followed, whatever the user does to the folder meanwhile, and a file
    with another name elsewhere stays its owner's.
    """
    try:
        for _, folders, files, descriptor in os.fwalk(folder, follow_symlinks=False):
            os.fchown(descriptor, user.uid, user.gid)
            for name in (*folders, *files):
                found = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
                if stat.S_ISREG(found.st_mode) and found.st_nlink == 1:
                    os.chown(name, user.uid, user.gid, dir_fd=descriptor, follow_symlinks=False)
    except OSError as error:
        raise DeploymentError(f"cannot give {folder} to {user.name}: {error.strerror}") from None


def confine() -> None:
    """No privilege is gained from here on by any program started, and no core is dumped."""
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def end_with_parent(parent: int) -> None:
    """Binds this process to its parent, whose id is ``parent``; called in the child.

    Guarantee: the system kills this process as soon as the parent is gone, however it went.
    Leaks: what this process starts is not bound by it and has to call it too; the launcher does.
    """
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def scrubbed(outer: Mapping[str, str], extra: Mapping[str, str]) -> dict[str, str]:
    """The environment of a courier's process: the few of ``outer`` that are KEPT, and ``extra``.

    Guarantee: no PATH, PYTHONPATH, proxy, preload or key of the caller reaches the courier.
    """
    return {**{name: outer[name] for name in KEPT if name in outer}, **QUIET, **extra}


def _prctl(option: int, value: int) -> None:
    if not sys.platform.startswith("linux"):
        raise DeploymentError("the courier is confined by Linux: run it there, or in a container")
    if _libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0) != 0:
        raise DeploymentError(f"cannot confine the courier: {os.strerror(ctypes.get_errno())}")
