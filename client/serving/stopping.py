"""SIGTERM and SIGINT as a wish to stop, which is granted once what is under way has ended."""

import logging
import select
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType

from common.daemons.waking import woken

TIDY = 60.0  # seconds between two looks for what is not needed any more
SIGNALS = (signal.SIGTERM, signal.SIGINT)
PIECE = 4096

log = logging.getLogger(__name__)


class Stopping:
    """While the block runs, those signals do not end the process. Only for its main thread."""

    def __init__(self) -> None:
        self.asked = False
        self._at_once = False
        self._signals: socket.socket  # readable after a signal, whichever thread it interrupted
        self._open = ExitStack()

    def pause(self, seconds: float) -> bool:
        """Waits so long, or until somebody asks; whether somebody did."""
        until = time.monotonic() + seconds
        while not self.asked and (left := until - time.monotonic()) > 0:
            if select.select([self._signals], [], [], left)[0]:
                told = self._signals.recv(PIECE)
                self.asked = self.asked or any(number in told for number in SIGNALS)
        return self.asked

    def wait(self, tidy: Callable[[], None] = lambda: None, every: float = TIDY) -> None:
        """Until somebody asks; calls ``tidy`` after each ``every`` seconds."""
        while not self.pause(every):
            tidy()
        log.info("asked to stop: draining")

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """What runs inside is given up when somebody asks: ``SystemExit``, so that all that is
        open is closed in its order."""
        self._at_once = True
        try:
            if self.asked:
                raise SystemExit(0)
            yield
        finally:
            self._at_once = False

    def __enter__(self) -> "Stopping":
        self._signals, _ = self._open.enter_context(woken(SIGNALS, self._told))
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def _told(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        if self._at_once:
            raise SystemExit(0)
