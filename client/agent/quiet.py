"""Logs that a hostile courier cannot fill the disk with: so many lines a minute, then a count."""

import logging
import time
from collections.abc import Callable

MINUTE = 60.0  # seconds
LINES = 120  # a minute, of warnings and below


class RateLimit(logging.Filter):
    """Lets ``lines`` records a minute through; says how many were left out when the next may pass.

    Errors count like the rest: whoever sends requests decides how many there are.
    """

    def __init__(self, lines: int = LINES, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._lines, self._now = lines, now
        self._began, self._passed, self._dropped = now(), 0, 0

    def filter(self, record: logging.LogRecord) -> bool:
        moment = self._now()
        if moment - self._began >= MINUTE:
            if self._dropped:
                record.msg = f"({self._dropped} lines left out) {record.msg}"
            self._began, self._passed, self._dropped = moment, 0, 0
        if self._passed >= self._lines:
            self._dropped += 1
            return False
        self._passed += 1
        return True
