"""`mascaron-site audit`: whether the record of what was done is whole, and what it says.

Rows are read as they lie on the disk, so looking works while the agent answers. Taking old rows
away does not: the agent has the log then.
"""

import hashlib
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from client.audit.chain import AuditHead, Entry, Verdict
from client.audit.commitments import Commitments, Seen
from client.audit.events import Event, Kind
from client.audit.log import AuditLog, AuditPlace
from client.audit.reading import read_ends, read_entries, verify_file
from client.centre.admission import countersigned
from client.home import SiteHome
from common.errors import AuditError, ConfigError, SignatureError
from common.trust import storing
from common.trust.keys import PublicKey, SigningKey

PAGE = 1000  # rows read at once


@dataclass(frozen=True, kw_only=True, slots=True)
class Book:
    """Which log to look at, whose it is and by which key its rows are signed."""

    path: Path
    public: PublicKey
    site: str
    seen: Seen = field(default_factory=lambda: Seen(heads=()))  # what the centre vouches for

    @classmethod
    def of(cls, home: SiteHome, path: Path | None, key: str | None, site: str | None) -> "Book":
        """The log of ``home`` unless all three name another; ``ConfigError`` for some of them."""
        given = [path is not None, key is not None, site is not None]
        if any(given) and not all(given):
            raise ConfigError(
                "PATH, --key and --site belong together; give none for the home's log"
            )
        if path is not None and key is not None and site is not None:
            return cls(path=path, public=public_key(key), site=site)
        home.check_agent()
        own = own_key(home)
        seen = countersigned(home, own)
        return cls(path=home.audit, public=own, site=home.config().name, seen=seen)

    def verify(self) -> Verdict:
        """``AuditError`` naming the first broken record, ``ConfigError`` if there is no log."""
        verdict = verify_file(self.path, self.public, self.site, self.seen.heads)
        if verdict.broken is not None:
            raise AuditError(f"the log is broken at record {verdict.broken}: {verdict.why}")
        return verdict


def own_key(home: SiteHome) -> PublicKey:
    """By which this site's rows are checked, also after it left and its key is gone."""
    kept = storing.read(home.identity_public)
    if kept is not None and not home.identity_key.exists():
        return public_key(kept.decode("ascii", "replace"))
    return SigningKey.load(home.identity_key).public


def public_key(text: str) -> PublicKey:
    """The key that somebody typed; ``ConfigError`` if it is none."""
    try:
        return PublicKey.of(text.strip())
    except SignatureError:
        raise ConfigError("not a site's public key, as `audit verify` shows it") from None


def verify_audit(book: Book) -> dict[str, Any]:
    """How many rows were found whole, the first one's number, and the head."""
    verdict = book.verify()
    return {
        "verified": verdict.entries,
        "first": verdict.first,
        "head": _head(read_ends(book.path)[1]),
        "countersigned": {"heads": len(book.seen.heads), "last": book.seen.last},
        "site": book.site,
        "key": book.public.text,
    }


def show_audit(book: Book, after: int, most: int) -> dict[str, Any]:
    """At most ``most`` rows after number ``after``; ``AuditError`` for a log that is not whole."""
    book.verify()
    return {"entries": [_shown(entry) for entry in read_entries(book.path, after, most)]}


def export_audit(book: Book, to: Path) -> dict[str, Any]:
    """Writes the whole log into ``to``, a JSON object a line: head and anchor first, then rows.

    With each row is its signature. The result names the file's SHA-256, for a letter beside it.
    ``ConfigError`` if there is something at ``to`` already.
    """
    if to.exists():
        raise ConfigError(f"there is something at {to} already: name a new file")
    verdict = book.verify()
    anchor, head = read_ends(book.path)
    ends = {"anchor": _head(anchor), "head": _head(head)}
    lines = [json.dumps({"site": book.site, "key": book.public.text, **ends})]
    after = 0
    while rows := read_entries(book.path, after, PAGE):
        lines += [json.dumps({**_shown(row), "signature": row.signature.hex()}) for row in rows]
        after = rows[-1].index
    content = "".join(f"{line}\n" for line in lines).encode()
    storing.replace(to, content)
    return {"exported": verdict.entries, "sha256": hashlib.sha256(content).hexdigest()}


def prune_audit(home: SiteHome, before: datetime, now: float) -> dict[str, Any]:
    """Takes away the rows that ended before ``before`` (UTC), none younger than six months.

    What was done is a row itself. Raises ``ConfigError``, and ``BusyError`` while the agent runs.
    """
    home.check_agent()
    if not home.audit.exists():
        raise ConfigError(f"there is no audit log at {home.audit}: nothing to take away")
    key = SigningKey.load(home.identity_key)
    seen = countersigned(home, key.public).heads
    place = AuditPlace(path=home.audit, key=key, site=home.config().name, passed=seen)
    with AuditLog(place) as log:
        gone = log.prune(before.replace(tzinfo=UTC).timestamp(), now)
        if gone:
            log.append(Event(kind=Kind.AUDIT, began=now, ended=now, outcome="pruned"))
        return {"pruned": gone, "head": _head(log.head())}


def acknowledge_audit(home: SiteHome, now: float) -> dict[str, Any]:
    """Goes on with the log there is, or a new one, although the centre countersigned another.

    A row of it says so for good. Raises ``AuditError`` for a log that is not whole by itself, and
    ``BusyError`` while the agent runs.
    """
    home.check_agent()
    key = SigningKey.load(home.identity_key)
    with AuditLog(AuditPlace(path=home.audit, key=key, site=home.config().name)) as log:
        log.append(Event(kind=Kind.AUDIT, began=now, ended=now, outcome="acknowledged"))
        Commitments(home.commitments).acknowledge()
        return {"acknowledged": True, "head": _head(log.head())}


def _head(head: AuditHead) -> dict[str, Any]:
    table = {"index": head.index, "hash": head.hash.hex(), "at": head.at}
    return {**table, "signature": head.signature.hex()}


def _shown(entry: Entry) -> dict[str, Any]:
    event = entry.event
    return {
        "index": entry.index,
        "kind": event.kind.value,
        "began": event.began,
        "ended": event.ended,
        "reference": event.reference,
        "subject": event.subject.hex(),
        "input": event.input.hex(),
        "outcome": event.outcome,
        "actors": [actor.hex() for actor in event.actors],
    }
