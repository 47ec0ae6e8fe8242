"""Keeps a few programs running: starts them, listens, restarts with patience, leaves no orphan.

One thread and one loop, so that forking is safe. The first program leads: when it ends, the others
are ended with it and all are made anew; another one is started again by itself.
"""

import os
import selectors
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import FrameType
from typing import IO, cast

from client.confinement import end_with_parent
from common.errors import DeploymentError

LONGEST_LINE = 4096  # bytes
PIECE = 65536
Heard = Callable[[str, str], None]  # (name of a program, a line it wrote)


@dataclass(frozen=True, kw_only=True)
class Program:
    """One program to keep running. Its environment is all that it gets."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    folder: Path


@dataclass(frozen=True, kw_only=True)
class Patience:
    """Seconds: before the first restart and at most, to count as steady, and to end in peace."""

    first: float = 1.0
    most: float = 15.0
    steady: float = 60.0
    grace: float = 10.0


@dataclass
class _Post:
    """A program and what is known of its process."""

    program: Program
    wait: float
    due: float
    started: float = 0.0
    process: "subprocess.Popen[bytes] | None" = None
    rest: bytes = field(default=b"", repr=False)


class Supervisor:
    """Runs what ``make`` names until the process is asked to stop, by SIGTERM or SIGINT.

    ``heard`` gets every line that a program writes, cut at LONGEST_LINE bytes. Only for the main
    thread of a process.
    Guarantee: when ``run`` ends, and when this process is killed, no program is left running.
    """

    def __init__(
        self,
        make: Callable[[], Sequence[Program]],
        heard: Heard,
        patience: Patience | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._make, self._heard, self._clock = make, heard, clock
        self._patience = patience or Patience()
        self._posts: list[_Post] = []
        self._asked: str | None = None
        self._selector = selectors.DefaultSelector()
        self.restarts = 0

    def run(self) -> str:
        """Supervises; returns the name of the signal that ended it."""
        with self._woken_by_signals():
            try:
                self._appoint(self._patience.first, self._clock())
                while self._asked is None:
                    self._start_due()
                    self._listen(self._until_next())
                    self._replace_ended()
            finally:
                self._end(self._posts)
        return str(self._asked)

    def _appoint(self, wait: float, due: float) -> None:
        self._posts = [_Post(program=p, wait=wait, due=due) for p in self._make()]

    def _start_due(self) -> None:
        now = self._clock()
        for post in self._posts:
            if post.process is None and post.due <= now:
                post.process, post.started, post.rest = _started(post.program), now, b""
                pipe = _pipe(post.process)
                os.set_blocking(pipe.fileno(), False)
                self._selector.register(pipe, selectors.EVENT_READ, post)

    def _until_next(self) -> float | None:
        dues = [post.due for post in self._posts if post.process is None]
        return max(0.0, min(dues) - self._clock()) if dues else None

    def _listen(self, timeout: float | None) -> None:
        for key, _ in self._selector.select(timeout):
            if isinstance(key.data, _Post):
                self._read(key.data)
            else:
                with suppress(BlockingIOError):
                    key.fileobj.recv(PIECE)  # type: ignore[union-attr]

    def _read(self, post: _Post) -> bool:
        """Passes on the lines that are there; says whether there was anything."""
        if post.process is None or _pipe(post.process).closed:
            return False
        pipe = _pipe(post.process)
        try:
            piece = os.read(pipe.fileno(), PIECE)
        except BlockingIOError:
            return False
        if not piece:
            self._selector.unregister(pipe)
            pipe.close()
        *lines, post.rest = (post.rest + piece).split(b"\n")
        if not piece or len(post.rest) > LONGEST_LINE:
            lines, post.rest = [*lines, post.rest], b""
        for line in filter(None, lines):
            self._heard(post.program.name, line[:LONGEST_LINE].decode("utf-8", "replace"))
        return bool(piece)

    def _replace_ended(self) -> None:
        for number, post in enumerate(self._posts):
            if post.process is None or not _ended(post.process):
                continue
            lived = self._clock() - post.started
            code = self._bury(post)
            self._heard(post.program.name, f"ended with {code}")
            self.restarts += 1
            patience = self._patience
            pause = patience.first if lived > patience.steady else post.wait
            due, wait = self._clock() + pause, min(2 * pause, patience.most)
            if number == 0:
                self._end(self._posts)
                self._appoint(wait, due)
                return
            post.wait, post.due = wait, due

    def _end(self, posts: Sequence[_Post]) -> None:
        """Asks all to end, hears them out for the grace, then kills what is left."""
        alive = [post for post in posts if post.process is not None]
        for post in alive:
            self._signal(post, signal.SIGTERM)
        deadline = self._clock() + self._patience.grace
        while not all(post.process is None or _ended(post.process) for post in alive):
            if self._clock() > deadline:
                break
            self._listen(0.1)
        for post in alive:
            self._bury(post)

    def _bury(self, post: _Post) -> int | None:
        """Kills what is left of the program's session; forgets the process, returns its code."""
        process = post.process
        if process is None:
            return None
        self._signal(post, signal.SIGKILL)
        code = process.wait()
        while self._read(post):
            pass
        if not _pipe(process).closed:
            self._selector.unregister(_pipe(process))
            _pipe(process).close()
        post.process = None
        return code

    @staticmethod
    def _signal(post: _Post, number: signal.Signals) -> None:
        if post.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(post.process.pid, number)

    @contextmanager
    def _woken_by_signals(self) -> Iterator[None]:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        theirs.setblocking(False)
        self._selector.register(ours, selectors.EVENT_READ, None)
        before = {
            number: signal.signal(number, self._noted)
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)
        }
        woken = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(woken)
            for number, handler in before.items():
                signal.signal(number, handler)
            self._selector.close()
            ours.close()
            theirs.close()

    def _noted(self, number: int, frame: FrameType | None) -> None:
        if number != signal.SIGCHLD:
            self._asked = signal.Signals(number).name


def _started(program: Program) -> "subprocess.Popen[bytes]":
    try:
        return subprocess.Popen(  # noqa: S603 (our own list of arguments)
            program.command,
            env=dict(program.environment),
            cwd=program.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=partial(end_with_parent, os.getpid()),
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise DeploymentError(f"cannot start {program.name}: {error}") from None


def _pipe(process: "subprocess.Popen[bytes]") -> IO[bytes]:
    return cast("IO[bytes]", process.stdout)


def _ended(process: "subprocess.Popen[bytes]") -> bool:
    """Without reaping it: until then nothing else on the machine can get its number."""
    options = os.WEXITED | os.WNOHANG | os.WNOWAIT
    return os.waitid(os.P_PID, process.pid, options) is not None
