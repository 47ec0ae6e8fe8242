"""SIGTERM and SIGINT as a wish to stop, which is granted once what is under way has ended."""

import logging
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

TIDY = 60.0  # seconds between two looks for what is not needed any more
SIGNALS = (signal.SIGTERM, signal.SIGINT)

log = logging.getLogger(__name__)


class Stopping:
    """While the block runs, those signals do not end the process. Only for its main thread."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self._at_once = False
        self._before: dict[signal.Signals, Any] = {}

    def wait(self, tidy: Callable[[], None] = lambda: None, every: float = TIDY) -> None:
        """Until somebody asks; calls ``tidy`` after each ``every`` seconds."""
        while not self.asked.wait(every):
            tidy()
        log.info("asked to stop: draining")

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """What runs inside is given up when somebody asks: ``SystemExit``, so that all that is
        open is closed in its order."""
        self._at_once = True
        try:
            if self.asked.is_set():
                raise SystemExit(0)
            yield
        finally:
            self._at_once = False

    def __enter__(self) -> "Stopping":
        self._before = {number: signal.signal(number, self._told) for number in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _told(self, number: int, frame: FrameType | None) -> None:
        self.asked.set()
        if self._at_once:
            raise SystemExit(0)
