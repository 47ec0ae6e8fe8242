"""What the gateway turns away: a status for the sender, a count for the administrator, no words."""

import logging
from collections import Counter
from collections.abc import Callable

log = logging.getLogger(__name__)


class RefusedError(Exception):
    """A request that goes no further. ``cause`` is one of our own words, never the request's."""

    def __init__(self, status: int, cause: str) -> None:
        super().__init__(cause)
        self.status, self.cause = status, cause


class Tally:
    """Counts refusals by cause and logs them, one line in ``seconds`` however many there are.

    Guarantee: nothing of a request, not even its address, gets into a log; no flood fills a disk.
    """

    def __init__(self, now: Callable[[], float], seconds: float = 60.0) -> None:
        self._now, self._seconds = now, seconds
        self._counts: Counter[str] = Counter()
        self._told = -float("inf")
        self.total: Counter[str] = Counter()

    def note(self, cause: str) -> None:
        """Counts one refusal and tells of all since the last line if it is time to."""
        self._counts[cause] += 1
        self.total[cause] += 1
        if self._now() - self._told >= self._seconds:
            self._told = self._now()
            counts = ", ".join(f"{c} {n}" for c, n in sorted(self._counts.items()))
            log.warning("refused since the last line: %s", counts)
            self._counts.clear()
