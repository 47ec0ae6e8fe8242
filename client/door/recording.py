"""The row before the answer: whatever is asked of the vault leaves one in the audit log first.

Guarantee: a block that is recorded ends normally only once its row is on the disk; where the row
cannot be written, the answer, and also the error, is the log's own. A row holds tags: of the person
by a key that dies with them, of the caller and the picture by a key of this site.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from client.audit.events import TAG, Event, Kind
from client.audit.log import AuditLog
from client.door.callers import Caller
from client.vault.handles import framed
from client.vault.identity import PersonId
from client.vault.store import Vault
from common.errors import AuditError, MascaronError, VaultRollbackError

SUBJECT = b"audit"  # what a person's key makes their tag of
DONE, PENDING, UNKNOWN = "done", "pending", "unknown"


@dataclass(kw_only=True, slots=True, repr=False)
class Note:
    """What the row is going to say; the block fills it in."""

    outcome: str = DONE
    subject: bytes = b""
    reference: str = ""
    actors: tuple[bytes, ...] = ()
    index: int = 0  # of the row, once it is written


class Recorder:
    """Writes rows of one site's log; safe among threads."""

    def __init__(self, vault: Vault, log: AuditLog, clock: Callable[[], float]) -> None:
        self._vault, self._log, self._clock = vault, log, clock
        self._key = vault.derive("audit")

    def actor(self, name: str) -> bytes:
        """The tag of a caller: the same whenever it calls."""
        return self._key.tag(framed("caller", name))[:TAG]

    def subject(self, person: PersonId) -> bytes:
        """The tag of somebody enrolled; ``UnknownPersonError`` for who is not."""
        return self._vault.tag(person, SUBJECT)[:TAG]

    def reference(self, release: str | None) -> str:
        """The reference data base of a row: which state of the vault, and what embedded it."""
        return f"{self._vault.generation}:{(release or 'none')[:12]}"

    @contextmanager
    def row(
        self, caller: Caller | None, kind: Kind, picture: bytes | None = None
    ) -> Iterator[Note]:
        """Writes the row of what the block does, also of what it fails with.

        ``caller`` is None where the site acts by itself; ``picture`` is what was shown.
        """
        began = self._clock()
        shown = b"" if picture is None else self._key.tag(framed("input", picture))[:TAG]
        note = Note(actors=() if caller is None else (self.actor(caller.name),))
        try:
            yield note
        except Exception as error:
            told = error.reason if isinstance(error, MascaronError) else MascaronError.reason
            note.outcome = told
            self._write(kind, note, began, shown)
            raise
        self._write(kind, note, began, shown)

    @contextmanager
    def change(self, caller: Caller | None, kind: Kind) -> Iterator[Note]:
        """As ``row``, with ``intend`` before it."""
        self.intend(caller, kind)
        with self.row(caller, kind) as note:
            yield note

    def intend(self, caller: Caller | None, kind: Kind, subject: bytes = b"") -> None:
        """A row of what is about to be changed.

        So no crash, and no log that fails afterwards, leaves a change of which no row tells.
        """
        actors = () if caller is None else (self.actor(caller.name),)
        intent = Note(outcome=PENDING, subject=subject, actors=actors)
        self._write(kind, intent, self._clock(), b"")

    def _write(self, kind: Kind, note: Note, began: float, shown: bytes) -> None:
        event = Event(
            kind=kind,
            began=began,
            ended=max(began, self._clock()),
            reference=note.reference or self.reference(None),
            subject=note.subject,
            input=shown,
            outcome=note.outcome,
            actors=note.actors,
        )
        note.index = self._log.append(event)


def check_of_one_day(vault: Vault, log: AuditLog) -> None:
    """``VaultRollbackError`` for a vault that is older than what its log tells of it.

    ``AuditError`` for one that was changed and has no log at all.

    Guarantee: a whole copy of the vault from before an erasure, put in its place, does not open
    while the log is that of today.
    """
    if vault.generation and not log.head().index:
        raise AuditError(
            "the audit log of this vault is gone: put agent/audit.db and its .head back, or, if it "
            "is lost for good, `mascaron-site audit acknowledge` begins another and says so"
        )
    generation = log.reference().partition(":")[0]
    if generation.isdecimal() and int(generation) > vault.generation:
        raise VaultRollbackError(
            "the vault is older than the audit log, so it may bring back who was erased: put the "
            "newest one back, or `mascaron-site vault restore` a backup"
        )
