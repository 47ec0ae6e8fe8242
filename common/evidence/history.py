"""The history of releases: what the centre put in force, when, for whom and why; a signed chain.

Guarantee: each entry is signed by the centre and names the one before, so a history can only grow.
Whoever keeps the head it saw (``Head``) refuses one that was shortened or that forks before it.
Nothing goes back in silence: an older release comes back by an entry of its own, with a reason.
Leaks: to members, releases, times, reasons, and the sites that went first: all public among them.
Not promised: that two sites see one history. See ``common.evidence.witnesses``.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Literal

from common import wire
from common.config import build
from common.errors import ConfigError, HistoryError, SignatureError, SplitViewError
from common.trust.keys import PublicKey, SigningKey
from common.trust.roster import check_name
from common.trust.signed import Signed, seal, unseal

PURPOSE = "release history"
GENESIS = "0" * 64
LONGEST_REASON = 300  # characters; with MOST_SITES what fits into a question of a site
MOST_SITES = 128  # of a canary
_DIGEST = re.compile(r"[0-9a-f]{64}")

Action = Literal["canary", "promote", "rollback", "withdraw"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """What an entry does to the sites of ``pool``.

    canary: ``sites`` stage ``release`` first; promote: all do; rollback: all go back to one that
    was in force before; withdraw: nobody uses it any more. The last two need a reason.
    """

    action: Action
    release: str  # ``Release.digest``
    pool: str
    reason: str = ""  # in words for operators; names nobody
    sites: tuple[str, ...] = ()  # of a canary, by name, sorted
    share: float = 0.0  # of the admitted sites of the pool, if they were chosen by it

    def __post_init__(self) -> None:
        if not _DIGEST.fullmatch(self.release):
            raise ConfigError("a release is named by its SHA-256")
        if not 1 <= len(self.pool) <= wire.MAX_NAME or not self.pool.isprintable():
            raise ConfigError("a pool has a name")
        if len(self.reason) > LONGEST_REASON or not self.reason.isprintable():
            raise ConfigError(f"a reason has at most {LONGEST_REASON} printable characters")
        if self.action in ("rollback", "withdraw") and not self.reason.strip():
            raise ConfigError(f"a {self.action} needs a reason")
        if bool(self.sites) != (self.action == "canary"):
            raise ConfigError("a canary, and no other, names the sites that go first")
        if len(self.sites) > MOST_SITES:
            raise ConfigError(f"at most {MOST_SITES} sites go first")
        if list(self.sites) != sorted(set(self.sites)):
            raise ConfigError("sites are sorted, each once")
        for name in self.sites:
            check_name(name)
        if not 0 <= self.share <= 1 or (self.share and self.action != "canary"):
            raise ConfigError("share is that of a canary, in [0, 1]")


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry(Step):
    """One step at its place in the chain."""

    federation: str
    number: int  # from 1
    previous: str  # ``entry_digest`` of the one before; ``GENESIS`` at the first
    time: int  # seconds since 1970, UTC, of the centre's clock

    def __post_init__(self) -> None:
        Step.__post_init__(self)
        if not (_DIGEST.fullmatch(self.federation) and _DIGEST.fullmatch(self.previous)):
            raise ConfigError("federation and previous are SHA-256")
        if not (1 <= self.number < 2**31 and 0 <= self.time < 2**40):
            raise ConfigError("number and time are not those of an entry")


@dataclass(frozen=True, slots=True)
class Head:
    """How far a history goes: number and digest of its last entry."""

    number: int = 0
    digest: str = GENESIS


@dataclass(slots=True)
class Standing:
    """What holds for one pool."""

    in_force: str = ""  # the release of all its sites; empty before the first and after its end
    before: tuple[str, ...] = ()  # all that were in force, the oldest first, this one included
    canary: str = ""  # the release that ``sites`` stage first
    sites: tuple[str, ...] = ()
    withdrawn: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class History:
    """A chain that verified: ``entries`` and the very texts that were signed."""

    federation: str
    entries: tuple[Entry, ...] = ()
    texts: tuple[Signed, ...] = ()
    _pools: dict[str, Standing] = field(default_factory=dict, compare=False)

    @property
    def head(self) -> Head:
        return self.head_at(len(self.entries))

    def head_at(self, number: int) -> Head:
        """The head when there were ``number`` entries; ``HistoryError`` if there never were."""
        if not 0 <= number <= len(self.entries):
            raise HistoryError(f"the history has {len(self.entries)} entries, not {number}")
        return Head(number, entry_digest(self.texts[number - 1]) if number else GENESIS)

    def standing(self, pool: str) -> Standing:
        """What holds for ``pool``; nothing, for one that was never heard of."""
        return self._pools.get(pool, Standing())

    def due(self, site: str, pool: str) -> str:
        """The release that ``site`` of ``pool`` is to have staged; empty for none."""
        found = self.standing(pool)
        return found.canary if site in found.sites else found.in_force

    def names(self, release: str) -> bool:
        """Whether any entry is about ``release``."""
        return any(entry.release == release for entry in self.entries)

    def reason(self, release: str, pool: str) -> str:
        """What the last entry about ``release`` in ``pool`` gave as its reason."""
        told = [e.reason for e in self.entries if (e.release, e.pool) == (release, pool)]
        return told[-1] if told else ""

    def check_extends(self, known: Head) -> None:
        """Raises ``HistoryError`` for one shorter than ``known``, ``SplitViewError`` for a fork."""
        if known.number > len(self.entries):
            raise HistoryError(
                f"the centre shows {len(self.entries)} entries of a history that had "
                f"{known.number}: it went back to an older state, or keeps news from this site"
            )
        if self.head_at(known.number) != known:
            raise SplitViewError(
                f"entry {known.number} of the history is another one than before: the centre "
                "signed two"
            )

    def with_step(self, step: Step, key: SigningKey, time: int) -> "History":
        """One entry longer, signed by the centre's ``key``; ``HistoryError`` if it may not be."""
        last = self.entries[-1].time if self.entries else 0
        entry = Entry(
            **asdict(step),
            federation=self.federation,
            number=len(self.entries) + 1,
            previous=self.head.digest,
            time=max(int(time), last),
        )
        return self._after(entry, seal(key, PURPOSE, asdict(entry)))

    def to_json(self) -> str:
        return json.dumps([signed.to_json() for signed in self.texts])

    def _after(self, entry: Entry, signed: Signed) -> "History":
        if entry.federation != self.federation:
            raise HistoryError("an entry of another federation")
        if (entry.number, entry.previous) != (len(self.entries) + 1, self.head.digest):
            raise HistoryError(f"entry {entry.number} does not follow the one before")
        if self.entries and entry.time < self.entries[-1].time:
            raise HistoryError(f"entry {entry.number} is older than the one before")
        pools = {**self._pools, entry.pool: _moved(self.standing(entry.pool), entry)}
        return History(self.federation, (*self.entries, entry), (*self.texts, signed), pools)


