"""What happened at the door: one event a row, of tags and coarse words, never of a person."""

import math
import re
import struct
from dataclasses import dataclass
from enum import StrEnum

from client.vault.handles import framed

TAG = 16  # bytes that a row keeps of a tag
MOST_ACTORS = 3  # who asked, and the two who confirmed
_LONGEST = 160  # characters of a reference
_OUTCOME = re.compile(r"[a-zA-Z_]{1,40}")
_TIMES = struct.Struct(">dd")


class Kind(StrEnum):
    """What was done."""

    ENROL = "enrol"
    VERIFY = "verify"
    IDENTIFY = "identify"
    DESCRIBE = "describe"
    SEARCH = "search"
    CONFIRM = "confirm"
    ERASE = "erase"
    EXPORT = "export"
    RENEW = "renew"
    RELABEL = "relabel"
    LABELS = "labels"
    LIST = "list"
    ROTATE = "rotate"
    CALIBRATE = "calibrate"
    STAGE = "stage"
    PROMOTE = "promote"
    ROLLBACK = "rollback"
    BACKUP = "backup"
    RESTORE = "restore"
    AUDIT = "audit"
    CALLER = "caller"
    EXPIRE = "expire"
    EVALUATE = "evaluate"


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """What the law wants kept of one use (Regulation (EU) 2024/1689, Article 12(3)), and no more.

    Tags are keyed digests; a row keeps their first ``TAG`` bytes. ``ValueError`` for anything that
    is not of this form: nothing else can get into a row.
    """

    kind: Kind
    began: float  # Unix seconds
    ended: float
    reference: str = ""  # "generation:release": the reference data base that was looked in
    subject: bytes = b""  # tag of the person, by a key that dies with them
    input: bytes = b""  # tag of the probe
    outcome: str  # a band, the reason of an error, or "done", "unknown", "pending"
    actors: tuple[bytes, ...] = ()  # tags of the caller, then of the two who confirmed

    def __post_init__(self) -> None:
        kind, times = Kind(self.kind), (float(self.began), float(self.ended))
        if not all(math.isfinite(time) and time >= 0 for time in times):
            raise ValueError("an event has two times")
        if len(self.reference) > _LONGEST or not (
            self.reference.isascii() and self.reference.isprintable()
        ):
            raise ValueError("a reference is a generation and a release")
        if not _OUTCOME.fullmatch(self.outcome):
            raise ValueError("an outcome is a word")
        if len(self.actors) > MOST_ACTORS:
            raise ValueError(f"an event has at most {MOST_ACTORS} actors")
        for name, value in (("kind", kind), ("began", times[0]), ("ended", times[1])):
            object.__setattr__(self, name, value)
        object.__setattr__(self, "subject", self.subject and cut(self.subject))
        object.__setattr__(self, "input", self.input and cut(self.input))
        object.__setattr__(self, "actors", tuple(cut(actor) for actor in self.actors))

    def content(self) -> bytes:
        """Everything that a row's hash covers, in one text that no other event has."""
        words = (self.kind.value, self.reference, self.outcome)
        times = _TIMES.pack(self.began + 0.0, self.ended + 0.0)
        return framed("event", *words, times, self.subject, self.input, *self.actors)


def cut(tag: bytes) -> bytes:
    """What a row keeps of ``tag``; ``ValueError`` if there is less of it."""
    if not isinstance(tag, bytes) or len(tag) < TAG:
        raise ValueError(f"a tag has {TAG} bytes or more")
    return tag[:TAG]
