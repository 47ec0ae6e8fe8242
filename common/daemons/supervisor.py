"""Keeps a few daemons running: starts them in order, hears them, asks after them, ends them all.

One thread and one loop, so that forking is safe. What dies or falls ill is started again after a
pause that doubles; where a daemon that leads ends, the others are made anew with it.

Guarantee: when the supervisor ends, by a signal or killed outright, so do all it started: each
daemon leads a process group that is ended as a whole, and asks the kernel to be killed with the
supervisor.
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from common.daemons.hearing import Ears
from common.daemons.leash import adopt_orphans, die_with
from common.errors import DeploymentError, MascaronError

REAPING = 0.02  # seconds between two looks at what is being ended
States = Mapping[str, Mapping[str, object]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Daemon:
    """A program to keep running. Its environment is all that it gets.

    ``healthy`` asks it; ``ready`` is called when it first says yes, after each start, and may raise
    any of our errors to have it started again. One that ``leads`` takes the others with it.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    folder: Path
    healthy: Callable[[], bool] = lambda: True
    ready: Callable[[], None] = lambda: None
    keep: tuple[int, ...] = ()  # file descriptors it gets
    leads: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Patience:
    """How long the supervisor waits, in seconds, and how often it asks."""

    tick: float = 0.25  # between looks while one is not up
    start: float = 60.0  # until a daemon is healthy
    stop: float = 15.0  # after SIGTERM until SIGKILL
    check: float = 15.0  # between health checks
    failures: int = 3  # in a row until a daemon is started again
    first_pause: float = 1.0
    longest_pause: float = 60.0
    steady: float = 60.0  # up for so long, a daemon's pause is short again


@dataclass(frozen=True, kw_only=True, slots=True)
class Chore:
    """What is done every so many seconds while daemons run; an error it raises ends them all."""

    every: float
    do: "Callable[[Supervisor], None]"


@dataclass(frozen=True, kw_only=True, slots=True)
class Care:
    """Who is told of daemons: ``heard`` every line they write, ``noted`` what changed of them."""

    heard: Callable[[str, str], None] = lambda name, line: None
    noted: Callable[[States], None] = lambda states: None
    chores: tuple[Chore, ...] = ()
    patience: Patience = Patience()
    clock: Callable[[], float] = time.monotonic


@dataclass(kw_only=True)
class _Post:
    """What is known of one daemon. Times are those of the supervisor's clock."""

    daemon: Daemon
    pause: float
    due: float = 0.0  # when to start it
    process: "subprocess.Popen[bytes] | None" = None
    state: str = "down"  # starting, up or down
    was_up: bool = False
    started: float = 0.0
    checked: float = 0.0
    failures: int = 0
    starts: int = 0


@dataclass
class _Due:
    chore: Chore
    at: float


