"""Hears what daemons write, and signals, in one place to wait at."""

import fcntl
import os
import selectors
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from types import FrameType
from typing import IO, cast

from common.daemons.waking import woken

LONGEST_LINE = 4096  # bytes
PIECE = 65536
ROOM = 2**20  # bytes a daemon may write while the supervisor is asking another one
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)


@dataclass(eq=False)
class _Voice:
    """One daemon's output, read so far to the end of a line."""

    name: str
    pipe: IO[bytes]
    rest: bytes = field(default=b"", repr=False)


class Ears:
    """Passes each line on to ``heard`` with the name of who wrote it, cut at LONGEST_LINE bytes.

    ``asked`` is why to stop, once somebody asked: the name of a signal, or a word of our own.
    """

    def __init__(self, heard: Callable[[str, str], None]) -> None:
        self._heard = heard
        self._selector: selectors.BaseSelector = selectors.DefaultSelector()
        self._voices: dict[int, _Voice] = {}
        self._wakes: socket.socket | None = None
        self.asked: str | None = None

    @contextmanager
    def open(self) -> Iterator[None]:
        """Takes the signals of this process, whose main thread this must be, until the end."""
        with woken(SIGNALS, self._noted) as (ours, self._wakes), self._selector:
            self._selector.register(ours, selectors.EVENT_READ, ours)
            yield

    def wake(self, why: str) -> None:
        """Asks to stop, from whichever thread."""
        self.asked = why
        if self._wakes is not None:
            with suppress(OSError):
                self._wakes.send(b"\0")

    def add(self, name: str, process: "subprocess.Popen[bytes]") -> None:
        """Hears ``process`` from now on."""
        pipe = cast("IO[bytes]", process.stdout)
        os.set_blocking(pipe.fileno(), False)
        with suppress(OSError, AttributeError):  # Linux; more than the user may have
            fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, ROOM)
        voice = self._voices[process.pid] = _Voice(name, pipe)
        self._selector.register(pipe, selectors.EVENT_READ, voice)

    def drop(self, process: "subprocess.Popen[bytes]") -> None:
        """Hears the rest of ``process`` and no more."""
        voice = self._voices.pop(process.pid)
        while self._read(voice):
            pass
        self._close(voice)

    def listen(self, seconds: float) -> None:
        """Waits for whatever comes first: a line, a signal, or the end of the time."""
        for key, _ in self._selector.select(seconds):
            if isinstance(key.data, _Voice):
                self._read(key.data)
            else:
                with suppress(BlockingIOError):
                    key.data.recv(PIECE)

    def _noted(self, number: int, frame: FrameType | None) -> None:
        if number != signal.SIGCHLD:
            self.asked = signal.Signals(number).name

    def _read(self, voice: _Voice) -> bool:
        """Passes on the lines that are there; says whether there was anything."""
        if voice.pipe.closed:
            return False
        try:
            piece = os.read(voice.pipe.fileno(), PIECE)
        except BlockingIOError:
            return False
        *lines, voice.rest = (voice.rest + piece).split(b"\n")
        if not piece or len(voice.rest) > LONGEST_LINE:
            lines, voice.rest = [*lines, voice.rest], b""
        for line in filter(None, lines):
            self._heard(voice.name, line[:LONGEST_LINE].decode("utf-8", "replace"))
        if not piece:
            self._close(voice)
        return bool(piece)

    def _close(self, voice: _Voice) -> None:
        if not voice.pipe.closed:
            self._selector.unregister(voice.pipe)
            voice.pipe.close()
