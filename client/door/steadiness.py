"""Whether the clock may be believed when it says that keys are to be destroyed.

A clock that is set far forward ends everybody's consent at once. To answer nobody is careful and
passes; destroyed keys do not come back. So after a leap nothing is destroyed for a day, in which
somebody may notice and set the clock right.
"""

import logging
from collections.abc import Callable

LEAP = 3_600.0  # seconds by which a clock may be ahead of itself between two looks
GAP = 30 * 86_400.0  # seconds after the last thing known to have been done, at a start
PAUSE = 86_400.0  # seconds that nothing is destroyed after a leap

log = logging.getLogger(__name__)


class Steadiness:
    """Compares the ``clock`` (Unix seconds) with ``uptime``, which nobody sets.

    ``known`` is when something was last done here, None if nothing ever was. A machine that slept
    looks like a leap, and its people are erased a day later.
    """

    def __init__(
        self, clock: Callable[[], float], uptime: Callable[[], float], known: float | None
    ) -> None:
        self._clock, self._uptime = clock, uptime
        self._wall, self._up = clock(), uptime()
        self._from = self._up
        if known is not None and self._wall - known > GAP:
            self._pause("nothing was done here for a month")

    def trusted(self) -> bool:
        """Whether there was no leap for a day; to be asked often, for it looks for one."""
        wall, up = self._clock(), self._uptime()
        if wall - self._wall > up - self._up + LEAP:
            self._pause("the clock was set forward")
        self._wall, self._up = wall, up
        return up >= self._from

    def _pause(self, why: str) -> None:
        self._from = self._uptime() + PAUSE
        log.warning("%s: is the date right? nobody is erased for a day", why)
