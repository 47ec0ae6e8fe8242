"""`mascaron-site leave`: the site's keys are destroyed, so nobody can answer in its name again.

What stays is the record. The ledger and its key are kept, readable: they are how the site proves,
years later, what was released about its people, and they hold no face. So is the log of the door,
with the public key that its rows are signed by. Features, the vault and the thresholds made of it
are removed: they are faces, and without keys they serve nobody. Pictures are the operator's and
are not touched.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from client.agent.sealed import ENDING, KEY
from client.home import SiteHome
from client.privacy.anchor import Anchor
from client.vault.core import DATABASE, KEYRING, LOCK
from client.vault.keyring import SLOT
from common.errors import DeploymentError
from common.locks import locked
from common.trust import storing
from common.trust.keys import SigningKey

REVOKE = "tell the administrator: `mascaron-admin revoke` takes the site off the roster"
ALONE = "take centre, camera_type, people and faces out of site.toml: the door serves on, alone"


def leave_federation(home: SiteHome, *, keep_people: bool = False) -> dict[str, Any]:
    """Overwrites and removes the site's keys, features and vault; what was removed, what is kept.

    Done again, it removes what is left. The folder of another user (agent's or courier's) is left
    to that one, and told. Raises ``LedgerError`` or ``BusyError`` while the agent runs. The centre
    hears of it from the administrator: `mascaron-admin revoke NAME` takes the site off the roster.
    With ``keep_people`` the vault stays and so does the door: the site is alone from then on, and
    has forgotten its centre.
    Guarantee: afterwards no charter, head or challenge can be signed in this site's name, and no
    feature or template can be opened from this folder: the vault's keys go first. With
    ``keep_people`` that holds for features; the identity stays, for it signs the door's log, and
    what it could still sign in the federation is worth nothing once the site is revoked.
    Leaks: overwriting reaches the file, not what a disk or a snapshot keeps of old blocks; so the
    keys go too, and backups of this folder or of the vault must be destroyed separately.
    """
    home.check()
    closed = [folder for folder in (home.agent, home.courier) if not _open(folder)]
    steps = [f"the same as root, or as the owner of {folder}" for folder in closed[:1]]
    steps += [REVOKE] if home.ca.exists() else []
    steps += [ALONE] if keep_people else []
    with ExitStack() as stack:
        if _open(home.agent):
            _stop(home, stack)
        found = [*_vault(home, keep_people), *_secret(home, keep_people)]
        removed = [path for path in dict.fromkeys(found) if path.is_file()]
        for path in removed:
            _shred(path)
    record = (home.ledger, home.ledger_key, home.audit, home.identity_public)
    kept = [path for path in record if _open(home.agent) and path.is_file()]
    if keep_people and _open(home.agent) and (home.vault / DATABASE).is_file():
        kept.append(home.vault)
    return {
        "removed": sorted(_told(home, path) for path in removed if not _face(home, path)),
        "features_removed": any(path.suffix == ENDING for path in removed),
        "people_removed": any(path.parent == home.vault for path in removed),
        "kept": sorted(_told(home, path) for path in kept),
        "not_reached": [_told(home, folder) for folder in closed],
        "next": "; then ".join(steps) or "nothing",
    }


def _stop(home: SiteHome, stack: ExitStack) -> None:
    """Makes sure that no agent runs nor starts, and writes down what its rows are checked by."""
    if home.ledger.is_file():
        Anchor(home.ledger.with_name(home.ledger.name + ".head")).close()  # fails if an agent runs
    if home.vault.is_dir():
        stack.enter_context(locked(home.vault / LOCK, "the agent of this site"))
    if home.identity_key.is_file() and home.audit.is_file():
        public = SigningKey.load(home.identity_key).public.text
        storing.replace(home.identity_public, f"{public}\n".encode(), storing.PUBLIC)


def _vault(home: SiteHome, keep_people: bool) -> Iterator[Path]:
    """What opens templates, then templates, then what was made of them."""
    if keep_people or not _open(home.agent):
        return
    yield from sorted(home.vault.glob(f"{KEYRING}{SLOT}*"))  # first: all other keys hang from it
    yield home.vault / KEYRING
    yield home.vault_key
    yield from sorted(path for path in home.vault.glob("*") if path.name != LOCK)
    yield from sorted(home.releases.glob("**/*"))


def _secret(home: SiteHome, keep_people: bool) -> Iterator[Path]:
    if _open(home.agent):
        yield home.features / KEY  # first: without it the rest is noise already
        yield from sorted(home.features.glob(f"*{ENDING}"))
        yield from sorted(home.runs.glob("*"))
        yield from sorted(home.agent_tls.glob("*.key"))
        if keep_people:
            yield from (home.centre_key, home.ca, home.roster, home.certificate)
            yield from (home.history, home.vouched, *sorted(home.fetched.glob("*")))
            yield home.commitments  # another centre's word would not go with them
        else:
            yield home.identity_key
            yield from (home.operator_token, home.callers)
            yield from sorted(home.door_tls.glob("*.key"))
    if _open(home.courier):
        yield home.node_key
        yield home.superexec_secret
        yield from sorted(home.courier_tls.glob("*.key"))


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


def _face(home: SiteHome, path: Path) -> bool:
    """Files that are told of together, not one by one: how many there are may tell of people."""
    return path.suffix == ENDING or path.parent == home.vault or home.releases in path.parents


def _told(home: SiteHome, path: Path) -> str:
    return path.relative_to(home.folder).as_posix()
