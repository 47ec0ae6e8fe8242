"""The roster this agent goes by: the newest that the centre signed, whoever brought it.

What admission wrote into trust/ may be a day old, and sites are admitted in between. So an offer
may bring the roster along; it is believed for its signature alone, and kept by the agent itself.
"""

from collections.abc import Callable
from pathlib import Path

from common.errors import AggregationError
from common.trust import storing
from common.trust.keys import PublicKey
from common.trust.roster import Roster, read_roster
from common.trust.signed import Signed


class Rosters:
    """The newest roster of ``federation`` that is known here.

    ``pinned`` reads the one in trust/, or None; ``path`` is a file of the agent's own.
    Guarantee: only one the centre's key signed for this federation; never an older one than was
    used before, restarts included; two of one number are refused, so the centre cannot show this
    site other members than it showed it before without a new number.
    Leaks: nothing. A centre that admits whom it likes fills rosters with them: what that is worth
    is said by the honest sites that a plan counts on.
    """

    def __init__(
        self, path: Path, centre: PublicKey, federation: str, pinned: Callable[[], Roster | None]
    ) -> None:
        self._path, self._centre, self._pinned = path, centre, pinned
        self._newest = Roster(federation=federation)
        content = storing.read(path)
        if content is not None:
            self._take(content.decode("utf-8", "replace"))

    def now(self) -> Roster:
        """The newest there is; ``AggregationError`` before there is one."""
        self._look()
        if not self._newest.sites:
            raise AggregationError("this site has no roster yet")
        return self._newest

    def offer(self, text: str) -> None:
        """Takes the roster that came with a charter, if it is newer.

        Raises ``SignatureError`` for one that is not the centre's, or another of the same number.
        """
        self._look()
        if self._take(text):
            storing.replace(self._path, text.encode())

    def _look(self) -> None:
        found = self._pinned()
        if found is not None and found.number > self._newest.number:
            self._newest = found

    def _take(self, text: str) -> bool:
        founding = Roster(federation=self._newest.federation)
        roster = read_roster(Signed.from_json(text), self._centre, founding)
        if roster.number < self._newest.number:
            return False  # the centre's own, only late
        if roster.number == self._newest.number and self._newest.sites:
            read_roster(Signed.from_json(text), self._centre, self._newest)
            return False
        self._newest = roster
        return True
