"""Logs that a hostile courier cannot fill or write: so many lines a minute, in our own words."""

import logging
import time
from collections.abc import Callable

MINUTE = 60.0  # seconds
LINES = 120  # a minute, of warnings and below
ROOMS = ("client", "common")


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


class OwnWords(logging.Filter):
    """Lets every record through; of one that a library wrote, only that it did.

    Libraries repeat what they were sent, with a traceback for every header that is no text.
    Guarantee: no byte of a request and no text of an exception is written.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name.partition(".")[0] not in ROOMS:
            record.msg, record.args = "a library had something to say", ()
        record.exc_info = record.exc_text = record.stack_info = None
        return True
