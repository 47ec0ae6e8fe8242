"""One round at a time, however often it is asked for and however impatient whoever asks is.

A round may take longer than a call may last. The work goes on in a thread of its own when nobody
waits any more; asked again with the same contents, the answer is the one that was worked out.
"""

import threading
from collections.abc import Callable
from typing import Any

from common.errors import BusyError, DrainingError, NotReadyError

MARGIN = 0.1  # of a call's time, kept for the answer to travel in
MOST_MARGIN = 2.0  # seconds
LONGEST = 600.0  # seconds that a call without a deadline waits
WAITING = 2  # calls that wait for one job at a time: the rest of the threads answer others

Key = tuple[str, int, str]  # run, round, digest of the request


class Jobs:
    """Runs one job at a time.

    Guarantee: two calls with the same key share one job; another key is ``BusyError`` until the
    job is done; a job that was begun is finished, whoever stopped waiting.
    Leaks: that a job is under way. When it ends within a call shows how long it took, so a plan
    whose rounds must not tell that has a release slot, and its job ends at a slot.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._job: _Job | None = None
        self.draining = False

    @property
    def working(self) -> Key | None:
        """The key of the job under way, or None."""
        with self._lock:
            return self._job.key if self._job and not self._job.done.is_set() else None

    def do(self, key: Key, work: Callable[[], Any], seconds: float | None) -> Any:
        """What ``work`` returns or raises, if that is known within ``seconds``.

        Raises ``BusyError``, ``DrainingError``, or ``NotReadyError`` while the job goes on.
        """
        job = self._begin(key, work)
        try:
            wait = LONGEST if seconds is None else min(seconds, LONGEST)
            if not job.done.wait(max(0.0, wait - min(MOST_MARGIN, MARGIN * wait))):
                raise NotReadyError("the round is under way: ask again")
        finally:
            with self._lock:
                job.waiting -= 1
        return job.outcome()

    def drain(self, seconds: float) -> bool:
        """Takes nothing new and waits for the job under way; whether it ended in time."""
        with self._lock:
            self.draining, job = True, self._job
        return job is None or job.done.wait(seconds)

    def check_open(self) -> None:
        """Raises ``DrainingError`` once ``drain`` was called."""
        if self.draining:
            raise DrainingError("the agent is about to stop: ask again later")

    def _begin(self, key: Key, work: Callable[[], Any]) -> "_Job":
        with self._lock:
            job = self._job
            if job is None or job.done.is_set():
                self.check_open()
                job = self._job = _Job(key)
                threading.Thread(target=job.run, args=(work,), name="round", daemon=True).start()
            elif job.key != key:
                raise BusyError("another round is under way")
            elif job.waiting >= WAITING:
                raise BusyError("enough callers wait for this round")
            job.waiting += 1
            return job


class _Job:
    def __init__(self, key: Key) -> None:
        self.key, self.waiting, self.done = key, 0, threading.Event()
        self._result: Any = None
        self._error: BaseException | None = None

    def run(self, work: Callable[[], Any]) -> None:
        try:
            self._result = work()
        except BaseException as error:  # told to whoever asked, as if it had happened there
            self._error = error
        finally:
            self.done.set()

    def outcome(self) -> Any:
        if self._error is not None:
            raise self._error
        return self._result
