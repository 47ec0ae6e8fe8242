"""Heads of the audit log that the centre saw, as far as it sees anything, and signed.

What this site commits to is written here before it is sent. The centre shows back what it signed
last: where that is not in this file, file and log are older than they were.
"""

import json
import logging
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from client.audit import chain, mirror
from client.vault.identity import Random
from common.config import build
from common.errors import AuditError, ConfigError, DeploymentError, SignatureError
from common.locks import locked
from common.trust import storing
from common.trust.commitments import (
    HASH,
    NONCE,
    Countersigned,
    commitment,
    read_countersigned,
)
from common.trust.keys import PublicKey

log = logging.getLogger(__name__)

Head = tuple[int, bytes]


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One line of the file: a commitment that was made, the centre's word on one, its word on one
    that is not known here, or the operator's that all before it is settled."""

    kind: Literal["made", "signed", "strange", "acknowledged"]
    index: int = 0
    hash: str = ""
    nonce: str = field(default="", repr=False)
    word: str = ""

    def head(self) -> tuple[str, Head]:
        """The commitment of a line that was ``made``, and what it is to."""
        head = self.index, bytes.fromhex(self.hash)
        return commitment(head, bytes.fromhex(self.nonce)), head


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """What the centre vouches for: heads the log must have gone through, and when it last did."""

    heads: tuple[Head, ...]
    last: int = 0  # Unix seconds of the centre's clock; 0 where it never did


@dataclass(frozen=True, kw_only=True, slots=True)
class Parties:
    """Who commits to whom, in which federation."""

    centre: PublicKey
    identity: PublicKey
    federation: str


class Commitments:
    """`trust/commitments.jsonl`: one line each, only ever added to.

    Guarantee: a log that was cut or replaced below a head the centre countersigned does not pass
    ``seen``, even if log, this file and all else here come from one older copy, once the centre was
    asked again. The centre learns nothing of the log but that there may be one.
    Leaks: to who reads the file, how many rows there were when.
    """

    def __init__(self, path: Path, random: Random = os.urandom) -> None:
        self._path, self._random = path, random

    def make(self, audit: Path, site: str) -> str:
        """A commitment to the head of the log at ``audit`` as it is now; written before it is told.

        Where there is no log yet it is to the empty one, and looks the same.
        """
        kept = mirror.read(mirror.path_of(audit))
        heads = (0, chain.genesis(site)) if kept is None else max(kept.heads, default=(0, b""))
        index, value = heads
        if len(value) != HASH:
            raise AuditError("the file beside the audit log, with its head, is damaged")
        nonce = self._random(NONCE)
        self._add(Line(kind="made", index=index, hash=value.hex(), nonce=nonce.hex()))
        return commitment(heads, nonce)

    def keep(self, digest: str, word: str, before: str, parties: Parties) -> None:
        """Keeps the centre's ``word`` on ``digest``, and looks whether the one ``before`` is known.

        ``SignatureError`` for a word that is not the centre's, or on something else.
        """
        if _told(word, parties).digest != digest:
            raise SignatureError("the centre countersigned something else than this site showed it")
        if before and _told(before, parties).digest not in self._made():
            log.error("the centre saw an audit log that is not here: `mascaron-site audit verify`")
            self._add(Line(kind="strange", word=before))
        self._add(Line(kind="signed", word=word))

    def seen(self, parties: Parties) -> Seen:
        """What the log is to be held against; ``AuditError`` if this file is not whole, or the
        centre saw another."""
        made, last, strange = self._made(), 0, False
        heads: list[Head] = []
        for line in self._lines():
            if line.kind == "acknowledged":
                heads, strange = [], False
            elif line.kind == "strange":
                strange = True
            elif line.kind == "signed":
                try:
                    word = _told(line.word, parties)
                    heads.append(made[word.digest])
                except (SignatureError, KeyError):
                    raise AuditError(f"{self._path.name} was altered") from None
                last = max(last, word.time)
        if strange:
            raise AuditError(
                "the centre countersigned a log that is not here: log and commitments were "
                f"replaced by older ones; put the newest back, with {self._path.name}"
            )
        return Seen(heads=tuple(heads), last=last)

    def acknowledge(self) -> None:
        """The operator goes on with another log than the centre saw: what it saw before counts no
        more. A row of the log must say so first."""
        self._add(Line(kind="acknowledged"))

    def _made(self) -> dict[str, Head]:
        try:
            return dict(line.head() for line in self._lines() if line.kind == "made")
        except (ValueError, OverflowError):
            raise AuditError(f"{self._path.name} was altered") from None

    def _lines(self) -> Iterator[Line]:
        for raw in (storing.read(self._path) or b"").splitlines(keepends=True):
            if not raw.endswith(b"\n"):
                return  # torn by a crash before anybody was told
            try:
                yield build(Line, json.loads(raw), "commitment")
            except (ValueError, TypeError, ConfigError):
                raise AuditError(f"{self._path.name} was altered") from None

    def _add(self, line: Line) -> None:
        """On the disk when it returns; what a crash tore before is overwritten."""
        content = json.dumps({k: v for k, v in asdict(line).items() if v}).encode() + b"\n"
        lock = self._path.with_name(f"{self._path.name}.lock")
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        with locked(lock, "another commitment", patient=True):
            try:
                with os.fdopen(os.open(self._path, flags, 0o600), "r+b") as file:
                    whole = file.read().rfind(b"\n") + 1
                    file.seek(whole)
                    file.truncate()
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
            except OSError as error:
                raise DeploymentError(
                    f"cannot write {self._path}: {error.strerror}; free space there, or run as its "
                    "owner"
                ) from None


def _told(word: str, parties: Parties) -> Countersigned:
    found = read_countersigned(word, parties.centre)
    if (found.federation, found.identity) != (parties.federation, parties.identity.text):
        raise SignatureError("the centre's word is to another site")
    return found
