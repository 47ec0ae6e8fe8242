"""A lock on the disk that dies with its process: nothing to clean up after a crash."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from common.errors import BusyError, DeploymentError


@contextmanager
def locked(path: Path, what: str, *, patient: bool = False) -> Iterator[None]:
    """Holds ``path`` while the block runs; ``BusyError`` if another process holds it.

    ``what`` is what two of would do harm. ``patient`` is for blocks so short that a second one
    waits for the first.
    """
    descriptor = _open(path)
    try:
        if patient:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        elif not _take(descriptor):
            raise BusyError(f"{what} is at work already: wait for it, or stop it first")
        yield
    finally:
        os.close(descriptor)


def is_locked(path: Path) -> bool:
    """Whether a living process holds ``path``; looking makes no lock and no file."""
    if not path.exists():
        return False
    descriptor = _open(path)
    try:
        return not _take(descriptor)
    finally:
        os.close(descriptor)


def _open(path: Path) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(path, flags, 0o600)
    except OSError as error:
        raise DeploymentError(f"cannot open {path}: {error.strerror}; run as its owner") from None


def _take(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