def entry_digest(signed: Signed) -> str:
    """What names an entry: SHA-256 over its words and their signature."""
    return wire.digest(PURPOSE, signed.content, signed.signature)


def read_entry(signed: Signed, centre: PublicKey) -> Entry:
    """The entry in ``signed``; ``SignatureError`` unless ``centre`` signed it as one."""
    try:
        return build(Entry, unseal(centre, PURPOSE, signed), "entry")
    except ConfigError as error:
        raise SignatureError(f"not an entry of a history: {error}") from None


def read_history(
    texts: Sequence[Signed], centre: PublicKey, federation: str, known: Head | None = None
) -> History:
    """The history in ``texts``, which goes on from ``known``, the head seen before.

    Raises ``SignatureError`` for what ``centre`` did not sign, ``HistoryError`` for a chain that is
    broken, of another federation, or takes a step that may not be taken.
    """
    found = History(federation)
    for signed in texts:
        found = found._after(read_entry(signed, centre), signed)
    if known is not None:
        found.check_extends(known)
    return found


def parse_history(text: str, centre: PublicKey, federation: str) -> History:
    """Reads ``History.to_json``; raises like ``read_history``."""
    try:
        table = json.loads(text)
    except (ValueError, RecursionError):
        table = None
    if not isinstance(table, list) or not all(isinstance(entry, str) for entry in table):
        raise HistoryError("not a history of releases")
    return read_history([Signed.from_json(entry) for entry in table], centre, federation)


def _moved(old: Standing, entry: Entry) -> Standing:
    """What holds after ``entry``; ``HistoryError`` for a step that may not be taken."""
    release, was = entry.release, entry.release in old.before
    if entry.action == "withdraw":
        return Standing(
            in_force="" if old.in_force == release else old.in_force,
            before=old.before,
            canary="" if old.canary == release else old.canary,
            sites=() if old.canary == release else old.sites,
            withdrawn=old.withdrawn | {release},
        )
    if release in old.withdrawn:
        raise HistoryError(f"release {release[:12]} was withdrawn")
    if entry.action == "rollback":
        if not was or (release == old.in_force and not old.canary):
            raise HistoryError("a rollback goes back to a release that was in force before")
    elif was:
        raise HistoryError(
            f"release {release[:12]} was in force before: going back to it is a rollback, which "
            "needs a reason"
        )
    if entry.action == "canary":
        return Standing(old.in_force, old.before, release, entry.sites, old.withdrawn)
    before = (*(one for one in old.before if one != release), release)
    return Standing(release, before, "", (), old.withdrawn)
