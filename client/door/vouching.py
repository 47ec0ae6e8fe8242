"""Who vouches for a release before it is staged: the centre's signature, and this site's own gates.

Checked in the process that decides at the door, for a token of an operator proves who asks, and
nothing about a release.

Guarantee: at a site of a federation only a release is staged that the pinned centre signed, that
its history names as due at this very site, and whose evidence passes the limits of `policy.toml`,
judged anew here. One that was withdrawn, or in whose place another was put, does not begin to
decide. The history never gets shorter and never forks, restarts included.
Leaks: nothing. Whoever owns the site's files can write `unsigned = true` into `policy.toml`.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from client.centre.releases import Trusted, kept_history, trusted
from client.home import SiteHome
from client.policy import SitePolicy
from client.privacy.reading import read_ledger
from common.config import load
from common.errors import (
    EvidenceError,
    HistoryError,
    NotDueError,
    ReleaseError,
    UnsignedError,
    WithdrawnError,
)
from common.evidence.bundle import MANIFEST, MOST_FILES, Release, cap_of, read_release
from common.evidence.container import unpack
from common.evidence.gates import judge, refused
from common.evidence.history import History, parse_history
from common.evidence.limits import Known
from common.trust import storing


class Vouching(Protocol):
    """Asked before a release is staged, and before it begins to decide; raises ``ReleaseError``."""

    def check_plain(self) -> None:
        """Whether a tail may be staged that nobody signed."""

    def read(self, content: bytes) -> Release:
        """The signed release in ``content``, once nothing speaks against staging it."""

    def check_next(self, tail: str, heads: str = "") -> None:
        """Whether the staged release of this tail, with the file of heads of this hash ("": none),
        may decide."""

    def check_back(self, tail: str, heads: str = "") -> None:
        """Whether such a release, which decided before, may decide again."""


class Alone:
    """Of a site that has no centre: its operator vouches for what is staged."""

    def check_plain(self) -> None:
        return

    def read(self, content: bytes) -> Release:
        raise ReleaseError("this site is alone, and has no centre's key to check a release by")

    def check_next(self, tail: str, heads: str = "") -> None:
        return

    def check_back(self, tail: str, heads: str = "") -> None:
        return


@dataclass(frozen=True, kw_only=True, slots=True)
class _Vouched:
    """What the agent remembers: the newest history, and the digests of releases, each by its tail,
    or by tail and heads as ``_called`` says."""

    history: History
    tails: Mapping[str, str] = field(default_factory=dict)


class Member:
    """Of a site in a federation, whose trunk has the hash ``trunk``. Reads the files of its home
    whenever it is asked, for news comes while the door is open."""

    def __init__(self, home: SiteHome, trunk: str) -> None:
        self._home, self._trunk = home, trunk

    def check_plain(self) -> None:
        """Raises ``UnsignedError`` unless `policy.toml` allows it in so many words."""
        if not load(SitePolicy, self._home.policy).release.unsigned:
            raise UnsignedError("a site of a federation stages signed releases alone")

    def read(self, content: bytes) -> Release:
        """Raises ``HistoryError``, ``WithdrawnError``, ``NotDueError``, ``SignatureError``,
        ``EvidenceError``, and ``ReleaseError`` for bytes that are no release."""
        us = trusted(self._home)
        vouched, digest = self._newest(us), _digest(content)
        _check_due(vouched.history, us, digest)
        release = read_release(content, us.centre, us.federation, digest)
        self._check_evidence(release)
        tails = {**vouched.tails, _called(release.tail.hash, release.heads_file): digest}
        self._keep(_Vouched(history=vouched.history, tails=tails))
        return release

    def check_next(self, tail: str, heads: str = "") -> None:
        """Raises ``WithdrawnError`` or ``NotDueError`` if the centre changed its mind meanwhile."""
        found = self._known(_called(tail, heads))
        if found is not None:
            _check_due(*found)

    def check_back(self, tail: str, heads: str = "") -> None:
        """Raises ``WithdrawnError``: what was withdrawn is nothing to go back to."""
        found = self._known(_called(tail, heads))
        if found is not None:
            _check_not_withdrawn(*found)

    def _known(self, called: str) -> tuple[History, Trusted, str] | None:
        """What to look up of a release; None for a tail that was never vouched for: the one that
        the trunk came with, or one of a site that was alone."""
        if storing.read(self._home.vouched) is None:
            return None
        us = trusted(self._home)
        vouched = self._newest(us)
        digest = vouched.tails.get(called)
        return None if digest is None else (vouched.history, us, digest)

    def _newest(self, us: Trusted) -> _Vouched:
        """The longer one of the histories in trust/ and of the agent's own, which must agree."""
        own, shown = self._own(us), kept_history(self._home, us)
        longer, other = own.history, shown
        if len(shown.entries) > len(own.history.entries):
            longer, other = shown, own.history
        longer.check_extends(other.head)
        newest = _Vouched(history=longer, tails=own.tails)
        if longer is shown:
            self._keep(newest)
        return newest

    def _own(self, us: Trusted) -> _Vouched:
        content = storing.read(self._home.vouched)
        if content is None:
            return _Vouched(history=History(us.federation))
        try:
            table = json.loads(content)
            told, tails = table["history"], dict(table["tails"])
        except (ValueError, TypeError, KeyError, RecursionError):
            raise HistoryError(f"{self._home.vouched} was altered: put it back") from None
        return _Vouched(history=parse_history(told, us.centre, us.federation), tails=tails)

    def _keep(self, vouched: _Vouched) -> None:
        table = {"history": vouched.history.to_json(), "tails": dict(vouched.tails)}
        storing.replace(self._home.vouched, json.dumps(table).encode())

    def _check_evidence(self, release: Release) -> None:
        limits = load(SitePolicy, self._home.policy).release.limits()
        known = Known(trunk=self._trunk, plan=accepted_plan(self._home, release.manifest.run))
        failed = refused(judge(release, limits, known))
        if failed:
            raise EvidenceError(f"gates of this site refuse the release: {', '.join(failed)}")


def accepted_plan(home: SiteHome, run: str) -> str:
    """The digest of the plan by which this site took part in ``run``; "" if it did not.

    ``LedgerError`` while the ledger cannot be believed.
    """
    key = storing.read(home.ledger_key)
    if key is None or not home.ledger.is_file():
        return ""
    for entry in reversed(read_ledger(home.ledger, key).entries):
        if entry.kind == "accept" and entry.run == run:
            return entry.digest
    return ""


def _called(tail: str, heads: str) -> str:
    """By what a release is looked up: two may have one tail, and other heads."""
    return f"{tail}:{heads}" if heads else tail


def _digest(content: bytes) -> str:
    """The name that a release gives itself; nothing in it is believed by that."""
    words = unpack(content, cap_of, MOST_FILES + 2).get(MANIFEST, b"")
    return hashlib.sha256(words).hexdigest()


def _check_due(history: History, us: Trusted, digest: str) -> None:
    _check_not_withdrawn(history, us, digest)
    if digest != us.due(history):
        named = "is due to others" if history.names(digest) else "was never put in force"
        raise NotDueError(f"release {digest[:12]} {named}, and not due at this site")


def _check_not_withdrawn(history: History, us: Trusted, digest: str) -> None:
    for pool in us.pools:
        if digest in history.standing(pool).withdrawn:
            raise WithdrawnError(
                f"release {digest[:12]} was withdrawn: {history.reason(digest, pool)}"
            )
