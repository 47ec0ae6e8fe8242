"""`mascaron-site leave`: the site's keys are destroyed, so nobody can answer in its name again.

What stays is the record. The ledger and its key are kept, readable: they are how the site proves,
years later, what was released about its people, and they hold no face. Features are removed: they
are faces, and without keys they serve nobody. Pictures are the operator's and are not touched.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from client.agent.sealed import ENDING, KEY
from client.home import SiteHome
from client.privacy.anchor import Anchor
from common.errors import DeploymentError


def leave_federation(home: SiteHome) -> dict[str, Any]:
    """Overwrites and removes the site's keys and features; what was removed and what is kept.

    Done again, it removes what is left. The folder of another user (agent's or courier's) is left
    to that one, and told. Raises ``LedgerError`` while the agent runs. The centre hears of it from
    the administrator: `mascaron-admin revoke NAME` takes the site off the roster.
    Guarantee: afterwards no charter, head or challenge can be signed in this site's name, and no
    feature can be opened from this folder.
    Leaks: overwriting reaches the file, not what a disk or a snapshot keeps of old blocks; so the
    key of the features goes too, and a backup of this folder must be destroyed separately.
    """
    home.check()
    closed = [folder for folder in (home.agent, home.courier) if not _open(folder)]
    if _open(home.agent) and home.ledger.is_file():
        Anchor(home.ledger.with_name(home.ledger.name + ".head")).close()  # fails if an agent runs
    removed = [path for path in _secret(home) if path.is_file()]
    for path in removed:
        _shred(path)
    kept = [p for p in (home.ledger, home.ledger_key) if _open(home.agent) and p.is_file()]
    step = "tell the administrator: `mascaron-admin revoke` takes the site off the roster"
    if closed:
        step = f"the same as root, or as the owner of {closed[0]}; then {step}"
    return {
        "removed": sorted(_told(home, path) for path in removed if path.suffix != ENDING),
        "features_removed": any(path.suffix == ENDING for path in removed),
        "kept": sorted(_told(home, path) for path in kept),
        "not_reached": [_told(home, folder) for folder in closed],
        "next": step,
    }


def _secret(home: SiteHome) -> Iterator[Path]:
    if _open(home.agent):
        yield home.features / KEY  # first: without it the rest is noise already
        yield home.identity_key
        yield from sorted(home.features.glob(f"*{ENDING}"))
        yield from sorted((home.agent / "tls").glob("*.key"))
    if _open(home.courier):
        yield home.node_key
        yield home.superexec_secret
        yield from sorted((home.courier / "tls").glob("*.key"))


def _open(folder: Path) -> bool:
    """Unless it is another user's; one that is not there is nobody's."""
    return not folder.exists() or os.access(folder, os.R_OK | os.X_OK)


def _shred(path: Path) -> None:
    try:
        with path.open("r+b") as file:
            size = os.fstat(file.fileno()).st_size
            file.write(os.urandom(size))
            file.flush()
            os.fsync(file.fileno())
        path.unlink()
    except OSError as error:
        raise DeploymentError(
            f"cannot destroy {path}: {error.strerror}; run as its owner, and again"
        ) from None


def _told(home: SiteHome, path: Path) -> str:
    return path.relative_to(home.folder).as_posix()
