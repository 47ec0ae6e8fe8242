"""`mascaron-site vault`: new keys for everybody, a backup that this site cannot open, and back.

What a backup may bring back is decided by the audit log, which is never in it: nobody who was
erased since. Put a copy of agent/audit.db (with its .head) beside every backup.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from client.audit.chain import Entry
from client.audit.events import TAG, Kind
from client.audit.log import AuditLog, AuditPlace
from client.centre.admission import countersigned
from client.commands.asking import Asking
from client.door.recording import DONE, PENDING, SUBJECT, Recorder, check_of_one_day
from client.home import SiteHome
from client.vault.backup import Known, backup, generation_of, restore
from client.vault.founding import vault_place
from client.vault.handles import DataKey
from client.vault.recovery import RecoveryKey, RecoveryLock
from client.vault.store import Vault, tag_by
from common.errors import VaultRollbackError
from common.trust.keys import SigningKey

Clock = Callable[[], float]
GONE = frozenset({Kind.ERASE, Kind.EXPIRE})
SAID = frozenset({Kind.RENEW, Kind.LABELS})  # what a person agreed to, or what was said of them
PAGE = 1000  # rows read at once


@dataclass(frozen=True, kw_only=True)
class Restoring:
    """The backup, the file with the private half of its recovery key, and whether people who were
    enrolled since may be lost. ``renewed`` says what to do about who gave another consent since,
    or had other labels, which the backup does not hold: they are left out, or come back by the
    older ones."""

    file: Path
    key: Path
    losing: bool
    renewed: Literal["leave-out", "older"] | None = None


@dataclass(frozen=True, slots=True)
class _Since:
    """What the log tells of the time after a backup: the newest generation, and the tags of those
    who gave another consent or had other labels, or may have."""

    generation: int
    renewed: frozenset[bytes]


def rotate_vault(asking: Asking) -> dict[str, Any]:
    """Puts everybody's keys under a new epoch, at the door."""
    with asking.door() as door:
        door.rotate()
    return {"rotated": True}


def make_recovery_key(file: Path) -> dict[str, Any]:
    """Draws a recovery key into ``file``, to be carried away; its public half is told."""
    return {"file": str(file), "recovery": RecoveryKey.create(file).lock.text}


def backup_vault(
    home: SiteHome, folder: Path, recovery: str, clock: Clock = time.time
) -> dict[str, Any]:
    """Writes the vault into a new file of ``folder``, sealed to ``recovery``.

    ``BusyError`` while `serve` runs. The row of it is in the log before the file is there.
    """
    lock = RecoveryLock.of(recovery)
    home.check_agent()
    with _opened_log(home) as log, Vault(vault_place(home, home.config())) as vault:
        check_of_one_day(vault, log)
        recorder = Recorder(vault, log, clock)
        with recorder.row(None, Kind.BACKUP) as note:
            note.reference = recorder.reference(None)
        return {"file": str(backup(vault, folder, lock)), "generation": vault.generation}


def restore_vault(home: SiteHome, asked: Restoring, clock: Clock = time.time) -> dict[str, Any]:
    """Makes the vault of a backup, where none is any more.

    Raises ``VaultRollbackError`` if the log tells of changes since, unless ``asked.losing``; of
    another consent since, unless ``asked.renewed`` says what becomes of it; and always if anybody
    was erased since, or the log knows nothing of this backup.
    """
    home.check_agent()
    place = vault_place(home, home.config())
    with _opened_log(home) as log:
        since = _since(log, generation_of(asked.file))
        if since.renewed and asked.losing and asked.renewed is None:
            raise VaultRollbackError(
                f"the consents or labels of {len(since.renewed)} people were changed since this "
                "backup, perhaps to allow or to say less: --renewed leave-out brings none of them "
                "back; --renewed older brings them back by what they agreed to and what was said "
                "of them before, and names them: ask each again"
            )
        known = Known(
            generation=since.generation,
            epoch=0,
            losing=asked.losing,
            left_out=lambda key: asked.renewed == "leave-out" and _tag(key) in since.renewed,
        )
        with restore(asked.file, RecoveryKey(asked.key), place, known) as vault:
            recorder = Recorder(vault, log, clock)
            with recorder.row(None, Kind.RESTORE) as note:
                note.reference = recorder.reference(None)
            people = vault.people(now=clock()) | vault.expired(clock())
            older = sorted(one.hex() for one in people if recorder.subject(one) in since.renewed)
            told = {"restored": str(asked.file), "generation": vault.generation}
            return {**told, "by_an_older_consent": older} if older else told


def _tag(key: DataKey) -> bytes:
    """By which rows of the log name whose key this is."""
    return tag_by(key, SUBJECT)[:TAG]


def _since(log: AuditLog, generation: int) -> _Since:
    """What the log remembers of the vault since the backup of ``generation`` was made."""
    found, gone, latest = False, False, generation
    renewed: set[bytes] = set()
    for entry in _entries(log):
        event, (number, _, _) = entry.event, entry.event.reference.partition(":")
        if number.isdecimal():
            latest = max(latest, int(number))
        done = event.outcome in (PENDING, DONE)  # not one that was refused
        if event.kind is Kind.BACKUP and number == str(generation):
            found, gone = True, False
            renewed.clear()
        elif event.kind in GONE and done:
            gone = True
        elif event.kind in SAID and done:
            renewed.add(event.subject)
    if not found:
        raise VaultRollbackError(
            "the audit log knows nothing of this backup, so it may bring back who was erased: put "
            "agent/audit.db and its .head back, from the day of the backup or later"
        )
    if gone:
        raise VaultRollbackError("people were erased since this backup: take a later one")
    return _Since(latest, frozenset(renewed))


def _entries(log: AuditLog) -> Iterator[Entry]:
    after = 0
    while True:
        page = list(log.entries(after, PAGE))
        yield from page
        if len(page) < PAGE:
            return
        after = page[-1].index


@contextlib.contextmanager
def _opened_log(home: SiteHome) -> Iterator[AuditLog]:
    key, site = SigningKey.load(home.identity_key), home.config().name
    seen = countersigned(home, key.public).heads
    with AuditLog(AuditPlace(path=home.audit, key=key, site=site, passed=seen)) as log:
        yield log
