"""Starts the daemons of the centre, keeps them running, and leaves none behind.

One thread: it starts them in order, looks after each a few times a second, starts what died again
after a pause that doubles, and stops all in reverse order.

Guarantee: when the supervisor ends, by a signal or killed outright, so do all it started: each
daemon leads a process group that is ended as a whole, and asks the kernel to be killed with the
supervisor.
"""

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from common.errors import DeploymentError, MascaronError
from common.trust.storing import replace
from server.serving.leash import adopt_orphans, die_with
from server.serving.logs import rotate


@dataclass(frozen=True, kw_only=True, slots=True)
class Daemon:
    """A program to keep running. ``healthy`` asks it; ``ready`` is called when it first says yes,
    after each start, and may raise any of our errors to have it started again."""

    name: str
    command: tuple[str, ...]
    healthy: Callable[[], bool] = lambda: True
    ready: Callable[[], None] = lambda: None
    keep: tuple[int, ...] = ()  # file descriptors it gets


@dataclass(frozen=True, kw_only=True, slots=True)
class Patience:
    """How long the supervisor waits, in seconds, and how often it asks."""

    tick: float = 0.25  # between looks
    start: float = 60.0  # until a daemon is healthy
    stop: float = 15.0  # after SIGTERM until SIGKILL
    check: float = 15.0  # between health checks
    failures: int = 3  # in a row until a daemon is started again
    first_pause: float = 1.0
    longest_pause: float = 60.0
    steady: float = 60.0  # up for so long, a daemon's pause is short again
    rotate: float = 10.0


@dataclass(kw_only=True)
class _Running:
    """What is known of one daemon. Times are those of the supervisor's clock."""

    daemon: Daemon
    process: "subprocess.Popen[bytes] | None" = None
    state: str = "down"  # starting, up or down
    started: float = 0.0
    checked: float = 0.0
    failures: int = 0
    pause: float = 0.0
    again: float = 0.0  # when to start it
    starts: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Surroundings:
    """Where daemons run: environment, working folder, folder of logs, and the file that says how
    they are, with what else is to stand in it."""

    environment: Mapping[str, str]
    folder: Path
    logs: Path
    state: Path
    about: Mapping[str, object] = field(default_factory=dict)


class Supervisor:
    """Keeps ``daemons`` running until asked to stop. To be used from the main thread."""

    def __init__(
        self, daemons: tuple[Daemon, ...], surroundings: Surroundings, patience: Patience
    ) -> None:
        self._running = [_Running(daemon=d, pause=patience.first_pause) for d in daemons]
        self._surroundings, self._patience = surroundings, patience
        self._asked = threading.Event()
        self._written: object = None
        self._rotated = 0.0

    def stop(self) -> None:
        """Asks ``run`` to end; may be called from a signal handler."""
        self._asked.set()

    def run(self, started: Callable[[], None]) -> None:
        """Starts all and returns when all are stopped; ``started`` is called once all are up.

        Raises ``DeploymentError`` if one does not come up the first time.
        """
        adopt_orphans()
        before = {n: signal.signal(n, self._signal) for n in (signal.SIGTERM, signal.SIGINT)}
        try:
            for one in self._running:
                self._bring_up(one)
            if not self._asked.is_set():
                started()
            while not self._asked.wait(self._patience.tick):
                for one in self._running:
                    self._look_after(one, time.monotonic())
                self._note(time.monotonic())
        finally:
            for one in reversed(self._running):
                self._end(one)
            self._note(time.monotonic())
            for number, handler in before.items():
                signal.signal(number, handler)

    def _signal(self, number: int, frame: FrameType | None) -> None:
        self.stop()

    def _bring_up(self, one: _Running) -> None:
        while one.state != "up" and not self._asked.is_set():
            self._look_after(one, time.monotonic())
            self._note(time.monotonic())
            if one.starts > 1 or (one.starts and one.state == "down"):
                raise DeploymentError(
                    f"{one.daemon.name} does not start: read {self._log(one)}, "
                    "or ask `mascaron-admin doctor`"
                )
            self._asked.wait(self._patience.tick)

    def _look_after(self, one: _Running, now: float) -> None:
        if one.process is None:
            if now >= one.again:
                self._start(one, now)
        elif one.process.poll() is not None:
            self._end(one, pause=True)
        elif one.state == "starting":
            self._await(one, now)
        elif now - one.checked >= self._patience.check:
            one.checked = now
            if now - one.started >= self._patience.steady:
                one.pause = self._patience.first_pause
            one.failures = 0 if one.daemon.healthy() else one.failures + 1
            if one.failures >= self._patience.failures:
                self._end(one, pause=True)

    def _await(self, one: _Running, now: float) -> None:
        if one.daemon.healthy():
            try:
                one.daemon.ready()
            except MascaronError:
                self._end(one, pause=True)
                return
            one.state, one.checked, one.failures = "up", now, 0
        elif now - one.started > self._patience.start:
            self._end(one, pause=True)

    def _start(self, one: _Running, now: float) -> None:
        parent = os.getpid()
        with self._log(one).open("ab") as log:
            one.process = subprocess.Popen(  # noqa: S603 - our own commands
                one.daemon.command,
                cwd=self._surroundings.folder,
                env=dict(self._surroundings.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                pass_fds=one.daemon.keep,
                umask=0o077,
                preexec_fn=lambda: die_with(parent),
            )
        one.state, one.started, one.starts = "starting", now, one.starts + 1

    def _end(self, one: _Running, *, pause: bool = False) -> None:
        """Ends a daemon with all that it started; with ``pause`` says when to start it again."""
        if one.process is None:
            return
        end_group(one.process, self._patience.stop)
        now = time.monotonic()
        if pause:
            one.again = now + one.pause
            one.pause = min(2 * one.pause, self._patience.longest_pause)
        one.process, one.state = None, "down"

    def _log(self, one: _Running) -> Path:
        return self._surroundings.logs / f"{one.daemon.name}.log"

    def _note(self, now: float) -> None:
        """Writes what runs to the state file if it changed, and rotates logs now and then."""
        daemons = {
            one.daemon.name: {
                "state": one.state,
                "pid": one.process.pid if one.process else None,
                "starts": one.starts,
                "pause": one.pause,  # before the next start, should it die
            }
            for one in self._running
        }
        if daemons != self._written:
            table = {**self._surroundings.about, "pid": os.getpid(), "daemons": daemons}
            replace(self._surroundings.state, json.dumps(table).encode())
            self._written = daemons
        if now - self._rotated >= self._patience.rotate:
            self._rotated = now
            for one in self._running:
                rotate(self._log(one))


def end_group(process: "subprocess.Popen[bytes]", patience: float) -> None:
    """SIGTERM to the process group of ``process``, then SIGKILL to what is left of it after
    ``patience`` seconds."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            if process.poll() is not None:
                _reap(process.pid)
            os.killpg(process.pid, 0)  # anybody left?
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    _reap(process.pid)


def _reap(group: int) -> None:
    """Buries what a daemon of ours left behind, which the kernel made our children."""
    with suppress(ChildProcessError):
        while os.waitpid(-group, os.WNOHANG)[0]:
            pass
