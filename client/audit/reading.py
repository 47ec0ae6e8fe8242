"""Reading an audit log that another process has open, or a copy of one: nothing is locked, and
nothing is written beside it."""

import sqlite3
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TypeVar

from client.audit import chain, mirror
from client.audit.chain import (
    ANCHOR,
    DAMAGE,
    HEAD,
    AuditHead,
    BrokenError,
    Check,
    Entry,
    Verdict,
    text,
)
from common.errors import AuditError, ConfigError, DeploymentError
from common.snapshots import snapshot
from common.trust.keys import PublicKey

T = TypeVar("T")
TRIES, PAUSE = 3, 0.05  # seconds; an agent may write while its files are copied


def verify_file(
    path: Path, public_key: PublicKey, site: str, passed: Collection[tuple[int, bytes]] = ()
) -> Verdict:
    """What the log of ``site`` at ``path`` is worth to whoever trusts ``public_key``.

    ``passed`` are heads that it must have gone through: numbers and chain values. The file beside
    it that holds its last head is read too. ``ConfigError`` if there is no log.
    """
    for _ in range(TRIES - 1):
        verdict = _verify(path, public_key, site, passed)
        if verdict.broken is None:
            return verdict
        time.sleep(PAUSE)
    return _verify(path, public_key, site, passed)


def read_entries(path: Path, after: int = 0, most: int = 1000) -> list[Entry]:
    """At most ``most`` rows after number ``after``, as they are; see ``verify_file`` first."""

    def read(database: sqlite3.Connection) -> list[Entry]:
        start = max(after, chain.read_head(database, ANCHOR).index)
        return list(chain.entries(database, start, most))

    return _trusted(path, read)


def read_ends(path: Path) -> tuple[AuditHead, AuditHead]:
    """Anchor and head of the log, as they are."""
    return _trusted(
        path, lambda found: (chain.read_head(found, ANCHOR), chain.read_head(found, HEAD))
    )


def _verify(
    path: Path, public: PublicKey, site: str, passed: Collection[tuple[int, bytes]]
) -> Verdict:
    kept = mirror.read(mirror.path_of(path))  # before the rows: a row is written first
    if path.is_file() != (kept is not None):
        gone = "the file beside the log, with its head, is gone" if kept is None else "it is gone"
        return Verdict(entries=0, broken=0, why=gone)
    heads, least = (*passed, *kept.heads) if kept else passed, kept.least if kept else 0
    check = Check(public=public, site=site, passed=heads, least=least)
    try:
        return _with(path, check.run)
    except DAMAGE:
        return Verdict(entries=0, broken=0, why="the file is damaged")


def _trusted(path: Path, read: Callable[[sqlite3.Connection], T]) -> T:
    try:
        return _with(path, read)
    except BrokenError as broken:
        raise AuditError(f"the audit log is broken at record {broken.index}: {broken}") from None
    except DAMAGE:
        raise AuditError("the audit log cannot be read") from None


def _with(path: Path, use: Callable[[sqlite3.Connection], T]) -> T:
    if not path.is_file():
        raise ConfigError(f"there is no audit log at {path}: the door begins one when it opens")
    try:
        with snapshot(path) as database:
            database.text_factory = text
            return use(database)
    except OSError as error:
        raise DeploymentError(
            f"the audit log cannot be read: {error.strerror}; type this as the agent's user"
        ) from None
