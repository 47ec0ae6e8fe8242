"""Time as it is passed in, so that nobody who waits has to be waited for in a test."""

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Clock:
    """``now`` in seconds since 1970; ``sleep`` for so many seconds."""

    now: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
