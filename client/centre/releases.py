"""What the centre put in force for this site: asked for, compared with all that is known, kept.

Guarantee: kept is only a history that the pinned centre signed, that goes on from the one kept
before, and that no other site's statement contradicts; and of it the one release that is due here,
bit for bit. A centre that shortens its history, signs two, or sends another release is refused, and
what was known stays. With every question this site states which history it was shown.
Leaks: to the centre, that the site asked, when, and what it has; its statement goes to all members.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from client.centre.admission import centre_of, known_roster
from client.centre.contact import Centre
from client.home import SHARED, SiteHome, make_folder
from common.errors import (
    AdmissionError,
    HistoryError,
    ReleaseError,
    SignatureError,
    SplitViewError,
)
from common.evidence.asking import (
    News,
    ReleaseQuestion,
    read_news,
    read_piece,
    send_release_question,
)
from common.evidence.bundle import ENDING, Release, read_release
from common.evidence.history import (
    Entry,
    History,
    entry_digest,
    parse_history,
    read_entry,
    read_history,
)
from common.evidence.witnesses import Crossing, cross, witness_of
from common.trust import storing
from common.trust.certificates import fingerprint, read_certificate
from common.trust.keys import PublicKey, SigningKey

EVERY_POOL = "all"  # of a federation whose plan makes one model for all kinds of cameras
MOST_ENTRIES = 10_000  # of a history
MOST_PIECES = 256  # of a release
KEPT = 8  # files of releases
_NOT_ADMITTED = "this site was not admitted yet: `mascaron-site admission`"


@dataclass(frozen=True, kw_only=True, slots=True)
class Trusted:
    """By which key this site knows its centre, and how it is known itself."""

    centre: PublicKey
    federation: str
    site: str
    pools: tuple[str, ...]  # whose releases may be for it

    def due(self, history: History) -> str:
        """The release that this site is to have staged; "" if there is none."""
        return next(filter(None, (history.due(self.site, pool) for pool in self.pools)), "")


@dataclass(frozen=True, kw_only=True, slots=True)
class Fetched:
    """What the centre showed: ``new`` are the entries that were not known here before."""

    history: History
    new: tuple[Entry, ...]
    crossing: Crossing
    release: Release | None  # the one that is due here


def trusted(home: SiteHome) -> Trusted:
    """Whom this site believes about releases; ``AdmissionError`` before it was admitted."""
    config = home.config()
    config.check_member()
    ca, centre = storing.read(home.ca), storing.read(home.centre_key)
    if ca is None or centre is None:
        raise AdmissionError(_NOT_ADMITTED)
    return Trusted(
        centre=PublicKey.of(centre.decode("ascii", "replace").strip()),
        federation=fingerprint(read_certificate(ca)),
        site=config.name,
        pools=(config.camera_type, EVERY_POOL),
    )


def kept_history(home: SiteHome, us: Trusted) -> History:
    """The history in trust/, verified; an empty one before the first was fetched."""
    content = storing.read(home.history)
    if content is None:
        return History(us.federation)
    return parse_history(content.decode("utf-8", "replace"), us.centre, us.federation)


def kept_release(home: SiteHome, us: Trusted, digest: str) -> Release | None:
    """The release of this digest in trust/, verified; None if it is not there."""
    content = storing.read(home.fetched / f"{digest}{ENDING}")
    return None if content is None else read_release(content, us.centre, us.federation, digest)


def fetch_releases(home: SiteHome, clock: Callable[[], float]) -> Fetched:
    """Asks the centre for news and for the release that is due; keeps what can be proven.

    Raises as ``fetch_history``, and ``SignatureError`` or ``ReleaseError`` for a release that is
    not the one that is due.
    """
    known = kept_history(home, trusted(home))
    history, crossing = fetch_history(home, clock)
    new = history.entries[len(known.entries) :]
    due = _due(home, history, _desk(home, clock))
    return Fetched(history=history, new=new, crossing=crossing, release=due)


def fetch_history(home: SiteHome, clock: Callable[[], float]) -> tuple[History, Crossing]:
    """Asks the centre for news of the history alone, and states which one this site was shown.

    Raises ``HistoryError`` or ``SplitViewError`` for one that is not the one known before, or not
    the one shown to others, ``SignatureError`` for what is not the centre's, ``AdmissionError`` and
    ``DeploymentError`` as ``admission.fetch`` does. What was known stays then, and the proof of two
    histories is kept in trust/.
    """
    desk, roster = _desk(home, clock), known_roster(home)
    if roster is None:
        raise AdmissionError(_NOT_ADMITTED)
    us = desk.us
    history = kept_history(home, us)
    while True:
        news = desk.news(history)
        with _keeping_proof(home, us):
            longer = _longer(history, news, us)
            whole = len(longer.entries) == news.number
            crossing = cross(longer, news.witnesses if whole else {}, roster, us.centre, clock())
        if whole:
            storing.replace(home.history, longer.to_json().encode(), storing.PUBLIC)
            if longer.head == history.head:  # and stated so in this very question
                return longer, crossing
        history = longer


@contextmanager
def _keeping_proof(home: SiteHome, us: Trusted) -> Iterator[None]:
    """Keeps the first proof that the centre signed two histories, for whoever is to judge it."""
    try:
        yield
    except SplitViewError as found:
        if found.entries and storing.read(home.split_view) is None:
            proof = {"federation": us.federation, "entries": list(found.entries)}
            storing.replace(home.split_view, json.dumps(proof).encode(), storing.PUBLIC)
        raise


def _desk(home: SiteHome, clock: Callable[[], float]) -> "_Desk":
    return _Desk(trusted(home), SigningKey.load(home.identity_key), centre_of(home), clock)


@dataclass(frozen=True, slots=True)
class _Desk:
    """Where this site asks: the centre it knows, and by which key it signs."""

    us: Trusted
    key: SigningKey
    centre: Centre
    clock: Callable[[], float]

    def news(self, history: History) -> News:
        """The last entry of ``history`` and what is behind it; states that ``history`` is all that
        was shown so far."""
        now = int(self.clock())
        witness = witness_of(history, self.us.site, now).sign(self.key).to_json()
        question = ReleaseQuestion(
            federation=self.us.federation,
            ask="releases",
            time=now,
            after=max(0, len(history.entries) - 1),
            witness=witness,
        )
        return read_news(self._ask(question))

    def release(self, digest: str) -> bytes:
        """The file of a release, piece by piece; nothing of it is believed yet."""
        content, size = bytearray(), 0
        for _ in range(MOST_PIECES):
            question = ReleaseQuestion(
                federation=self.us.federation,
                ask="release",
                time=int(self.clock()),
                release=digest,
                offset=len(content),
            )
            piece = read_piece(self._ask(question), len(content))
            if content and piece.size != size:
                raise ReleaseError("the centre sends a release whose size changes")
            content += piece.content
            size = piece.size
            if len(content) == size:
                return bytes(content)
        raise ReleaseError("the centre sends a release in too many pieces")

    def _ask(self, question: ReleaseQuestion) -> dict[str, Any]:
        return self.centre.ask(question.ask, send_release_question(question, self.key).to_json())


def _longer(history: History, news: News, us: Trusted) -> History:
    """``history`` and the entries of ``news`` behind its last one, which ``news`` begins with."""
    count = len(history.entries)
    if news.number < count:
        raise HistoryError(
            f"the centre shows {news.number} entries of a history that had {count}: it went back "
            "to an older state, or keeps news from this site"
        )
    new = news.entries[1:] if count else news.entries
    if count:
        _check_overlap(history, news, us)
    if news.number > count and not new:
        raise HistoryError("the centre counts entries of its history that it does not show")
    if count + len(new) > min(news.number, MOST_ENTRIES):
        raise HistoryError("the centre shows more entries of its history than there can be")
    texts = (*history.texts, *new)
    return read_history(texts, us.centre, us.federation, history.head)


def _check_overlap(history: History, news: News, us: Trusted) -> None:
    """The last entry known here is shown again with every answer, so that a history of the same
    length cannot take its place; ``SplitViewError`` for the proof that one did."""
    if not news.entries:
        raise HistoryError("the centre does not show again what it showed last")
    shown = news.entries[0]
    if entry_digest(shown) == history.head.digest:
        return
    entry = read_entry(shown, us.centre)
    if (entry.number, entry.federation) != (len(history.entries), us.federation):
        raise HistoryError("the centre leaves out entries of its history")
    raise SplitViewError(
        f"the centre signed two histories: entry {entry.number} is not the one this site was shown",
        (history.texts[-1].to_json(), shown.to_json()),
    )


def _due(home: SiteHome, history: History, desk: _Desk) -> Release | None:
    """The release that is due, from the disk or from the centre; keeps it, and lets old ones go."""
    us = desk.us
    digest = us.due(history)
    if not digest:
        return None
    try:
        release = kept_release(home, us, digest)
    except (ReleaseError, SignatureError):
        release = None  # altered on the disk: as good as none
    if release is None:
        content = desk.release(digest)
        release = read_release(content, us.centre, us.federation, digest)
        make_folder(home.fetched, SHARED)
        storing.replace(home.fetched / f"{digest}{ENDING}", content, storing.PUBLIC)
    named = list(dict.fromkeys(entry.release for entry in reversed(history.entries)))
    for path in sorted(home.fetched.glob(f"*{ENDING}")):
        if path.stem != digest and path.stem not in named[:KEPT]:
            storing.remove(path)
    return release