class Supervisor:
    """Keeps what ``make`` names running until asked to stop. To be used from the main thread."""

    def __init__(self, make: Callable[[], Sequence[Daemon]], care: Care) -> None:
        self._make, self._care, self._patience = make, care, care.patience
        self._posts: list[_Post] = []
        self._dues = [_Due(chore, care.clock() + chore.every) for chore in care.chores]
        self._ears = Ears(care.heard)
        self._noted: object = None
        self.restarts = 0

    def stop(self, why: str = "asked") -> None:
        """Asks ``run`` to end; may be called from another thread."""
        self._ears.wake(why)

    def renew(self, name: str) -> None:
        """Ends the daemon ``name`` and starts it again at once; for chores."""
        for post in self._posts:
            if post.daemon.name == name and post.process is not None:
                self._end(post)
                post.due = self._care.clock()

    def run(self, started: Callable[[], None] | None = None) -> str:
        """Starts all and returns when all are stopped: the name of the signal that did it.

        With ``started``, which is called once all are up, raises ``DeploymentError`` if one does
        not come up the first time. Raises what a chore does.
        """
        adopt_orphans()
        with self._ears.open():
            try:
                self._posts = self._made(self._patience.first_pause, self._care.clock())
                while self._ears.asked is None:
                    self._look()
                    started = self._told(started)
                    self._note()
                    self._ears.listen(self._until_next())
            finally:
                self._end_all()
                self._note()
        return self._ears.asked or ""

    def _made(self, pause: float, due: float) -> list[_Post]:
        starts = {post.daemon.name: post.starts for post in self._posts}
        return [
            _Post(daemon=daemon, pause=pause, due=due, starts=starts.get(daemon.name, 0))
            for daemon in self._make()
        ]

    def _look(self) -> None:
        posts = self._posts
        for post in posts:
            self._look_after(post, self._care.clock())
            if self._posts is not posts or not post.was_up or self._ears.asked is not None:
                return  # those behind it wait for their turn
        for due in self._dues:
            if self._care.clock() >= due.at:
                due.at = self._care.clock() + due.chore.every
                due.chore.do(self)

    def _told(self, started: Callable[[], None] | None) -> Callable[[], None] | None:
        """Calls ``started`` once all are up; afterwards there is nobody to call."""
        if started is None:
            return None
        failed = [p.daemon.name for p in self._posts if p.starts and p.state == "down"]
        if failed:
            raise DeploymentError(
                f"{failed[0]} does not start: read its log, {failed[0]}.log, or ask the doctor"
            )
        if all(post.state == "up" for post in self._posts):
            started()
            return None
        return started

    def _look_after(self, post: _Post, now: float) -> None:
        if post.process is None:
            if now >= post.due:
                self._start(post, now)
        elif _has_ended(post.process):
            self._drop(post)
        elif post.state == "starting":
            self._await(post, now)
        elif now - post.checked >= self._patience.check:
            post.checked = now
            if now - post.started >= self._patience.steady:
                post.pause = self._patience.first_pause
            post.failures = 0 if post.daemon.healthy() else post.failures + 1
            if post.failures >= self._patience.failures:
                self._drop(post)

    def _await(self, post: _Post, now: float) -> None:
        if post.daemon.healthy():
            try:
                post.daemon.ready()
            except MascaronError:
                self._drop(post)
                return
            post.state, post.was_up, post.checked, post.failures = "up", True, now, 0
        elif now - post.started > self._patience.start:
            self._drop(post)

    def _start(self, post: _Post, now: float) -> None:
        parent, daemon = os.getpid(), post.daemon
        try:
            post.process = subprocess.Popen(  # noqa: S603 - our own commands
                daemon.command,
                cwd=daemon.folder,
                env=dict(daemon.environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=daemon.keep,
                umask=0o077,
                preexec_fn=lambda: die_with(parent),
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise DeploymentError(f"cannot start {daemon.name}: {error}") from None
        self._ears.add(daemon.name, post.process)
        post.state, post.started, post.starts = "starting", now, post.starts + 1

    def _drop(self, post: _Post) -> None:
        """Ends what died or is ill, and says when it is started again."""
        lived = self._care.clock() - post.started
        self._care.heard(post.daemon.name, f"ended with {self._end(post)}")
        self.restarts += 1
        pause = self._patience.first_pause if lived >= self._patience.steady else post.pause
        following = min(2 * pause, self._patience.longest_pause)
        if post.daemon.leads:
            self._end_all()
            self._posts = self._made(following, self._care.clock() + pause)
        else:
            post.due, post.pause = self._care.clock() + pause, following

    def _end_all(self) -> None:
        for post in reversed(self._posts):
            self._end(post)

    def _end(self, post: _Post) -> int | None:
        """SIGTERM to the daemon's group, SIGKILL to what is left of it after a while; its code."""
        process, post.process, post.state = post.process, None, "down"
        if process is None:
            return None
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
            deadline = self._care.clock() + self._patience.stop
            while self._care.clock() < deadline:
                if process.poll() is not None:
                    _reap(process.pid)
                os.killpg(process.pid, 0)  # anybody left?
                self._ears.listen(REAPING)
            os.killpg(process.pid, signal.SIGKILL)
        code = process.wait()
        _reap(process.pid)
        self._ears.drop(process)
        return code

    def _until_next(self) -> float:
        """Seconds until there is something to look after."""
        patience, now = self._patience, self._care.clock()
        if any(post.state != "up" for post in self._posts):
            return patience.tick
        checks = [post.checked + patience.check for post in self._posts]
        return max(0.0, min([*checks, *(due.at for due in self._dues)], default=now + 60) - now)

    def _note(self) -> None:
        states = {
            post.daemon.name: {
                "state": post.state,
                "pid": post.process.pid if post.process else None,
                "starts": post.starts,
                "pause": post.pause,  # before the next start, should it die
            }
            for post in self._posts
        }
        if states != self._noted:
            self._noted = states
            self._care.noted(states)


def _has_ended(process: "subprocess.Popen[bytes]") -> bool:
    """Without reaping it: until then nothing else on the machine can get its number."""
    options = os.WEXITED | os.WNOHANG | os.WNOWAIT
    return os.waitid(os.P_PID, process.pid, options) is not None


def _reap(group: int) -> None:
    """Buries what a daemon left behind, which the kernel made our children."""
    with suppress(ChildProcessError):
        while os.waitpid(-group, os.WNOHANG)[0]:
            pass
