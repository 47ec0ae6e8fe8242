"""Becoming another user of this machine for good, and giving it the folder that it works in."""

import os
import pwd
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from common.errors import DeploymentError

NUMBER = re.compile(r"[0-9]{1,9}")  # of a user or a group


@dataclass(frozen=True)
class OsUser:
    """A user that a daemon runs as: never root."""

    name: str
    uid: int
    gid: int

    @classmethod
    def named(cls, name: str) -> "OsUser":
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
            raise DeploymentError("a daemon must not be root: name a user without rights")
        return cls(name, uid, gid)


def become(user: OsUser) -> None:
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


@contextmanager
def acting_as(uid: int, gid: int) -> Iterator[None]:
    """Root has no more rights than user ``uid`` of group ``gid`` while the block runs; whoever is
    not root stays as they are.

    Guarantee: a trap that the user laid in its own folders (a link to a file of root's) catches
    nothing that the user could not have reached.
    """
    if os.geteuid() != 0 or uid == 0:
        yield
        return
    groups, group = os.getgroups(), os.getegid()
    os.setgroups([gid])
    os.setegid(gid)
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)
        os.setgroups(groups)


def hand_over(folder: Path, user: OsUser) -> None:
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
