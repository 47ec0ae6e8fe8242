"""What sites are told of releases: the history, what all sites saw of it, and files by the piece.

Guarantee: only an admitted site is answered; only releases that the history names are given, by
their digest, a bounded piece at a time. Nothing a site sends is kept but its own statement of what
it saw, and that only if both its signature and the centre's are good.
Leaks: to members, all of the history, and which entry each site saw last, and when.
"""

import logging
from typing import Any

from common.errors import DeploymentError, SignatureError, WireError
from common.evidence.asking import (
    MOST_ENTRIES,
    NEWS,
    PIECE_BYTES,
    News,
    Piece,
    ReleaseQuestion,
)
from common.evidence.history import Head, History
from common.evidence.witnesses import Witness, read_witness
from common.trust import storing
from common.trust.admission import WINDOW
from common.trust.keys import PublicKey
from common.trust.refusals import refused
from common.trust.roster import Roster, SiteEntry
from server.home import CentreHome
from server.release.registry import Registry
from server.release.seen import statements
from server.standing import public_key

log = logging.getLogger(__name__)

LONGEST_WITNESS = 16 * 2**10  # characters; the sites of a canary are named in it


class ReleaseDesk:
    """Answers `releases` and `release` for sites that admission has let through."""

    def __init__(self, home: CentreHome) -> None:
        self._home, self._registry = home, Registry(home)
        self._centre = public_key(home)
        self._read: tuple[bytes | None, History] | None = None

    def answer(
        self, site: SiteEntry, question: ReleaseQuestion, roster: Roster, now: float
    ) -> dict[str, Any]:
        """The JSON object for ``question`` of ``site``, which ``roster`` holds as admitted.

        Raises ``AdmissionError`` for a release that the history does not name, ``WireError`` for
        an offset outside of it.
        """
        if question.ask == NEWS:
            return self._news(site, question, roster, now)
        return self._piece(question)

    def _news(
        self, site: SiteEntry, question: ReleaseQuestion, roster: Roster, now: float
    ) -> dict[str, Any]:
        if question.witness:
            self._keep(site, question.witness, now)
        witnesses = statements(self._home, roster)
        history = self._history()  # after the witnesses, so that none is ahead of it
        told = history.texts[question.after : question.after + MOST_ENTRIES]
        return News(
            entries=told,
            witnesses=witnesses,
            number=len(history.entries),
        ).to_table()

    def _piece(self, question: ReleaseQuestion) -> dict[str, Any]:
        if not self._history().names(question.release):
            raise refused("RELEASE_UNKNOWN")
        size = self._registry.size_of(question.release)
        if question.offset >= size:
            raise WireError("beyond the end of the release")
        content = self._registry.piece(question.release, question.offset, PIECE_BYTES)
        return Piece(content=content, offset=question.offset, size=size).to_table()

    def _history(self) -> History:
        """The history as it is now; verified again only when its file has changed."""
        content = storing.read(self._home.history)
        if self._read is None or self._read[0] != content:
            self._read = content, self._registry.history()
        return self._read[1]

    def _keep(self, site: SiteEntry, text: str, now: float) -> None:
        """Keeps what ``site`` says it saw, if it says more or later than before."""
        said = self._parse(site, text)
        if said is None or abs(said[0].time - now) > WINDOW:
            log.warning("a statement on the history of releases is not its site's own")
            return
        path = self._home.witnesses / f"{site.name}.json"
        kept = self._parse(site, (storing.read(path) or b"").decode("utf-8", "replace"))
        if kept is not None and _order(kept) >= _order(said):
            return
        number, head = said[1].number, said[1]
        history = self._history()
        if number > len(history.entries) or history.head_at(number) != head:
            log.error("%s was shown another history of releases than this one", site.name)
        try:
            self._home.witnesses.mkdir(mode=0o700, parents=True, exist_ok=True)
            storing.replace(path, text.encode())
        except (OSError, DeploymentError):
            log.error("a statement cannot be kept; `mascaron-admin doctor` says why")

    def _parse(self, site: SiteEntry, text: str) -> tuple[Witness, Head] | None:
        try:
            if len(text) > LONGEST_WITNESS:
                return None
            witness, head = read_witness(text, PublicKey.of(site.identity), self._centre)
        except SignatureError:
            return None
        mine = (self._registry.federation, site.name)
        return (witness, head) if (witness.federation, witness.site) == mine else None


def _order(said: tuple[Witness, Head]) -> tuple[int, int]:
    return said[1].number, said[0].time
