"""How often a caller may ask: so that nobody finds out by asking what a template looks like.

Guarantee: of any hour no more than ``hourly``, and of any day no more than ``daily``
questions about faces of a caller are begun, however many connections it has and
however often the process is started again: they are counted in the audit log, where each of them
has its row before it is answered. A clock that is set back counts too many, not too few.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from client.audit.events import Kind
from client.audit.log import AuditLog
from client.door.callers import Caller
from common.errors import QueryBudgetError

QUERIES = (Kind.VERIFY, Kind.IDENTIFY, Kind.DESCRIBE, Kind.SEARCH)
HOUR, DAY = 3_600.0, 86_400.0  # seconds


class Budgets:
    """What the log says was asked, and what is under way; safe among threads.

    ``actor`` gives the tag by which the log knows a caller.
    """

    def __init__(
        self, log: AuditLog, clock: Callable[[], float], actor: Callable[[str], bytes]
    ) -> None:
        self._log, self._clock, self._actor = log, clock, actor
        self._lock = threading.Lock()
        self._under_way: Counter[str] = Counter()

    @contextmanager
    def charge(self, caller: Caller) -> Iterator[None]:
        """Lets the block ask once, and write its row; ``QueryBudgetError`` if that is too often."""
        with self._lock:
            self._check(caller)
            self._under_way[caller.name] += 1
        try:
            yield
        finally:
            with self._lock:
                self._under_way[caller.name] -= 1

    def _check(self, caller: Caller) -> None:
        now, actor = self._clock(), self._actor(caller.name)
        for seconds, most in ((HOUR, caller.hourly), (DAY, caller.daily)):
            asked = self._log.count(actor, QUERIES, now - seconds)
            if asked + self._under_way[caller.name] >= most:
                raise QueryBudgetError(
                    f"this caller may ask {most} times in {seconds / HOUR:.0f} h: wait, or have "
                    "its budget raised"
                )
